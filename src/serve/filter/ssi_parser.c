/* SPDX-License-Identifier: BSD-2-Clause */
#include "ssi_parser.h"

static const struct str begin_mark = STR_INIT("<!--#");

void ssi_parser_init(struct ssi_parser *p, size_t value_max)
{
    *p = (struct ssi_parser){.value_max = value_max};
    /* Every value may be as long as it may, within reason. */
    buf_init(&p->command, 4 * value_max + 4096);
}

void ssi_parser_fini(struct ssi_parser *p)
{
    buf_fini(&p->command);
}

/* ---- one complete command ---- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_space(struct str *s)
{
    while (s->n && is_space(s->p[0]))
        *s = str_slice(*s, 1, s->n);
}

static struct str take_name(struct str *s)
{
    size_t n = 0;

    while (n < s->n && n < SSI_NAME_MAX && s->p[n] >= 'a' && s->p[n] <= 'z')
        n++;
    struct str name = str_slice(*s, 0, n);
    *s = str_slice(*s, n, s->n);
    return name;
}

/* The value behind its opening quote.  A backslash takes what follows it as
 * it is, and stays. */
static bool take_value(struct str *s, size_t max, struct str *value)
{
    char quote = s->p[0];
    size_t i = 1;

    while (i < s->n && s->p[i] != quote)
        i += s->p[i] == '\\' && i + 1 < s->n ? 2 : 1;
    if (i >= s->n || i > max)
        return false;
    *value = str_slice(*s, 1, i);
    *s = str_slice(*s, i + 1, s->n);
    return true;
}

static bool parse(struct ssi_parser *p, struct ssi_event *ev)
{
    struct str s = buf_str(&p->command);

    ev->text = s;
    ev->parameters_n = 0;
    skip_space(&s);
    ev->name = take_name(&s);
    if (!ev->name.n || (s.n && !is_space(s.p[0])))
        return false;
    for (skip_space(&s); s.n; skip_space(&s)) {
        if (ev->parameters_n == SSI_PARAMETERS_MAX)
            return false;
        struct ssi_parameter *param = &ev->parameters[ev->parameters_n++];
        param->name = take_name(&s);
        skip_space(&s);
        if (!param->name.n || !s.n || s.p[0] != '=')
            return false;
        s = str_slice(s, 1, s.n);
        skip_space(&s);
        if (!s.n || (s.p[0] != '"' && s.p[0] != '\'') ||
            !take_value(&s, p->value_max, &param->value))
            return false;
    }
    return true;
}

/* ---- the stream ---- */

/* Text up to what may begin a command.  1 = an event. */
static int next_text(struct ssi_parser *p, struct str *in, bool last,
                     struct ssi_event *ev)
{
    size_t i = 0;

    if (p->matched) { /* it began in the piece before */
        while (i < in->n && p->matched < begin_mark.n &&
               in->p[i] == begin_mark.p[p->matched]) {
            p->matched++;
            i++;
        }
        *in = str_slice(*in, i, in->n);
        if (p->matched == begin_mark.n) {
            p->inside = true;
            p->matched = 0;
            return 0;
        }
        if (!in->n && !last)
            return 0;
        *ev = (struct ssi_event){.type = SSI_TEXT};
        ev->text = str_slice(begin_mark, 0, p->matched);
        p->matched = 0;
        return 1;
    }
    while (i < in->n) {
        i = str_find(*in, '<', i);
        size_t k = 0;
        while (i + k < in->n && k < begin_mark.n &&
               in->p[i + k] == begin_mark.p[k])
            k++;
        if (i < in->n && (k == begin_mark.n || i + k == in->n)) {
            p->matched = (unsigned)k;
            break;
        }
        i++;
    }
    if (i > in->n)
        i = in->n;
    struct str text = str_slice(*in, 0, i);
    *in = str_slice(*in, i + p->matched, in->n);
    if (p->matched == begin_mark.n) {
        p->inside = true;
        p->matched = 0;
    }
    if (!text.n)
        return 0;
    *ev = (struct ssi_event){.type = SSI_TEXT, .text = text};
    return 1;
}

/* Does c end the command?  Two dashes and a > outside of quotes do. */
static bool ends_with(struct ssi_parser *p, char c)
{
    if (p->quote) {
        if (p->escaped)
            p->escaped = false;
        else if (c == '\\')
            p->escaped = true;
        else if (c == p->quote)
            p->quote = 0;
        return false;
    }
    bool end = c == '>' && p->dashes >= 2;
    p->dashes = c == '-' ? p->dashes + 1 : 0;
    if ((c == '"' || c == '\'') && !p->skipping)
        p->quote = c;
    return end;
}

static int next_command(struct ssi_parser *p, struct str *in,
                        struct ssi_event *ev)
{
    size_t i = 0;
    bool end = false;

    while (i < in->n && !end)
        end = ends_with(p, in->p[i++]);
    struct str piece = str_slice(*in, 0, i);
    *in = str_slice(*in, i, in->n);
    bool fits = p->skipping || buf_put(&p->command, piece.p, piece.n);
    if (!fits) {
        p->skipping = !end;
        p->quote = 0;
    } else if (!end) {
        return 0;
    } else if (p->skipping) {
        p->inside = p->skipping = false;
        p->dashes = 0;
        buf_clear(&p->command);
        return 0; /* it was told when it began */
    } else {
        p->command.n -= 3;
    }
    *ev = (struct ssi_event){.type = SSI_COMMAND};
    if (!fits || !parse(p, ev))
        ev->type = SSI_ERROR;
    p->inside = p->skipping;
    p->dashes = 0;
    p->done = true; /* what the event points to goes with the next call */
    return 1;
}

int ssi_parser_next(struct ssi_parser *p, struct str *in, bool last,
                    struct ssi_event *ev)
{
    if (p->done)
        buf_clear(&p->command);
    p->done = false;
    for (;;) {
        bool was_inside = p->inside;
        if (was_inside ? next_command(p, in, ev) : next_text(p, in, last, ev))
            return 1;
        if (!in->n && !(last && !p->inside && p->matched))
            return 0;
    }
}
