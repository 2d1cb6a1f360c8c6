/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/http1.h"

#include "base/check.h"
#include "base/clock.h"
#include "filter/filters.h"
#include "http/writer.h"
#include "serve/client.h"
#include "serve/core.h"
#include "steps.h"

enum {
    GATHER_MAX = 4096, /* bytes of a response piece that waits for the end of
                          the turn; larger ones are not worth the copy */
    PIECES_MAX = 16,   /* of one request_send_body() */
};

/* One response head is built at a time; the memory is kept. */
static struct buf head_buf;
static struct buf tail_buf; /* a last chunk with trailers */

void http1_fini(void)
{
    buf_fini(&head_buf);
    buf_fini(&tail_buf);
}

/* A Location that is a path becomes absolute (absolute_redirect). */
static void put_location(struct buf *b, struct request *r,
                         const struct core_conf *conf)
{
    struct str to = r->response.location;

    buf_put_str(b, STR("Location: "));
    if (conf->absolute_redirect && to.n && to.p[0] == '/') {
        bool tls = request_is_tls(r);
        uint16_t port = address_port(request_local(r));
        struct str host = conf->server_name_in_redirect && r->server->name.n
                              ? r->server->name
                              : r->host;
        char text[ADDRESS_TEXT_MAX];
        if (!host.n)
            host = address_ip_text(request_local(r), text);
        buf_put_str(b, tls ? STR("https://") : STR("http://"));
        buf_put_str(b, host);
        if (conf->port_in_redirect && port && port != (tls ? 443 : 80)) {
            buf_put_u8(b, ':');
            buf_put_u64_text(b, port);
        }
    }
    buf_put_str(b, to);
    buf_put_str(b, STR("\r\n"));
}

static bool status_has_no_body(unsigned status)
{
    return status < 200 || status == 204 || status == 304;
}

/* How the end of the body is told (RFC 9112 section 6.3). */
static void choose_framing(struct request *r, const struct core_conf *conf)
{
    struct response *p = &r->response;
    bool can_chunk = r->head.version >= 11 && conf->chunked_transfer_encoding;

    if (p->header_only)
        return;
    if (p->expect_trailers && can_chunk)
        p->content_length = -1;
    if (p->content_length >= 0)
        return;
    if (can_chunk)
        p->chunked = true;
    else
        r->keep_alive = false;
}

static void put_connection(struct buf *b, struct request *r,
                           const struct core_conf *conf)
{
    if (!r->keep_alive) {
        buf_put_str(b, STR("Connection: close\r\n"));
        return;
    }
    buf_put_str(b, STR("Connection: keep-alive\r\n"));
    if (conf->keepalive_header_s)
        buf_printf(b, "Keep-Alive: timeout=%llu\r\n",
                   (unsigned long long)conf->keepalive_header_s);
}

static void put_head(struct buf *b, struct request *r)
{
    const struct core_conf *conf = core_conf_of(r->location);
    struct response *p = &r->response;
    char date[CLOCK_HTTP_DATE_SIZE];

    steps_decide_keep_alive(r);
    choose_framing(r, conf);
    http_put_status_line(b, p->status, STR(""));
    struct str server = p->server.p ? p->server : response_server(r);
    if (server.n)
        http_put_field(b, STR("Server"), server);
    http_put_field(b, STR("Date"), p->date.p ? p->date : clock_http_date());
    if (p->content_type.n)
        http_put_field(b, STR("Content-Type"), p->content_type);
    if (p->content_length >= 0 && !status_has_no_body(p->status))
        http_put_field_u64(b, STR("Content-Length"),
                           (uint64_t)p->content_length);
    if (p->last_modified >= 0)
        http_put_field(b, STR("Last-Modified"),
                       clock_format_http(p->last_modified, date));
    if (p->location.n)
        put_location(b, r, conf);
    if (p->chunked)
        buf_put_str(b, STR("Transfer-Encoding: chunked\r\n"));
    put_connection(b, r, conf);
    if (p->etag.n)
        http_put_field(b, STR("ETag"), p->etag);
    for (size_t i = 0; i < p->fields_n; i++)
        http_put_field(b, p->fields[i].name, p->fields[i].value);
    http_put_head_end(b);
}

/* Put the pieces on the stream, gathered or at once. */
static void give(struct request *r, const struct iovec *iov, int n,
                 size_t total)
{
    struct stream *s = r->client->stream;

    r->bytes_sent += total;
    if (total > GATHER_MAX) {
        stream_send(s, iov, n);
    } else {
        for (int i = 0; i < n; i++)
            stream_put(s, iov[i].iov_base, iov[i].iov_len);
    }
    client_sent(r->client);
}

struct pieces {
    struct iovec iov[PIECES_MAX + 4];
    int n;
    size_t total;
};

static void add_piece(struct pieces *out, const void *p, size_t n)
{
    if (!n)
        return;
    out->iov[out->n++] = (struct iovec){(void *)(uintptr_t)p, n};
    out->total += n;
}

static void add_trailers(struct request *r, struct pieces *out)
{
    const struct response *p = &r->response;

    filters_run_trailers(r);
    buf_clear(&tail_buf);
    buf_put_str(&tail_buf, STR("0\r\n"));
    for (size_t i = 0; i < p->trailers_n; i++)
        http_put_field(&tail_buf, p->trailers[i].name, p->trailers[i].value);
    http_put_head_end(&tail_buf);
    add_piece(out, tail_buf.p, tail_buf.n);
}

static void add_body(struct request *r, struct pieces *out,
                     const struct iovec *iov, int n, size_t size, bool last,
                     char chunk_head[HTTP_CHUNK_HEAD_MAX])
{
    if (r->response.chunked && size)
        add_piece(out, chunk_head, http_chunk_head(chunk_head, size));
    for (int i = 0; i < n; i++)
        add_piece(out, iov[i].iov_base, iov[i].iov_len);
    r->body_sent += size;
    if (!r->response.chunked)
        return;
    if (size)
        add_piece(out, "\r\n", 2);
    if (last && r->response.expect_trailers)
        add_trailers(r, out);
    else if (last)
        add_piece(out, "0\r\n\r\n", 5);
}

static size_t http1_send(struct request *r, const struct iovec *iov, int n,
                         bool last)
{
    struct pieces out = {.n = 0};
    char chunk_head[HTTP_CHUNK_HEAD_MAX];
    size_t size = 0;

    check(n <= PIECES_MAX && !r->response.finished);
    for (int i = 0; i < n; i++)
        size += iov[i].iov_len;
    if (!r->response.head_sent) {
        r->response.head_sent = true;
        buf_clear(&head_buf);
        put_head(&head_buf, r);
        add_piece(&out, head_buf.p, head_buf.n);
    }
    if (!r->response.header_only)
        add_body(r, &out, iov, n, size, last, chunk_head);
    if (last)
        r->response.finished = true;
    if (out.n)
        give(r, out.iov, out.n, out.total);
    return stream_queued(r->client->stream);
}

static void http1_interim(struct request *r, unsigned status,
                          const struct http_field *fields, size_t n)
{
    if (r->head.version < 11)
        return; /* RFC 9110 15.2: not to an HTTP/1.0 client */
    buf_clear(&head_buf);
    http_put_status_line(&head_buf, status, STR(""));
    for (size_t i = 0; i < n; i++)
        http_put_field(&head_buf, fields[i].name, fields[i].value);
    http_put_head_end(&head_buf);
    give(r, &(struct iovec){head_buf.p, head_buf.n}, 1, head_buf.n);
}

const struct wire http1_wire = {
    .send = http1_send,
    .interim = http1_interim,
};
