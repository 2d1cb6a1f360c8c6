/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>

#include "base/check.h"
#include "http/writer.h"
#include "proxy_parts.h"
#include "serve/body.h"

enum {
    UPSTREAM_QUEUE_MAX = 64 * 1024, /* bytes of a request body that wait for
                                       the peer; then the client waits */
    SENDFILE_MAX = 512 * 1024,      /* bytes of a file in one call */
};

/* One request head is built at a time; the memory is kept. */
static struct buf head_buf;

void proxy_fini(void)
{
    buf_fini(&head_buf);
    proxy_cache_fini();
}

/* ---- the head ---- */

/* Does the client ask for an upgrade that we pass?  Other protocols than
 * WebSocket could carry requests past the access rules of this configuration,
 * so they need proxy_upgrade any. */
static bool upgrade_is_wanted(const struct proxy *p)
{
    const struct request *r = p->request;
    struct str protocol = http_head_find(&r->head, STR("Upgrade"));

    if (!r->head.upgrade || r->head.version != 11)
        return false;
    return p->conf->upgrade || str_eq_nocase(protocol, STR("websocket"));
}

static void put_set_fields(struct proxy *p, bool upgrade)
{
    const struct proxy_conf *c = p->conf;

    for (size_t i = 0; i < c->fields_n; i++) {
        const struct proxy_field *f = &c->fields[i];
        struct str value = value_eval(f->value, &p->request->eval);
        if (!value.n)
            continue; /* an empty value: the field is not sent */
        bool is_upgrade = str_eq_nocase(f->name, STR("Upgrade"));
        if (is_upgrade && !upgrade)
            continue;
        if (str_eq_nocase(f->name, STR("Connection")) && !upgrade &&
            str_list_has(value, STR("upgrade")))
            continue;
        if (is_upgrade)
            p->upgrade_asked = true;
        http_put_field(&head_buf, f->name, value);
    }
}

static bool is_set_by_us(const struct proxy_conf *c, struct str name)
{
    for (size_t i = 0; i < c->fields_n; i++)
        if (str_eq_nocase(c->fields[i].name, name))
            return true;
    return str_eq_nocase(name, STR("Content-Length")) ||
           str_eq_nocase(name, STR("Transfer-Encoding"));
}

/* The client's fields, but those that are between it and us (RFC 9110
 * 7.6.1) and those that we set: naming a field in Connection removes the
 * client's, never ours. */
static void put_client_fields(struct proxy *p)
{
    const struct http_head *h = &p->request->head;
    struct str connection =
        http_head_join(h, STR("Connection"), p->request->arena);
    bool names_fields = connection.n &&
                        !str_eq_nocase(connection, STR("keep-alive")) &&
                        !str_eq_nocase(connection, STR("close"));

    for (size_t i = 0; i < h->fields_n; i++) {
        const struct http_field *f = &h->fields[i];
        if (is_set_by_us(p->conf, f->name) || http_field_is_hop_by_hop(f->name))
            continue;
        if (p->cache && proxy_cache_drops(p, f->name))
            continue;
        if (names_fields && str_list_has(connection, f->name))
            continue;
        http_put_field(&head_buf, f->name, f->value);
    }
}

/* What we could send of the client's body was dropped, or another had it. */
static bool body_is_gone(const struct proxy *p)
{
    const struct request *r = p->request;
    return r->body_discarded || (r->body_streamed && !p->streams);
}

static void put_framing(struct proxy *p, struct str set_body)
{
    const struct request *r = p->request;

    if (p->conf->set_body) {
        http_put_field_u64(&head_buf, STR("Content-Length"), set_body.n);
        return;
    }
    if (!p->conf->pass_request_body)
        return;
    if (r->body && r->body->complete) {
        p->sends_stored = true;
        http_put_field_u64(&head_buf, STR("Content-Length"), r->body->size);
        return;
    }
    if (body_is_gone(p))
        return; /* an error page of a request whose body is gone */
    if (r->head.body == BODY_LENGTH) {
        http_put_field_u64(&head_buf, STR("Content-Length"),
                           r->head.content_length);
    } else if (r->head.body == BODY_CHUNKED) {
        p->body_chunked = true;
        http_put_field(&head_buf, STR("Transfer-Encoding"), STR("chunked"));
    }
}

int proxy_make_head(struct proxy *p, struct str uri)
{
    const struct proxy_conf *c = p->conf;
    struct request *r = p->request;
    struct str method =
        c->method ? value_eval(c->method, &r->eval) : r->head.method_text;
    struct str set_body = {NULL, 0};
    bool upgrade = upgrade_is_wanted(p);

    if (proxy_cache_asks_get(p))
        method = STR("GET");
    p->sends_head = str_eq(method, STR("HEAD"));
    if (!uri.n || uri.p[0] != '/')
        uri = arena_printf(r->arena, "/%.*s", STR_ARG(uri));
    buf_clear(&head_buf);
    http_put_request_line(&head_buf, method, uri, c->http_version);
    put_set_fields(p, upgrade);
    if (c->websocket && upgrade && !p->upgrade_asked) {
        p->upgrade_asked = true;
        http_put_field(&head_buf, STR("Upgrade"), STR("websocket"));
        http_put_field(&head_buf, STR("Connection"), STR("upgrade"));
    }
    if (p->upgrade_asked &&
        (r->head.body == BODY_CHUNKED || r->head.content_length)) {
        /* After the 101 nobody could tell body from what follows. */
        log_info(&r->log, "client sent an upgrade with a body");
        return 400;
    }
    if (c->set_body)
        set_body = value_eval(c->set_body, &r->eval);
    put_framing(p, set_body);
    if (p->cache)
        proxy_cache_put_conditions(p, &head_buf);
    if (c->pass_request_headers)
        put_client_fields(p);
    http_put_head_end(&head_buf);
    buf_put_str(&head_buf, set_body);
    p->body_ended = r->body_complete || body_is_gone(p);
    if (c->set_body || !c->pass_request_body) {
        p->body_ended = true;
        r->body_discarded = true;
    }
    p->head = arena_str(r->arena, buf_str(&head_buf));
    return VERDICT_DECLINED;
}

/* ---- sending ---- */

/* Give one piece of body to the peer, framed. */
static void send_piece(struct proxy *p, const uint8_t *data, size_t n,
                       bool last)
{
    struct stream *s = p->conn->stream;
    char chunk[HTTP_CHUNK_HEAD_MAX];
    struct iovec iov[4];
    int k = 0;

    if (n && p->body_chunked)
        iov[k++] = (struct iovec){chunk, http_chunk_head(chunk, n)};
    if (n)
        iov[k++] = (struct iovec){(void *)(uintptr_t)data, n};
    if (n && p->body_chunked)
        iov[k++] = (struct iovec){(void *)(uintptr_t) "\r\n", 2};
    if (last && p->body_chunked)
        iov[k++] = (struct iovec){(void *)(uintptr_t) "0\r\n\r\n", 5};
    if (k)
        stream_send(s, iov, k);
    if (stream_queued(s) > UPSTREAM_QUEUE_MAX)
        request_pause_body(p->request);
}

bool proxy_request_is_left(const struct proxy *p)
{
    const struct request_body *b = p->request->body;

    if (!p->body_ended || stream_queued(p->conn->stream))
        return true;
    return p->sends_stored && b->fd != -1 && (uint64_t)p->file_at < b->size;
}

void proxy_wait_for_response(struct proxy *p)
{
    bool all_sent = !proxy_request_is_left(p);
    if (p->state == PROXY_SENDING && all_sent)
        request_doing(p->request, "reading response header from upstream");
    if (all_sent)
        proxy_arm(p, p->conf->read_timeout_ms);
    else if (stream_queued(p->conn->stream) || p->sends_stored)
        proxy_arm(p, p->conf->send_timeout_ms);
    else
        timer_clear(&p->conn->timer); /* it is the client who is slow, and
                                         client_body_timeout is running */
}

/* What the kernel takes now of a body that is in a file. */
bool proxy_send_file(struct proxy *p)
{
    const struct request_body *b = p->request->body;
    struct stream *s = p->conn->stream;

    if (!p->sends_stored || b->fd == -1)
        return true;
    stream_flush(s);
    while ((uint64_t)p->file_at < b->size && !stream_queued(s)) {
        uint64_t left = b->size - (uint64_t)p->file_at;
        ssize_t sent =
            stream_sendfile(s, b->fd, &p->file_at,
                            left < SENDFILE_MAX ? (size_t)left : SENDFILE_MAX);
        if (sent == 0)
            break;
        if (sent < 0) {
            log_errno(&p->request->log, LEVEL_CRIT, errno,
                      "sendfile() of \"%s\" failed", b->file.p);
            return false;
        }
    }
    return true;
}

static void send_stored(struct proxy *p)
{
    const struct request_body *b = p->request->body;
    struct iovec iov[2] = {
        {(void *)(uintptr_t)p->head.p, p->head.n},
        {b->p, b->n},
    };

    p->file_at = 0;
    stream_send(p->conn->stream, iov, b->fd == -1 && b->n ? 2 : 1);
    if (proxy_send_file(p))
        proxy_wait_for_response(p);
    else
        proxy_finish(p, 500);
}

void proxy_send_request(struct proxy *p)
{
    struct stream *s = p->conn->stream;
    struct iovec iov[2] = {
        {(void *)(uintptr_t)p->head.p, p->head.n},
        {p->body.p, p->body.n},
    };

    p->request_sent = true;
    if (p->sends_stored) {
        send_stored(p);
        return;
    }
    if (p->body.n && p->body_chunked) {
        stream_send(s, iov, 1);
        send_piece(p, p->body.p, p->body.n, p->body_ended);
    } else {
        stream_send(s, iov, p->body.n ? 2 : 1);
        if (p->body_chunked && p->body_ended)
            send_piece(p, NULL, 0, true);
    }
    proxy_wait_for_response(p);
    if (p->request->body_paused && !stream_queued(s))
        request_resume_body(p->request);
}

/* Keep what may have to be sent again; what does not fit is sent once and
 * ends the chance of another try. */
static void remember(struct proxy *p, const uint8_t *data, size_t n)
{
    if (p->body_lost || buf_put(&p->body, data, n))
        return;
    p->body_lost = true;
    buf_fini(&p->body);
}

void proxy_send_body(struct proxy *p, const uint8_t *data, size_t n, bool last)
{
    if (p->state == PROXY_OVER || p->body_ended)
        return;
    p->body_ended = last;
    p->request->body_streamed = true;
    bool sending = p->conn && p->state != PROXY_CONNECTING;
    if (sending) {
        remember(p, data, n);
        send_piece(p, data, n, last);
        if (p->state == PROXY_SENDING)
            proxy_wait_for_response(p);
        return;
    }
    /* Not connected yet: what was read is kept, and no more is read. */
    if (p->body.n + n > p->body.max)
        p->body.max = p->body.n + n;
    buf_put(&p->body, data, n);
    if (p->body.n >= p->body_most)
        request_pause_body(p->request);
}
