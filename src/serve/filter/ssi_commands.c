/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/check.h"
#include "http/uri.h"
#include "ssi.h"

enum {
    REGEXES_MAX = 512, /* of one response: each is memory until its end */
};

/* ---- parameters ---- */

static bool find(const struct ssi_event *ev, const char *name,
                 struct str *value)
{
    for (size_t i = 0; i < ev->parameters_n; i++)
        if (str_eq(ev->parameters[i].name, str_c(name))) {
            *value = ev->parameters[i].value;
            return true;
        }
    *value = (struct str){NULL, 0};
    return false;
}

/* What `set` made first, then the variables of the server. */
static bool variable(struct ssi *s, struct str name, struct str *out)
{
    struct request *r = s->request;

    if (name.n == 1 && ascii_is_digit(name.p[0])) {
        *out = captures_get(&s->page->captures, (unsigned)(name.p[0] - '0'));
        return out->p != NULL;
    }
    for (struct ssi_variable *v = s->page->variables; v; v = v->next)
        if (str_eq(v->name, name)) {
            *out = v->value;
            return true;
        }
    char *lowered = arena_cstr(r->arena, name);
    for (size_t i = 0; i < name.n; i++)
        lowered[i] = ascii_lower(lowered[i]);
    return variables_eval_name(&r->generation->variables, &r->eval,
                               str_n(lowered, name.n), out);
}

static bool is_name(char c)
{
    return (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') ||
           ascii_is_digit(c) || c == '_';
}

/* Takes the name behind a "$" off *rest; false: malformed. */
static bool take_name(struct str *rest, struct str *name)
{
    bool braced = rest->n && rest->p[0] == '{';
    size_t i = braced, from = braced;

    while (i < rest->n && is_name(rest->p[i]))
        i++;
    *name = str_slice(*rest, from, i);
    if (!name->n || (braced && (i == rest->n || rest->p[i] != '}')))
        return false;
    *rest = str_slice(*rest, i + braced, rest->n);
    return true;
}

static bool begins_name(char c)
{
    return c == '{' || (is_name(c) && !ascii_is_digit(c));
}

/* Text with $variables in it, and \$ for a dollar; false: malformed.  In a
 * pattern a $ that no name follows is the end of what it matches. */
static bool evaluate_text(struct ssi *s, struct str text, bool is_pattern,
                          struct str *out)
{
    struct buf b = {.max = 1024 * 1024};
    bool good = true;

    while (text.n && good) {
        size_t at = str_find(text, '$', 0);
        bool escaped = at && at < text.n && text.p[at - 1] == '\\';
        good = buf_put(&b, text.p, escaped ? at - 1 : at);
        text = str_slice(text, at, text.n);
        if (!text.n || !good)
            break;
        struct str name, value;
        text = str_slice(text, 1, text.n);
        if (escaped || (is_pattern && !(text.n && begins_name(text.p[0]))))
            good = buf_put_u8(&b, '$');
        else
            good = take_name(&text, &name) && (!variable(s, name, &value) ||
                                               buf_put(&b, value.p, value.n));
    }
    *out = arena_str(s->request->arena, buf_str(&b));
    buf_fini(&b);
    if (!good)
        log_err(&s->request->log, "invalid variable in SSI command");
    return good;
}

static bool evaluate(struct ssi *s, struct str text, struct str *out)
{
    return evaluate_text(s, text, false, out);
}

/* ---- include ---- */

/* An include with set=: its body is kept. */
struct capture {
    struct ssi *ssi;
    struct str name, stub;
    struct buf body;
    bool too_big;
};

static bool capture_body(void *owner, struct request *sub,
                         const struct iovec *iov, int n)
{
    struct capture *c = owner;

    for (int i = 0; i < n; i++)
        if (!buf_put(&c->body, iov[i].iov_base, iov[i].iov_len) &&
            !c->too_big) {
            log_err(&sub->log, "too big subrequest response");
            c->too_big = true;
        }
    return true;
}

static void capture_end(void *owner, struct request *sub, bool complete)
{
    struct capture *c = owner;
    struct ssi *s = c->ssi;
    (void)sub;

    s->capturing = false;
    ssi_set(s, &s->page->variables, c->name,
            complete && !c->too_big ? buf_str(&c->body) : STR(""));
    filter_go_on(s->splice.filter);
}

static const struct subrequest_events capture_events = {
    .on_body = capture_body,
    .on_end = capture_end,
};

static void free_capture(void *arg)
{
    buf_fini(&((struct capture *)arg)->body);
}

static bool include_into(struct ssi *s, struct str name, struct str uri,
                         struct str args)
{
    struct arena *arena = s->request->arena;
    struct capture *c = arena_calloc(arena, sizeof *c);

    c->ssi = s;
    c->name = arena_str(arena, name);
    buf_init(&c->body, (size_t)s->conf->output_buffer);
    arena_on_destroy(arena, free_capture, c);
    s->capturing =
        subrequest_create(s->request, uri, args, 0, &capture_events, c) != NULL;
    return s->capturing;
}

/* Relative to the page, decoded, and not above the root. */
static bool make_uri(struct ssi *s, struct str target, struct str *path,
                     struct str *args)
{
    struct request *r = s->request;
    struct str text;
    struct http_uri uri;

    if (!evaluate(s, target, &text) || !text.n)
        return false;
    if (text.p[0] != '/') {
        size_t slash = r->uri.n;
        while (slash && r->uri.p[slash - 1] != '/')
            slash--;
        struct str directory = http_uri_escape_in(
            r->arena, str_slice(r->uri, 0, slash), ESCAPE_PATH);
        text = arena_printf(r->arena, "%.*s%.*s", STR_ARG(directory),
                            STR_ARG(text));
    }
    struct str rest = text, before = str_cut(&rest, '?');
    bool up = false;
    for (struct str left = before; left.p;)
        up = str_eq(str_cut(&left, '/'), STR("..")) || up;
    if (up || http_uri_parse(text, false, r->arena, &uri) < 0) {
        log_err(&r->log, "unsafe URI \"%.*s\" was detected", STR_ARG(text));
        return false;
    }
    *path = uri.path;
    *args = uri.args;
    return true;
}

static bool run_include(struct ssi *s, const struct ssi_event *ev)
{
    struct str file, virtual, set, wait, stub, path, args;
    bool is_file = find(ev, "file", &file);
    bool is_virtual = find(ev, "virtual", &virtual);

    if (is_file == is_virtual) {
        log_err(&s->request->log,
                is_file ? "inclusion may be either virtual=\"%.*s\" or file"
                        : "no parameter in \"include\" SSI command%.*s",
                STR_ARG(virtual));
        return false;
    }
    bool waits = is_file;
    if (find(ev, "wait", &wait)) {
        if (!str_eq_nocase(wait, STR("yes")) &&
            !str_eq_nocase(wait, STR("no"))) {
            log_err(&s->request->log, "invalid value \"%.*s\" of \"wait\"",
                    STR_ARG(wait));
            return false;
        }
        waits = waits || str_eq_nocase(wait, STR("yes"));
    }
    if (!make_uri(s, is_file ? file : virtual, &path, &args))
        return false;
    if (find(ev, "set", &set))
        return include_into(s, set, path, args);
    struct splice_part *part = splice_include(&s->splice, path, args);
    if (!part)
        return false;
    if (find(ev, "stub", &stub) && ssi_block(s, stub).n)
        part->stub = ssi_block(s, stub);
    if (waits)
        s->waiting = part;
    return true;
}

/* ---- echo ---- */

static struct str escape_entities(struct arena *arena, struct str s)
{
    struct buf b = {.max = 0};

    for (size_t i = 0; i < s.n; i++)
        switch (s.p[i]) {
        case '<':
            buf_put_str(&b, STR("&lt;"));
            break;
        case '>':
            buf_put_str(&b, STR("&gt;"));
            break;
        case '&':
            buf_put_str(&b, STR("&amp;"));
            break;
        case '"':
            buf_put_str(&b, STR("&quot;"));
            break;
        default:
            buf_put_u8(&b, (uint8_t)s.p[i]);
        }
    struct str out = arena_str(arena, buf_str(&b));
    buf_fini(&b);
    return out;
}

static struct str escape_url(struct arena *arena, struct str s)
{
    struct buf b = {.max = 0};

    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];
        if (c <= ' ' || c >= 0x7f || strchr("\"#%'<>", c))
            buf_printf(&b, "%%%02X", c);
        else
            buf_put_u8(&b, c);
    }
    struct str out = arena_str(arena, buf_str(&b));
    buf_fini(&b);
    return out;
}

static bool run_echo(struct ssi *s, const struct ssi_event *ev)
{
    struct arena *arena = s->request->arena;
    struct str name, value, otherwise, encoding = {NULL, 0};

    if (!find(ev, "var", &name))
        return false;
    if (!variable(s, name, &value))
        value = find(ev, "default", &otherwise) ? otherwise : STR("(none)");
    for (size_t i = 0; i < ev->parameters_n; i++)
        if (str_eq(ev->parameters[i].name, STR("encoding")))
            encoding = ev->parameters[i].value;
    if (!encoding.p || str_eq(encoding, STR("entity"))) {
        value = escape_entities(arena, value);
    } else if (str_eq(encoding, STR("url"))) {
        value = escape_url(arena, value);
    } else if (!str_eq(encoding, STR("none"))) {
        log_err(&s->request->log,
                "unknown encoding \"%.*s\" in the \"echo\" "
                "command",
                STR_ARG(encoding));
    }
    splice_text(&s->splice, value);
    return true;
}

/* ---- config, set ---- */

static bool run_config(struct ssi *s, const struct ssi_event *ev)
{
    struct str value;

    if (find(ev, "timefmt", &value))
        s->timefmt = arena_str(s->request->arena, value);
    if (find(ev, "errmsg", &value))
        s->errmsg = arena_str(s->request->arena, value);
    return true;
}

static bool run_set(struct ssi *s, const struct ssi_event *ev)
{
    struct str name, text, value;

    return find(ev, "var", &name) && find(ev, "value", &text) &&
           evaluate(s, text, &value) &&
           ssi_set(s, &s->page->variables, name, value);
}

/* ---- conditions ---- */

/* "/.../": what matched is there as $1, and as variables of the names. */
static bool matches(struct ssi *s, struct str pattern, struct str text,
                    bool *bad)
{
    struct request *r = s->request;
    struct err err;
    struct regex *regex = s->regexes++ < REGEXES_MAX
                              ? regex_compile(r->arena, pattern, false, &err)
                              : NULL;
    struct str name;
    unsigned group;

    if (!regex) {
        log_err(&r->log, "invalid regex \"%.*s\" in SSI command",
                STR_ARG(pattern));
        *bad = true;
        return false;
    }
    struct captures found;
    /* The page outlives what is matched. */
    if (!regex_match(regex, arena_str(r->main->arena, text), &found))
        return false;
    s->page->captures = found;
    for (unsigned i = 0; regex_name(regex, i, &name, &group); i++) {
        struct str value = captures_get(&found, group);
        if (value.p)
            ssi_set(s, &s->page->variables, name, value);
    }
    return true;
}

static bool is_operand(char c)
{
    return is_name(c) || (c && strchr("${}\"'", c));
}

/* $a, $a = text, $a != text, $a = /regex/; -1: malformed. */
static int holds(struct ssi *s, struct str expr)
{
    struct str left, right;
    size_t n = 0;

    while (n < expr.n && is_operand(expr.p[n]))
        n++;
    if (!evaluate(s, str_slice(expr, 0, n), &left))
        return -1;
    expr = str_trim(str_slice(expr, n, expr.n));
    if (!expr.n)
        return left.n > 0;
    bool negated = expr.p[0] == '!';
    if (negated)
        expr = str_slice(expr, 1, expr.n);
    if (!expr.n || expr.p[0] != '=')
        return -1;
    expr = str_trim(str_slice(expr, 1, expr.n));
    if (expr.n && expr.p[0] == '/') {
        bool bad = false;
        if (expr.n < 2 || expr.p[expr.n - 1] != '/' ||
            !evaluate_text(s, str_slice(expr, 1, expr.n - 1), true, &right))
            return -1;
        bool found = matches(s, right, left, &bad);
        return bad ? -1 : found != negated;
    }
    if (!evaluate(s, expr, &right))
        return -1;
    return str_eq(left, right) != negated;
}

static bool decide(struct ssi *s, const struct ssi_event *ev)
{
    struct str expr;
    int yes = find(ev, "expr", &expr) ? holds(s, expr) : -1;

    if (yes < 0) {
        log_err(&s->request->log, "invalid expression in \"%.*s\"",
                STR_ARG(expr));
        return false;
    }
    s->condition = SSI_IN_IF;
    s->silent = !yes;
    s->branch_done = yes;
    return true;
}

static bool run_if(struct ssi *s, const struct ssi_event *ev)
{
    if (s->condition != SSI_NO_CONDITION) { /* one level, as in nginx */
        log_err(&s->request->log,
                "the \"if\" command inside the \"if\" command");
        return false;
    }
    return decide(s, ev);
}

static bool run_elif(struct ssi *s, const struct ssi_event *ev)
{
    if (s->branch_done) {
        s->silent = true;
        return true;
    }
    return decide(s, ev);
}

static bool run_else(struct ssi *s, const struct ssi_event *ev)
{
    (void)ev;
    s->condition = SSI_IN_ELSE;
    s->silent = s->branch_done;
    return true;
}

static bool run_endif(struct ssi *s, const struct ssi_event *ev)
{
    (void)ev;
    s->condition = SSI_NO_CONDITION;
    s->silent = false;
    return true;
}

/* ---- blocks ---- */

static bool run_block(struct ssi *s, const struct ssi_event *ev)
{
    struct str name;

    if (!find(ev, "name", &name))
        return false;
    s->block_name = arena_str(s->request->arena, name);
    s->in_block = true;
    buf_clear(&s->block);
    return true;
}

static bool run_endblock(struct ssi *s, const struct ssi_event *ev)
{
    (void)ev;
    if (!s->in_block)
        return true;
    s->in_block = false;
    return ssi_set(s, &s->page->blocks, s->block_name, buf_str(&s->block));
}

/* ---- the table ---- */

static const struct {
    const char *name, *parameters; /* those it knows */
    bool (*run)(struct ssi *s, const struct ssi_event *ev);
    bool decides; /* runs in a branch that is not taken, too */
    enum ssi_condition within;
} commands[] = {
    {"include", "virtual file wait set stub", run_include, false, 0},
    {"echo", "var default encoding", run_echo, false, 0},
    {"config", "errmsg timefmt", run_config, false, 0},
    {"set", "var value", run_set, false, 0},
    {"if", "expr", run_if, true, 0},
    {"elif", "expr", run_elif, true, SSI_IN_IF},
    {"else", "", run_else, true, SSI_IN_IF},
    {"endif", "", run_endif, true, SSI_IN_ELSE},
    {"block", "name", run_block, false, 0},
    {"endblock", "", run_endblock, true, 0},
};

static bool is_one_of(const char *list, struct str word)
{
    struct str rest = str_c(list);

    while (rest.p)
        if (str_eq(str_cut(&rest, ' '), word))
            return true;
    return false;
}

bool ssi_run(struct ssi *s, const struct ssi_event *ev)
{
    const struct log_ctx *log = &s->request->log;
    size_t i = 0;

    while (i < COUNT(commands) && !str_eq(ev->name, str_c(commands[i].name)))
        i++;
    if (i == COUNT(commands)) {
        log_err(log, "invalid SSI command: \"%.*s\"", STR_ARG(ev->name));
        return false;
    }
    if (s->silent && !commands[i].decides)
        return true;
    /* elif and else follow an if, endif what there is of them. */
    if (commands[i].within && (s->condition == SSI_NO_CONDITION ||
                               s->condition > commands[i].within)) {
        log_err(log, "invalid context of SSI command: \"%.*s\"",
                STR_ARG(ev->name));
        return false;
    }
    for (size_t k = 0; k < ev->parameters_n; k++)
        if (!is_one_of(commands[i].parameters, ev->parameters[k].name)) {
            log_err(log,
                    "invalid parameter name: \"%.*s\" in \"%.*s\" SSI command",
                    STR_ARG(ev->parameters[k].name), STR_ARG(ev->name));
            return false;
        }
    return commands[i].run(s, ev);
}
