/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/rewrite.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/check.h"
#include "http/uri.h"
#include "rewrite_program.h"
#include "serve/types.h"

/* ---- conditions ---- */

static bool match(struct request *r, struct regex *regex,
                  const struct regex_names *names, struct str subject)
{
    const struct rewrite_conf *conf = request_conf(r, &rewrite_module);
    bool found = regex_match(regex, subject, &r->eval.captures);

    if (found)
        regex_names_store(names, &r->eval);
    else
        r->eval.captures.n = 0; /* $1 is not the one of a match before */
    if (conf->log)
        log_notice(&r->log, "\"%.*s\" %s \"%.*s\"",
                   STR_ARG(regex_pattern(regex)),
                   found ? "matches" : "does not match", STR_ARG(subject));
    return found;
}

static bool test_path(struct request *r, const struct rewrite_condition *c)
{
    struct stat st;
    struct str text = value_eval(c->left, &r->eval);

    if (text.n == 0 || memchr(text.p, 0, text.n))
        return false;
    const char *path = arena_cstr(r->arena, text);
    if (stat(path, &st) == -1) {
        if (errno != ENOENT && errno != ENOTDIR && errno != ENAMETOOLONG)
            log_errno(&r->log, LEVEL_CRIT, errno, "stat() \"%s\" failed", path);
        return false;
    }
    switch (c->test) {
    case TEST_FILE:
        return S_ISREG(st.st_mode);
    case TEST_DIRECTORY:
        return S_ISDIR(st.st_mode);
    case TEST_EXECUTABLE:
        return st.st_mode & S_IXUSR;
    case TEST_EXISTS:
    case TEST_TRUTH:
    case TEST_EQUAL:
    case TEST_REGEX:
        break;
    }
    return true;
}

static bool test(struct request *r, const struct rewrite_condition *c)
{
    struct str s;

    switch (c->test) {
    case TEST_TRUTH:
        s = value_eval(c->left, &r->eval);
        return s.n && !(s.n == 1 && s.p[0] == '0');
    case TEST_EQUAL:
        s = value_eval(c->left, &r->eval);
        return str_eq(s, value_eval(c->right, &r->eval));
    case TEST_REGEX:
        return match(r, c->regex, c->names, value_eval(c->left, &r->eval));
    case TEST_FILE:
    case TEST_DIRECTORY:
    case TEST_EXISTS:
    case TEST_EXECUTABLE:
        return test_path(r, c);
    }
    return false;
}

/* ---- return ---- */

/* What a variable brings may hold a newline ($uri is decoded); in a Location
 * it would begin a field of the client's choice. */
static struct str safe_location(struct request *r, struct str s)
{
    size_t bad = 0;
    for (size_t i = 0; i < s.n; i++)
        bad += (unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f;
    if (!bad)
        return s;

    char *p = arena_alloc(r->arena, s.n + 2 * bad), *at = p;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c >= 0x20 && c != 0x7f) {
            *at++ = (char)c;
            continue;
        }
        *at++ = '%';
        *at++ = "0123456789ABCDEF"[c >> 4];
        *at++ = "0123456789ABCDEF"[c & 15];
    }
    return str_n(p, (size_t)(at - p));
}

static bool is_redirect(unsigned status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 ||
           status == 308;
}

static int answer(struct request *r, const struct rewrite_return *a)
{
    struct str text = a->text ? value_eval(a->text, &r->eval) : STR("");

    if (is_redirect(a->status)) {
        r->response.location = safe_location(r, text);
        return (int)a->status;
    }
    if (a->status == 444 || (a->status >= 400 && !text.n))
        return (int)a->status;
    struct str type = r->response.content_type; /* X-Accel-Redirect's */
    if (!type.p)
        type = types_find(request_conf(r, &types_module), r->uri);
    if (a->status == 204 || a->status == 304)
        type = STR("");
    return request_respond(r, a->status, type, text);
}

/* ---- rewrite ---- */

/* Captures are decoded text: in a query or a redirect they are coded again,
 * when the client had coded anything. */
static bool was_coded(const struct request *r)
{
    struct str path = r->head.path;
    path.n = str_find(path, '?', 0);
    return str_find(path, '%', 0) < path.n || str_find(path, '+', 0) < path.n;
}

/* The replacement, in scratch; where its arguments begin, or SIZE_MAX. */
static size_t put_replacement(struct request *r, const struct rewrite_change *c,
                              struct buf *scratch)
{
    size_t args_at = SIZE_MAX;

    buf_clear(scratch);
    for (size_t i = 0; i < c->n; i++) {
        const struct rewrite_piece *piece = &c->pieces[i];
        if (piece->begins_args)
            args_at = scratch->n;
        if (piece->value) {
            buf_put_str(scratch, value_eval(piece->value, &r->eval));
            continue;
        }
        struct str s = captures_get(&r->eval.captures, piece->capture);
        if ((c->status || args_at != SIZE_MAX) && was_coded(r))
            s = http_uri_escape_in(r->arena, s, ESCAPE_ARGS);
        buf_put_str(scratch, s);
    }
    /* "/x?" followed by nothing is seen to by keep_args; "/x?" followed by an
     * empty piece has arguments that are empty. */
    return args_at;
}

/*
 * Decode what need not be coded in the path of a redirect, as nginx does:
 * printable characters above "%", up to the first "?".  In place.
 */
static size_t uncode_redirect(char *p, size_t n)
{
    size_t to = 0, i = 0;

    while (i < n) {
        int high = i + 2 < n ? ascii_hex(p[i + 1]) : -1;
        int low = i + 2 < n ? ascii_hex(p[i + 2]) : -1;
        if (p[i] == '%' && high >= 0 && low >= 0) {
            int c = high << 4 | low;
            if (c > '%' && c < 0x7f) {
                p[to++] = (char)c;
                i += 3;
            } else {
                memmove(p + to, p + i, 3);
                to += 3;
                i += 3;
            }
        } else {
            p[to++] = p[i++];
        }
        if (p[to - 1] == '?')
            break;
    }
    memmove(p + to, p + i, n - i);
    return to + n - i;
}

static int redirect(struct request *r, const struct rewrite_change *c,
                    struct buf *scratch)
{
    const struct rewrite_conf *conf = request_conf(r, &rewrite_module);

    if (scratch->n)
        scratch->n = uncode_redirect((char *)scratch->p, scratch->n);
    if (c->keep_args && r->args.n) {
        buf_put_u8(scratch, c->has_args ? '&' : '?');
        buf_put_str(scratch, r->args);
    }
    struct str to = arena_str(r->arena, buf_str(scratch));
    if (conf->log)
        log_notice(&r->log, "rewritten redirect: \"%.*s\"", STR_ARG(to));
    r->response.location = safe_location(r, to);
    return (int)c->status;
}

static int change_uri(struct request *r, const struct rewrite_change *c,
                      struct buf *scratch, size_t args_at)
{
    const struct rewrite_conf *conf = request_conf(r, &rewrite_module);
    struct str all = arena_str(r->arena, buf_str(scratch));

    if (args_at != SIZE_MAX) {
        struct str args = str_slice(all, args_at, all.n);
        if (c->keep_args && r->args.n)
            args = arena_printf(r->arena, "%.*s&%.*s", STR_ARG(args),
                                STR_ARG(r->args));
        r->args = args;
        all.n = args_at;
    } else if (!c->keep_args) {
        r->args = (struct str){NULL, 0};
    }
    if (conf->log)
        log_notice(&r->log, "rewritten data: \"%.*s\", args: \"%.*s\"",
                   STR_ARG(all), STR_ARG(r->args));
    if (all.n == 0) {
        log_err(&r->log, "the rewritten URI has a zero length");
        return 500;
    }
    r->uri = all;
    r->internal = true;
    r->uri_is_as_sent = false;
    r->uri_changed = !c->is_break;
    r->uri_rewritten = true;
    return VERDICT_DECLINED;
}

/* ---- a program ---- */

static int run_change(struct request *r, const struct rewrite_change *c,
                      bool *stop)
{
    static struct buf scratch; /* kept; one request is rewritten at a time */

    if (!match(r, c->regex, c->names, r->uri))
        return VERDICT_DECLINED;
    *stop = c->ends;
    size_t args_at = put_replacement(r, c, &scratch);
    return c->status ? redirect(r, c, &scratch)
                     : change_uri(r, c, &scratch, args_at);
}

static void run_set(struct request *r, const struct rewrite_set *s)
{
    struct str value = value_eval(s->value, &r->eval);
    if (s->variable) {
        variable_store(s->variable, &r->eval, value);
        return;
    }
    r->args = value;
    r->uri_is_as_sent = false;
}

static int run_program(struct request *r, const struct rewrite_program *p,
                       bool *stop)
{
    int verdict = VERDICT_DECLINED;

    for (const struct rewrite_step *s = p->first;
         s && !*stop && verdict == VERDICT_DECLINED; s = s->next)
        switch (s->kind) {
        case REWRITE_BREAK:
            *stop = true;
            r->uri_changed = false;
            break;
        case REWRITE_SET:
            run_set(r, &s->set);
            break;
        case REWRITE_IF:
            if (test(r, &s->branch.condition) == s->branch.condition.negate)
                break;
            if (s->branch.location)
                r->location = s->branch.location;
            if (s->branch.then)
                verdict = run_program(r, s->branch.then, stop);
            break;
        case REWRITE_RETURN:
            verdict = answer(r, &s->answer);
            break;
        case REWRITE_CHANGE:
            verdict = run_change(r, &s->change, stop);
            break;
        }
    return verdict;
}

static int run_scope(struct request *r, const struct conf_scope *scope)
{
    const struct rewrite_conf *c = conf_get(scope, &rewrite_module);
    bool stop = false;

    if (c->owner != scope)
        return VERDICT_DECLINED;
    return run_program(r, c->program, &stop);
}

int rewrite_run_server(struct request *r)
{
    return run_scope(r, r->server->scope);
}

int rewrite_run_location(struct request *r)
{
    /* No location was found: these settings are the server's, and ran. */
    if (r->location == r->server->root)
        return VERDICT_DECLINED;
    return run_scope(r, r->location->scope);
}
