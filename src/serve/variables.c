/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/variables.h"

#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/version.h"
#include "serve/client.h"
#include "serve/fields.h"
#include "serve/request.h"

/* ---- ways to give a value ---- */

static bool give_u64(struct evaluation *e, uint64_t v, struct str *out)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    size_t n = sizeof digits - at;
    *out = str_n(arena_copy(e->arena, digits + at, n), n);
    return true;
}

/* What the clock lends lives until its next turn; a value lives longer. */
static bool give_copy(struct evaluation *e, struct str s, struct str *out)
{
    *out = arena_str(e->arena, s);
    return true;
}

static bool give_seconds(struct evaluation *e, uint64_t ms, struct str *out)
{
    *out = arena_printf(e->arena, "%llu.%03u", (unsigned long long)(ms / 1000),
                        (unsigned)(ms % 1000));
    return true;
}

#define GETTER(name)                                                           \
    static bool name(struct evaluation *e, const struct variable *v,           \
                     struct str *out)

/* A struct str of the request at offset arg; p NULL: no value. */
GETTER(get_str)
{
    const char *base = (const char *)e->request;
    memcpy(out, base + v->arg, sizeof *out);
    return out->p != NULL;
}

/* ---- the request line and fields ---- */

GETTER(get_host)
{
    (void)v;
    const struct request *r = e->request;
    *out = r->host.n ? r->host : r->server->name;
    if (!out->p)
        *out = STR("");
    return true;
}

GETTER(get_is_args)
{
    (void)v;
    *out = e->request->args.n ? STR("?") : STR("");
    return true;
}

GETTER(get_request_uri)
{
    (void)v;
    *out = e->request->head.path;
    return out->p != NULL;
}

GETTER(get_request_method)
{
    (void)v;
    *out = e->request->main->head.method_text;
    return out->p != NULL;
}

GETTER(get_server_protocol)
{
    (void)v;
    switch (e->request->head.version) {
    case 10:
        *out = STR("HTTP/1.0");
        return true;
    case 11:
        *out = STR("HTTP/1.1");
        return true;
    case 20:
        *out = STR("HTTP/2.0");
        return true;
    default:
        return false; /* the request line could not be read */
    }
}

/* $http_x_y is X-Y, and X_Y where underscores are let in. */
static bool field_is(struct str field, struct str variable)
{
    if (field.n != variable.n)
        return false;
    for (size_t i = 0; i < field.n; i++) {
        char c = ascii_lower(field.p[i]);
        if ((c == '-' ? '_' : c) != variable.p[i])
            return false;
    }
    return true;
}

/* Values joined one after another: the first as it is, more in the arena. */
static void join(struct arena *arena, struct str *all, struct str value,
                 struct str between)
{
    if (!all->p) {
        *all = value;
        return;
    }
    size_t n = all->n + between.n + value.n;
    char *p = arena_alloc(arena, n + 1), *at = p;
    memcpy(at, all->p, all->n);
    at += all->n;
    memcpy(at, between.p, between.n);
    at += between.n;
    if (value.n)
        memcpy(at, value.p, value.n);
    *all = str_n(p, n);
}

static struct str join_request_fields(const struct request *r, struct str name,
                                      struct arena *arena)
{
    struct str all = {NULL, 0};
    struct str between = str_eq(name, STR("cookie")) ? STR("; ") : STR(", ");

    for (size_t i = 0; i < r->head.fields_n; i++)
        if (field_is(r->head.fields[i].name, name))
            join(arena, &all, r->head.fields[i].value, between);
    return all;
}

GETTER(get_http_field)
{
    *out = join_request_fields(e->request, v->rest, e->arena);
    return out->p != NULL;
}

GETTER(get_content_type)
{
    (void)v;
    *out = http_head_find(&e->request->head, STR("Content-Type"));
    return out->p != NULL;
}

GETTER(get_content_length)
{
    (void)v;
    *out = http_head_find(&e->request->head, STR("Content-Length"));
    return out->p != NULL;
}

GETTER(get_arg)
{
    return fields_find_arg(e->request->args, v->rest, out);
}

GETTER(get_cookie)
{
    const struct http_head *h = &e->request->head;
    for (size_t i = 0; i < h->fields_n; i++)
        if (str_eq_nocase(h->fields[i].name, STR("Cookie")) &&
            fields_find_cookie(h->fields[i].value, v->rest, out))
            return true;
    return false;
}

GETTER(get_remote_user)
{
    (void)v;
    struct str field = http_head_find(&e->request->head, STR("Authorization"));
    return fields_basic_user(field, e->arena, out);
}

GETTER(get_request_id)
{
    struct request *main = e->request->main;
    static const char hex[] = "0123456789abcdef";
    uint8_t id[16];
    if (main != e->request)
        return variable_eval((struct variable *)(uintptr_t)v, &main->eval, out);
    char *text = arena_alloc(e->arena, 2 * sizeof id);
    random_bytes(id, sizeof id);
    for (size_t i = 0; i < sizeof id; i++) {
        text[2 * i] = hex[id[i] >> 4];
        text[2 * i + 1] = hex[id[i] & 15];
    }
    *out = str_n(text, 2 * sizeof id);
    return true;
}

GETTER(get_request_length)
{
    (void)v;
    return give_u64(e, e->request->request_length, out);
}

GETTER(get_request_time)
{
    (void)v;
    uint64_t now = clock_now_us(), start = e->request->started_us;
    return give_seconds(e, now > start ? (now - start) / 1000 : 0, out);
}

/* ---- the connection ---- */

static bool give_ip(struct evaluation *e, const struct address *a,
                    struct str *out)
{
    char text[ADDRESS_TEXT_MAX];
    return give_copy(e, address_ip_text(a, text), out);
}

/* A unix address has no port; that is an empty value, not a missing one. */
static bool give_port(struct evaluation *e, const struct address *a,
                      struct str *out)
{
    uint16_t port = address_port(a);
    if (port)
        return give_u64(e, port, out);
    *out = STR("");
    return true;
}

GETTER(get_remote_addr)
{
    (void)v;
    return give_ip(e, request_remote(e->request), out);
}

GETTER(get_remote_port)
{
    (void)v;
    return give_port(e, request_remote(e->request), out);
}

GETTER(get_server_addr)
{
    const struct address *a = request_local(e->request);
    char text[ADDRESS_TEXT_MAX];
    (void)v;
    return give_copy(e,
                     address_is_unix(a) ? address_text(a, text)
                                        : address_ip_text(a, text),
                     out);
}

GETTER(get_server_port)
{
    (void)v;
    return give_port(e, request_local(e->request), out);
}

GETTER(get_binary_remote_addr)
{
    (void)v;
    const struct address *a = request_remote(e->request);
    if (a->sa.any.sa_family == AF_INET)
        *out = str_n(&a->sa.in.sin_addr, sizeof a->sa.in.sin_addr);
    else if (a->sa.any.sa_family == AF_INET6)
        *out = str_n(&a->sa.in6.sin6_addr, sizeof a->sa.in6.sin6_addr);
    else
        return give_ip(e, a, out);
    return give_copy(e, *out, out);
}

GETTER(get_proxy_add_x_forwarded_for)
{
    (void)v;
    struct str all =
        join_request_fields(e->request, STR("x_forwarded_for"), e->arena);
    struct str ip;
    give_ip(e, request_remote(e->request), &ip);
    join(e->arena, &all, ip, STR(", "));
    *out = all;
    return true;
}

GETTER(get_scheme)
{
    (void)v;
    *out = request_is_tls(e->request) ? STR("https") : STR("http");
    return true;
}

GETTER(get_https)
{
    (void)v;
    *out = request_is_tls(e->request) ? STR("on") : STR("");
    return true;
}

GETTER(get_server_name)
{
    (void)v;
    *out = e->request->server->name;
    if (!out->p)
        *out = STR("");
    return true;
}

GETTER(get_connection)
{
    (void)v;
    return give_u64(e, request_connection(e->request), out);
}

GETTER(get_connection_requests)
{
    (void)v;
    if (!e->request->client)
        return false;
    return give_u64(e, e->request->client->requests, out);
}

/* ---- the response ---- */

GETTER(get_status)
{
    (void)v;
    *out = arena_printf(e->arena, "%03u", e->request->response.status);
    return true;
}

GETTER(get_bytes_sent)
{
    (void)v;
    return give_u64(e, e->request->bytes_sent, out);
}

GETTER(get_body_bytes_sent)
{
    (void)v;
    return give_u64(e, e->request->body_sent, out);
}

GETTER(get_request_completion)
{
    (void)v;
    *out = e->request->response.finished ? STR("OK") : STR("");
    return true;
}

static bool get_sent_special(struct evaluation *e, struct str name,
                             struct str *out)
{
    const struct response *p = &e->request->response;
    char date[CLOCK_HTTP_DATE_SIZE];

    if (str_eq(name, STR("content_type"))) {
        *out = p->content_type;
    } else if (str_eq(name, STR("location"))) {
        *out = p->location;
    } else if (str_eq(name, STR("etag"))) {
        *out = p->etag;
    } else if (str_eq(name, STR("server"))) {
        *out = p->server;
    } else if (str_eq(name, STR("date"))) {
        *out = p->date;
    } else if (str_eq(name, STR("content_length"))) {
        return p->content_length >= 0 &&
               give_u64(e, (uint64_t)p->content_length, out);
    } else if (str_eq(name, STR("last_modified"))) {
        return p->last_modified != -1 &&
               give_copy(e, clock_format_http(p->last_modified, date), out);
    } else if (str_eq(name, STR("transfer_encoding"))) {
        *out = p->chunked ? STR("chunked") : (struct str){NULL, 0};
    } else if (str_eq(name, STR("connection"))) {
        *out = p->status == 101         ? STR("upgrade")
               : e->request->keep_alive ? STR("keep-alive")
                                        : STR("close");
    } else {
        return false;
    }
    return out->p != NULL;
}

GETTER(get_sent_http_field)
{
    const struct response *p = &e->request->response;
    struct str all = {NULL, 0};

    for (size_t i = 0; i < p->fields_n; i++)
        if (field_is(p->fields[i].name, v->rest))
            join(e->arena, &all, p->fields[i].value, STR(", "));
    if (!all.p)
        return get_sent_special(e, v->rest, out);
    *out = all;
    return true;
}

GETTER(get_sent_trailer)
{
    const struct response *p = &e->request->response;
    struct str all = {NULL, 0};

    for (size_t i = 0; i < p->trailers_n; i++)
        if (field_is(p->trailers[i].name, v->rest))
            join(e->arena, &all, p->trailers[i].value, STR(", "));
    *out = all;
    return all.p != NULL;
}

/* ---- time, and who we are ---- */

GETTER(get_time_local)
{
    (void)v;
    return give_copy(e, clock_log_date(), out);
}

GETTER(get_time_iso8601)
{
    (void)v;
    return give_copy(e, clock_iso_date(), out);
}

GETTER(get_msec)
{
    (void)v;
    return give_seconds(e, clock_wall_us() / 1000, out);
}

GETTER(get_pid)
{
    (void)v;
    return give_u64(e, (uint64_t)getpid(), out);
}

GETTER(get_version)
{
    (void)v, (void)e;
    *out = STR(PENSTOCK_VERSION);
    return true;
}

GETTER(get_hostname)
{
    (void)v, (void)e;
    static char name[256];
    if (!name[0]) {
        gethostname(name, sizeof name - 1);
        for (char *c = name; *c; c++)
            *c = ascii_lower(*c);
    }
    *out = str_c(name);
    return true;
}

#define REQUEST_STR(field)                                                     \
    .get = get_str, .arg = offsetof(struct request, field)

const struct variable serve_variables[] = {
    {.name = "host", .get = get_host},
    {.name = "hostname", .get = get_hostname},
    {.name = "http_", .get = get_http_field},
    {.name = "arg_", .get = get_arg},
    {.name = "cookie_", .get = get_cookie},
    {.name = "sent_http_", .get = get_sent_http_field},
    {.name = "sent_trailer_", .get = get_sent_trailer},
    {.name = "uri", REQUEST_STR(uri)},
    {.name = "document_uri", REQUEST_STR(uri)},
    {.name = "request_uri", .get = get_request_uri},
    {.name = "args", REQUEST_STR(args)},
    {.name = "query_string", REQUEST_STR(args)},
    {.name = "is_args", .get = get_is_args},
    {.name = "scheme", .get = get_scheme},
    {.name = "https", .get = get_https},
    {.name = "server_name", .get = get_server_name},
    {.name = "server_port", .get = get_server_port},
    {.name = "server_addr", .get = get_server_addr},
    {.name = "server_protocol", .get = get_server_protocol},
    {.name = "remote_addr", .get = get_remote_addr},
    {.name = "remote_port", .get = get_remote_port},
    {.name = "binary_remote_addr", .get = get_binary_remote_addr},
    {.name = "remote_user", .get = get_remote_user},
    {.name = "proxy_add_x_forwarded_for", .get = get_proxy_add_x_forwarded_for},
    {.name = "request", REQUEST_STR(raw)},
    {.name = "request_method", .get = get_request_method},
    {.name = "request_time", .get = get_request_time, .flags = VARIABLE_LIVE},
    {.name = "request_id", .get = get_request_id, .flags = VARIABLE_CACHED},
    {.name = "request_length", .get = get_request_length},
    {.name = "request_completion",
     .get = get_request_completion,
     .flags = VARIABLE_LIVE},
    {.name = "status", .get = get_status},
    {.name = "body_bytes_sent",
     .get = get_body_bytes_sent,
     .flags = VARIABLE_LIVE},
    {.name = "bytes_sent", .get = get_bytes_sent, .flags = VARIABLE_LIVE},
    {.name = "time_local", .get = get_time_local, .flags = VARIABLE_LIVE},
    {.name = "time_iso8601", .get = get_time_iso8601, .flags = VARIABLE_LIVE},
    {.name = "msec", .get = get_msec, .flags = VARIABLE_LIVE},
    {.name = "connection", .get = get_connection},
    {.name = "connection_requests", .get = get_connection_requests},
    {.name = "pid", .get = get_pid},
    {.name = "nginx_version", .get = get_version},
    {.name = "penstock_version", .get = get_version},
    {.name = "content_length", .get = get_content_length},
    {.name = "content_type", .get = get_content_type},
    {.name = NULL},
};
