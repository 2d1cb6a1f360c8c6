/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/check.h"
#include "http/writer.h"
#include "proxy_parts.h"

/*
 * After a 101 the request stands for its log line only: two streams, each
 * one's input is the other's output, and who cannot write pauses the other.
 */

enum {
    TUNNEL_QUEUE_MAX = 64 * 1024 /* bytes that wait for a slow side */
};

static void pass(struct proxy *p, struct stream *from, struct stream *to,
                 struct span *in)
{
    struct iovec iov = {in->p, in->n};

    proxy_arm(p, p->conf->read_timeout_ms);
    stream_send(to, &iov, 1);
    span_advance(in, in->n);
    if (stream_queued(to) > TUNNEL_QUEUE_MAX)
        stream_pause(from);
}

void tunnel_from_upstream(struct proxy *p, struct span *in)
{
    p->tunnel_sent += in->n;
    p->trace->tries[p->trace->n - 1].received += in->n;
    pass(p, p->conn->stream, p->client_stream, in);
}

static void from_client(void *owner, struct span *in)
{
    struct proxy *p = owner;
    p->request->request_length += in->n;
    pass(p, p->client_stream, p->conn->stream, in);
}

/* One side has said its last word: what is on its way to the other one is
 * still delivered, then both are closed. */
static void ended(struct proxy *p, struct stream *to, enum stream_end end)
{
    p->tunnel_ending = true;
    if (end == STREAM_ERROR || !stream_queued(to))
        tunnel_close(p);
}

static bool all_delivered(const struct proxy *p)
{
    return !stream_queued(p->client_stream) && !stream_queued(p->conn->stream);
}

void tunnel_upstream_ended(struct proxy *p, enum stream_end end)
{
    ended(p, p->client_stream, end);
}

static void client_ended(void *owner, enum stream_end end, int error)
{
    struct proxy *p = owner;
    (void)error;
    ended(p, p->conn->stream, end);
}

static void written(struct proxy *p, struct stream *other, size_t queued)
{
    if (queued)
        return;
    if (p->tunnel_ending) {
        if (all_delivered(p))
            tunnel_close(p);
    } else if (other->paused) {
        stream_resume(other);
    }
}

static void client_written(void *owner, size_t queued)
{
    struct proxy *p = owner;
    written(p, p->conn->stream, queued);
}

void tunnel_upstream_written(struct proxy *p, size_t queued)
{
    written(p, p->client_stream, queued);
}

static const struct stream_events tunnel_client_events = {
    .on_data = from_client,
    .on_end = client_ended,
    .on_written = client_written,
};

/* The peer's 101 with its fields, Connection and Upgrade among them. */
static void send_head(struct proxy *p)
{
    struct buf head = {0};
    const struct http_head *h = &p->response;
    struct request *r = p->request;

    http_put_status_line(&head, 101, STR(""));
    http_put_field(&head, STR("Connection"), STR("upgrade"));
    http_put_field(&head, STR("Upgrade"), http_head_find(h, STR("Upgrade")));
    proxy_copy_fields(p);
    for (size_t i = 0; i < r->response.fields_n; i++)
        http_put_field(&head, r->response.fields[i].name,
                       r->response.fields[i].value);
    http_put_head_end(&head);
    stream_put(p->client_stream, head.p, head.n);
    p->tunnel_sent += head.n;
    buf_fini(&head);
}

void tunnel_start(struct proxy *p, struct span *rest)
{
    struct request *r = p->request;

    p->state = PROXY_TUNNEL;
    request_doing(r, "proxying upgraded connection");
    p->client_stream = request_take_stream(r);
    stream_hand_over(p->client_stream, &tunnel_client_events, p);
    send_head(p);
    if (rest->n)
        tunnel_from_upstream(p, rest);
    else
        proxy_arm(p, p->conf->read_timeout_ms);
    stream_resume(p->client_stream);
}

void tunnel_close(struct proxy *p)
{
    struct stream *s = p->client_stream;

    p->client_stream = NULL;
    p->keep = false;
    if (s)
        stream_close(s);
    request_end_taken(p->request, 101, p->tunnel_sent);
}
