/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy_parts.h"

static const struct upstream_trace *trace_of(const struct evaluation *e)
{
    return e->request->upstream;
}

static bool get_proxy_host(struct evaluation *e, const struct variable *v,
                           struct str *out)
{
    const struct upstream_trace *t = trace_of(e);
    (void)v;
    if (!t)
        return false;
    *out = str_starts(t->host, STR("unix:")) ? STR("localhost") : t->host;
    return true;
}

static bool get_proxy_port(struct evaluation *e, const struct variable *v,
                           struct str *out)
{
    const struct upstream_trace *t = trace_of(e);
    (void)v;
    if (!t)
        return false;
    *out = t->port ? arena_printf(e->arena, "%u", t->port) : STR("");
    return true;
}

/* The $upstream_ variables have one element a try, joined with ", ". */
typedef void put_try_fn(struct buf *out, const struct upstream_try *t);

static bool join_tries(struct evaluation *e, put_try_fn *put, struct str *out)
{
    const struct upstream_trace *t = trace_of(e);
    struct buf text = {0};

    if (!t || !t->n)
        return false;
    for (size_t i = 0; i < t->n; i++) {
        if (i)
            buf_put_str(&text, t->tries[i].redirected ? STR(" : ") : STR(", "));
        put(&text, &t->tries[i]);
    }
    *out = arena_str(e->arena, buf_str(&text));
    buf_fini(&text);
    return true;
}

static void put_seconds(struct buf *out, uint64_t from_us, uint64_t to_us)
{
    if (!to_us || to_us < from_us) {
        buf_put_u8(out, '-');
        return;
    }
    unsigned long long ms = (to_us - from_us) / 1000;
    buf_printf(out, "%llu.%03llu", ms / 1000, ms % 1000);
}

static void put_address(struct buf *out, const struct upstream_try *t)
{
    buf_put_str(out, t->address);
}

static void put_status(struct buf *out, const struct upstream_try *t)
{
    if (t->status)
        buf_put_u64_text(out, t->status);
    else
        buf_put_u8(out, '-');
}

static void put_connect_time(struct buf *out, const struct upstream_try *t)
{
    put_seconds(out, t->started_us, t->connected_us);
}

static void put_header_time(struct buf *out, const struct upstream_try *t)
{
    put_seconds(out, t->started_us, t->head_us);
}

static void put_response_time(struct buf *out, const struct upstream_try *t)
{
    put_seconds(out, t->started_us, t->ended_us);
}

static void put_received(struct buf *out, const struct upstream_try *t)
{
    buf_put_u64_text(out, t->received);
}

static void put_sent(struct buf *out, const struct upstream_try *t)
{
    buf_put_u64_text(out, t->sent);
}

static void put_length(struct buf *out, const struct upstream_try *t)
{
    buf_put_u64_text(out, t->body);
}

static put_try_fn *const try_pieces[] = {
    put_address,       put_status,   put_connect_time, put_header_time,
    put_response_time, put_received, put_sent,         put_length,
};

static bool get_try_piece(struct evaluation *e, const struct variable *v,
                          struct str *out)
{
    return join_tries(e, try_pieces[v->arg], out);
}

/* Underscores stand for dashes in $upstream_http_content_type. */
static bool name_fits(struct str field, struct str wanted)
{
    if (field.n != wanted.n)
        return false;
    for (size_t i = 0; i < field.n; i++) {
        char c = field.p[i] == '-' ? '_' : ascii_lower(field.p[i]);
        if (c != wanted.p[i])
            return false;
    }
    return true;
}

/* Values of fields of one name are joined, as in $http_. */
static bool find_field(const struct http_field *fields, size_t n,
                       const struct variable *v, struct evaluation *e,
                       struct str *out)
{
    bool found = false;

    for (size_t i = 0; i < n; i++) {
        if (!name_fits(fields[i].name, v->rest))
            continue;
        *out = found ? arena_printf(e->arena, "%.*s, %.*s", STR_ARG(*out),
                                    STR_ARG(fields[i].value))
                     : fields[i].value;
        found = true;
    }
    return found;
}

static bool get_upstream_http(struct evaluation *e, const struct variable *v,
                              struct str *out)
{
    const struct upstream_trace *t = trace_of(e);
    return t && find_field(t->head.fields, t->head.fields_n, v, e, out);
}

static bool get_upstream_trailer(struct evaluation *e, const struct variable *v,
                                 struct str *out)
{
    const struct upstream_trace *t = trace_of(e);
    return t && find_field(t->trailers, t->trailers_n, v, e, out);
}

/* The value of the cookie of that name in the last response. */
static bool get_upstream_cookie(struct evaluation *e, const struct variable *v,
                                struct str *out)
{
    const struct upstream_trace *t = trace_of(e);

    for (size_t i = 0; t && i < t->head.fields_n; i++) {
        if (!str_eq_nocase(t->head.fields[i].name, STR("Set-Cookie")))
            continue;
        struct str text = t->head.fields[i].value;
        struct str pair = str_cut(&text, ';');
        size_t equals = str_find(pair, '=', 0);
        if (equals == pair.n ||
            !str_eq_nocase(str_trim(str_slice(pair, 0, equals)), v->rest))
            continue;
        *out = str_trim(str_slice(pair, equals + 1, pair.n));
        return true;
    }
    return false;
}

static bool get_cache(struct evaluation *e, const struct variable *v,
                      struct str *out)
{
    const struct upstream_trace *t = trace_of(e);
    if (!t)
        return false;
    *out = v->arg == 0   ? t->cache_status
           : v->arg == 1 ? t->cache_modified
                         : t->cache_etag;
    return out->p != NULL;
}

const struct variable proxy_variables[] = {
    {.name = "proxy_host", .get = get_proxy_host},
    {.name = "proxy_port", .get = get_proxy_port},
    {.name = "upstream_addr", .get = get_try_piece, .arg = 0},
    {.name = "upstream_status", .get = get_try_piece, .arg = 1},
    {.name = "upstream_connect_time", .get = get_try_piece, .arg = 2},
    {.name = "upstream_header_time", .get = get_try_piece, .arg = 3},
    {.name = "upstream_response_time", .get = get_try_piece, .arg = 4},
    {.name = "upstream_bytes_received", .get = get_try_piece, .arg = 5},
    {.name = "upstream_bytes_sent", .get = get_try_piece, .arg = 6},
    {.name = "upstream_response_length", .get = get_try_piece, .arg = 7},
    {.name = "upstream_cache_status", .get = get_cache, .arg = 0},
    {.name = "upstream_cache_last_modified", .get = get_cache, .arg = 1},
    {.name = "upstream_cache_etag", .get = get_cache, .arg = 2},
    {.name = "upstream_http_", .get = get_upstream_http},
    {.name = "upstream_trailer_", .get = get_upstream_trailer},
    {.name = "upstream_cookie_", .get = get_upstream_cookie},
    {.name = NULL},
};
