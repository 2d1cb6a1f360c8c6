/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ssl_stapling: OCSP responses are fetched over HTTP when a client asks for
 * one that is not there or not fresh.  That client goes without: no
 * handshake waits (RFC 6960 appendix A.1).
 */
#include "base/check.h"
#include "http/reader.h"
#include "io/connect.h"
#include "serve/client.h"
#include "serve/look_up.h"
#include "tls_parts.h"

enum {
    TIMEOUT_MS = 60000,
    RESPONSE_MAX = 64 * 1024, /* bytes */
};

static const struct http_limits limits = {
    .line_max = 4096, .field_max = 4096, .head_max = 16384, .fields_max = 64};

struct job {
    struct tls_staple *staple;
    struct address to;
    struct str url, host, path;
    struct log_ctx log;
    /* while one is fetched */
    struct loop *loop;
    struct stream *stream;
    struct http_reader *reader;
    struct timer timer;
    struct buf body;
    bool is_good; /* the status was 200 */
};

/* ---- one exchange ---- */

static void hang_up(struct job *j)
{
    timer_clear(&j->timer);
    if (j->stream)
        stream_close(j->stream);
    j->stream = NULL;
    http_reader_destroy(j->reader);
    j->reader = NULL;
    buf_fini(&j->body);
}

static void give_up(struct job *j, const char *why)
{
    log_err(&j->log, "%s while requesting certificate status, responder: %.*s",
            why, STR_ARG(j->url));
    hang_up(j);
    tls_staple_failed(j->staple);
}

static void complete(struct job *j)
{
    struct err err;

    if (!j->is_good) {
        give_up(j, "OCSP responder sent no \"200\" response");
        return;
    }
    if (tls_staple_take(j->staple, buf_str(&j->body), &err) == -1)
        log_err(&j->log,
                "%s while requesting certificate status, responder: %.*s",
                err.text, STR_ARG(j->url));
    hang_up(j);
}

static void on_timer(struct timer *timer)
{
    give_up(CONTAINER(timer, struct job, timer), "OCSP responder timed out");
}

static void on_data(void *owner, struct span *in)
{
    struct job *j = owner;
    struct http_event ev;
    int rc;

    while (j->reader && (rc = http_reader_next(j->reader, in, &ev)) != 0) {
        if (rc < 0) {
            give_up(j, http_reader_error(j->reader));
            return;
        }
        if (ev.type == HTTP_EVENT_HEAD)
            j->is_good = ev.head->status == 200;
        else if (ev.type == HTTP_EVENT_END)
            complete(j);
        else if (ev.type == HTTP_EVENT_BODY &&
                 !buf_put(&j->body, ev.data.p, ev.data.n))
            give_up(j, "OCSP responder sent too much");
    }
}

static void on_end(void *owner, enum stream_end end, int error)
{
    struct job *j = owner;
    struct http_event ev;
    (void)error;

    if (end == STREAM_EOF && http_reader_finish(j->reader, &ev) == 1)
        complete(j);
    else
        give_up(j, end == STREAM_EOF ? "OCSP responder prematurely closed "
                                       "connection"
                                     : "connection to OCSP responder failed");
}

static void put_base64(struct buf *out, struct str s)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < s.n; i += 3) {
        const unsigned char *p = (const unsigned char *)s.p + i;
        size_t left = s.n - i;
        unsigned v = (unsigned)p[0] << 16 |
                     (left > 1 ? (unsigned)p[1] << 8 : 0) |
                     (left > 2 ? p[2] : 0u);
        for (size_t k = 0; k < 4; k++) {
            char c = k > left ? '=' : digits[v >> (18 - 6 * k) & 63];
            if (c == '+' || c == '/' || c == '=')
                buf_printf(out, "%%%02X", (unsigned)c);
            else
                buf_put_u8(out, (uint8_t)c);
        }
    }
}

/* By GET, which caches between us understand. */
static void on_connect(void *owner)
{
    struct job *j = owner;
    struct buf der = {0}, out = {0};

    tls_staple_put_request(j->staple, &der);
    buf_printf(&out, "GET %.*s%s", STR_ARG(j->path),
               str_ends(j->path, STR("/")) ? "" : "/");
    put_base64(&out, buf_str(&der));
    buf_printf(&out, " HTTP/1.0\r\nHost: %.*s\r\n\r\n", STR_ARG(j->host));
    stream_put(j->stream, out.p, out.n);
    buf_fini(&out);
    buf_fini(&der);
}

static const struct stream_events events = {
    .on_data = on_data, .on_end = on_end, .on_connect = on_connect};

void ssl_stapling_fetch(void *owner, struct tls_staple *staple)
{
    struct client *c = owner;
    struct job *j = tls_staple_data(staple);
    bool pending;

    j->loop = c->listeners->loop;
    j->is_good = false;
    j->body.max = RESPONSE_MAX;
    j->reader = http_response_reader_create(&limits);
    j->stream = stream_connect(j->loop, &j->to, NULL, &events, j, &pending);
    if (!j->stream) {
        give_up(j, "connection to OCSP responder failed");
        return;
    }
    timer_set(j->loop, &j->timer, TIMEOUT_MS);
    if (!pending)
        on_connect(j);
}

/* ---- configuration ---- */

static void end_job(void *arg)
{
    struct job *j = arg;
    if (j->stream)
        tls_staple_failed(j->staple);
    hang_up(j);
    tls_staple_set_data(j->staple, NULL);
}

static void prepare(struct conf *conf, struct tls_staple *staple,
                    const struct log_target *log)
{
    struct job *j = arena_calloc(conf->arena, sizeof *j);
    struct err kept = *conf->err;

    j->staple = staple;
    j->url = arena_str(conf->arena, str_c(tls_staple_url(staple)));
    if (!str_starts_nocase(j->url, STR("http://"))) {
        conf_warn(conf,
                  "\"ssl_stapling\" ignored, invalid URL prefix in OCSP "
                  "responder \"%.*s\"",
                  STR_ARG(j->url));
        return;
    }
    struct str rest = str_slice(j->url, 7, j->url.n);
    size_t slash = str_find(rest, '/', 0);
    j->host = str_slice(rest, 0, slash);
    j->path = slash < rest.n ? str_slice(rest, slash, rest.n) : STR("/");
    if (look_up_address(conf, "OCSP responder", j->host, 80, &j->to) == -1) {
        conf_warn(conf, "\"ssl_stapling\" ignored, %s", conf->err->text);
        *conf->err = kept;
        return;
    }
    j->log = log_process;
    j->log.target = log;
    timer_init(&j->timer, on_timer);
    tls_staple_set_data(staple, j);
    arena_on_destroy(conf->arena, end_job, j);
}

void ssl_stapling_prepare(struct conf *conf, struct tls_context *ctx,
                          const struct log_target *log)
{
    struct tls_staple *staple;
    for (size_t i = 0; (staple = tls_context_staple(ctx, i)); i++)
        prepare(conf, staple, log);
}
