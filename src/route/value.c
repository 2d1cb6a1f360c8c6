/* SPDX-License-Identifier: BSD-2-Clause */
#include "route/value.h"

#include "base/bytes.h"

enum { PARTS_ON_STACK = 16 };

enum part_kind {
    PART_TEXT = 0,
    PART_CAPTURE,
    PART_VARIABLE,
};

struct part {
    enum part_kind kind;
    struct str text; /* as it is, or the variable's name */
    unsigned group;
    struct variable *variable; /* once resolved */
};

struct value {
    struct str text;
    struct part *parts;
    size_t n;
    bool is_constant;
    const struct conf_node *node; /* where it stands, for errors */
    struct value *next;           /* of those to be resolved */
};

/* ---- compiling ---- */

static bool is_name_char(char c)
{
    c = ascii_lower(c);
    return (c >= 'a' && c <= 'z') || ascii_is_digit(c) || c == '_';
}

/* Cut "$1", "$name" or "${name}" off the front of *rest. */
static int cut_variable(struct conf *conf, struct str *rest, struct part *part)
{
    struct str s = str_slice(*rest, 1, rest->n);

    if (s.n && s.p[0] >= '1' && s.p[0] <= '9') {
        *part = (struct part){.kind = PART_CAPTURE,
                              .group = (unsigned)(s.p[0] - '0')};
        *rest = str_slice(s, 1, s.n);
        return 0;
    }
    bool braced = s.n && s.p[0] == '{';
    if (braced)
        s = str_slice(s, 1, s.n);
    if (!s.n)
        return conf_fail(conf, "invalid variable name");
    size_t n = 0;
    while (n < s.n && is_name_char(s.p[n]))
        n++;
    struct str name = str_slice(s, 0, n);
    if (braced) {
        if (n == s.n || s.p[n] != '}')
            return conf_fail(conf,
                             "the closing bracket in \"%.*s\" variable is "
                             "missing",
                             STR_ARG(name));
        n++;
    }
    if (!name.n)
        return conf_fail(conf, "invalid variable name");
    *part = (struct part){.kind = PART_VARIABLE, .text = name};
    *rest = str_slice(s, n, s.n);
    return 0;
}

static struct part cut_text(struct str *rest)
{
    size_t n = str_find(*rest, '$', 0);
    struct part part = {.kind = PART_TEXT, .text = str_slice(*rest, 0, n)};
    *rest = str_slice(*rest, n, rest->n);
    return part;
}

/* No text has more parts: around each $ there is one before and one behind. */
static size_t parts_max(struct str text)
{
    size_t n = 1;
    for (size_t i = 0; i < text.n; i++)
        n += text.p[i] == '$' ? 2 : 0;
    return n;
}

struct value *value_compile(struct conf *conf, struct variables *vs,
                            struct str text)
{
    struct value *v = arena_calloc(vs->arena, sizeof *v);
    v->text = arena_str(vs->arena, text);
    v->parts = arena_calloc(vs->arena, parts_max(text) * sizeof *v->parts);
    v->node = conf->node;
    v->is_constant = true;

    struct str rest = v->text;
    while (rest.n) {
        if (rest.p[0] != '$') {
            v->parts[v->n++] = cut_text(&rest);
            continue;
        }
        if (cut_variable(conf, &rest, &v->parts[v->n]) == -1)
            return NULL;
        v->n++;
        v->is_constant = false;
    }
    if (!v->is_constant) {
        v->next = vs->pending;
        vs->pending = v;
    }
    return v;
}

int value_set(struct conf *conf, struct conf_scope *scope,
              const struct directive *row, const struct conf_node *node,
              void *field)
{
    struct value **value = field;
    (void)scope, (void)row;
    *value = value_compile(conf, conf->variables, conf_arg(node, 1));
    return *value ? 0 : -1;
}

int value_list_add(struct conf *conf, struct conf_scope *scope,
                   const struct directive *row, const struct conf_node *node,
                   void *field)
{
    (void)row;
    for (size_t i = 1; i < node->words_n; i++) {
        struct value *v =
            value_compile(conf, conf->variables, conf_arg(node, i));
        if (!v)
            return -1;
        conf_list_add(conf, scope, field, v);
    }
    return 0;
}

static int resolve(struct conf *conf, struct variables *vs, struct value *v)
{
    for (size_t i = 0; i < v->n; i++) {
        struct part *p = &v->parts[i];
        if (p->kind != PART_VARIABLE)
            continue;
        p->variable = variables_find(vs, p->text);
        if (!p->variable)
            return conf_fail_at(conf, v->node, "unknown \"%.*s\" variable",
                                STR_ARG(p->text));
    }
    return 0;
}

int values_resolve(struct conf *conf, struct variables *vs)
{
    /* The list is last come first; the first mistake is to be reported. */
    struct value *ordered = NULL;
    while (vs->pending) {
        struct value *v = vs->pending;
        vs->pending = v->next;
        v->next = ordered;
        ordered = v;
    }
    for (struct value *v = ordered; v; v = v->next)
        if (resolve(conf, vs, v) == -1)
            return -1;
    return 0;
}

bool value_is_constant(const struct value *v)
{
    return v->is_constant;
}

struct str value_text(const struct value *v)
{
    return v->text;
}

/* ---- evaluating ---- */

/* False: it has no value. */
static bool part_eval(const struct part *p, struct evaluation *e,
                      struct str *out)
{
    switch (p->kind) {
    case PART_TEXT:
        *out = p->text;
        return true;
    case PART_CAPTURE:
        *out = captures_get(&e->captures, p->group);
        return out->p != NULL;
    case PART_VARIABLE:
        return variable_eval(p->variable, e, out);
    }
    return false;
}

static struct str part_text(const struct part *p, struct evaluation *e)
{
    struct str s;
    return part_eval(p, e, &s) && s.n ? s : STR("");
}

struct str value_eval(const struct value *v, struct evaluation *e)
{
    if (v->is_constant)
        return v->text;
    if (v->n == 1)
        return part_text(&v->parts[0], e);

    struct str few[PARTS_ON_STACK];
    struct str *pieces = v->n <= PARTS_ON_STACK
                             ? few
                             : arena_alloc(e->arena, v->n * sizeof *pieces);
    size_t total = 0;
    for (size_t i = 0; i < v->n; i++) {
        pieces[i] = part_text(&v->parts[i], e);
        total += pieces[i].n;
    }
    char *text = arena_alloc(e->arena, total + 1);
    char *at = text;
    for (size_t i = 0; i < v->n; i++) {
        memcpy(at, pieces[i].p, pieces[i].n);
        at += pieces[i].n;
    }
    *at = '\0';
    return str_n(text, total);
}

static void append_part(const struct part *p, struct evaluation *e,
                        struct str absent, value_escape_fn *escape,
                        struct buf *out)
{
    struct str s;
    if (!part_eval(p, e, &s))
        buf_put_str(out, absent);
    else if (escape && p->kind != PART_TEXT)
        escape(out, s);
    else
        buf_put_str(out, s);
}

void value_append(const struct value *v, struct evaluation *e,
                  struct str absent, value_escape_fn *escape, struct buf *out)
{
    for (size_t i = 0; i < v->n; i++)
        append_part(&v->parts[i], e, absent, escape, out);
}

/* ---- freezing ---- */

enum moment {
    SETTLED = 0, /* it says now what it will say */
    LIVE,
    LATE,
};

static enum moment value_moment(const struct value *v, unsigned depth);

/* What somebody else defined may change with anything, but for assigned ones
 * and those that say what they are made of. */
static enum moment variable_moment(const struct variable *v, unsigned depth)
{
    if (v->flags & VARIABLE_LATE || depth > 10)
        return LATE;
    if (v->flags & VARIABLE_LIVE)
        return LIVE;
    if (v->get == variable_get_slot)
        return SETTLED;
    if (v->source)
        return value_moment(v->source, depth + 1) == SETTLED ? SETTLED : LATE;
    return v->flags & VARIABLE_DEFINED ? LATE : SETTLED;
}

static enum moment part_moment(const struct part *p, unsigned depth)
{
    return p->kind == PART_VARIABLE ? variable_moment(p->variable, depth)
                                    : SETTLED;
}

static enum moment value_moment(const struct value *v, unsigned depth)
{
    enum moment latest = SETTLED;
    for (size_t i = 0; i < v->n; i++) {
        enum moment moment = part_moment(&v->parts[i], depth);
        latest = moment > latest ? moment : latest;
    }
    return latest;
}

bool value_may_freeze(const struct value *v)
{
    return value_moment(v, 0) < LATE;
}

bool value_is_live(const struct value *v)
{
    return value_moment(v, 0) != SETTLED;
}

/* Runs of settled parts, each behind its length. */
void value_freeze(const struct value *v, struct evaluation *e,
                  struct str absent, value_escape_fn *escape, struct buf *out)
{
    for (size_t i = 0; i < v->n; i++) {
        size_t at = out->n;
        buf_put_le32(out, 0);
        for (; i < v->n && part_moment(&v->parts[i], 0) == SETTLED; i++)
            append_part(&v->parts[i], e, absent, escape, out);
        le32_put(out->p + at, (uint32_t)(out->n - at - 4));
    }
}

void value_thaw(const struct value *v, struct str *frozen, struct evaluation *e,
                struct str absent, value_escape_fn *escape, struct buf *out)
{
    for (size_t i = 0; i < v->n; i++) {
        size_t n = le32_get(frozen->p);
        buf_put_str(out, str_slice(*frozen, 4, 4 + n));
        *frozen = str_slice(*frozen, 4 + n, frozen->n);
        while (i < v->n && part_moment(&v->parts[i], 0) == SETTLED)
            i++;
        if (i < v->n)
            append_part(&v->parts[i], e, absent, escape, out);
    }
}
