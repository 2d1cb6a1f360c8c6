/* SPDX-License-Identifier: BSD-2-Clause */
#include "logs.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/check.h"
#include "base/clock.h"
#include "bridge/exchange.h"
#include "bridge/session.h"

enum {
    TEXT_MAX = 1024, /* bytes of a line, either way */
    SECOND_MS = 1000,
};

/* ---- so many lines a second ---- */

static bool may_pass(struct link *l, struct line_rate *rate)
{
    uint64_t now = clock_now_ms();

    if (now - rate->since_ms >= SECOND_MS && !rate->suppressed) {
        rate->since_ms = now;
        rate->used = 0;
    }
    if (rate->used < l->backend->pool->conf->set.log_rate) {
        rate->used++;
        return true;
    }
    /* The timer tells how many, and opens the next second. */
    rate->suppressed++;
    if (!timer_is_set(&l->logs_timer))
        timer_set(bridge.loop, &l->logs_timer, SECOND_MS);
    return false;
}

static uint32_t take_suppressed(struct line_rate *rate)
{
    uint32_t n = rate->suppressed;

    rate->suppressed = 0;
    rate->used = 0;
    rate->since_ms = clock_now_ms();
    return n;
}

static void say_suppressed(struct link *l)
{
    uint32_t n = take_suppressed(&l->logs_in);
    if (n)
        log_warn(link_log(l), "backend \"%.*s\": %u lines suppressed",
                 STR_ARG(l->backend->pool->name), n);
}

/* ---- of the backend ---- */

/* What a backend writes goes into a line of ours: no control characters. */
static void clean(char *out, size_t size, struct str text)
{
    size_t n = text.n < size - 1 ? text.n : size - 1;

    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        out[i] = c < 0x20 || c == 0x7f ? '?' : text.p[i];
    }
    out[n] = '\0';
}

/* About a client the line says who that is. */
static const struct log_ctx *context(struct link *l, uint64_t cid)
{
    struct link_client *c = cid ? link_client_find(l, cid) : NULL;

    if (!c)
        return link_log(l);
    return c->kind == LINK_SESSION ? session_log((struct session *)c)
                                   : &((struct exchange *)c)->request->log;
}

static void write_text(struct link *l, uint64_t cid, enum log_level level,
                       const char *what, struct str text)
{
    char line[TEXT_MAX];

    if (!may_pass(l, &l->logs_in))
        return;
    clean(line, sizeof line, text);
    log_write(context(l, cid), level, "backend \"%.*s\" %s: %s",
              STR_ARG(l->backend->pool->name), what, line);
}

int logs_on_log(struct link *l, const struct sluice_frame *f)
{
    struct sluice_log line;

    int rc = sluice_log_get(&line, f);
    if (rc == 0)
        write_text(l, line.cid, (enum log_level)((int)line.level + LEVEL_EMERG),
                   "says", line.text);
    return rc;
}

void logs_on_error(struct link *l, const struct sluice_error_frame *e)
{
    char what[64];

    snprintf(what, sizeof what, "reports %s", sluice_error_name(e->code));
    write_text(l, e->cid,
               e->severity == SLUICE_SEVERITY_INFO ? LEVEL_WARN : LEVEL_ERROR,
               what, e->text);
}

void logs_on_setlog(struct link *l, const struct sluice_frame *f)
{
    unsigned level = f->header.aux;
    l->told_level = level <= 7 ? (uint8_t)(level + LEVEL_EMERG) : 0;
}

/* ---- to the backend ---- */

bool logs_wants(const struct link *l, const struct link_client *c,
                enum log_level level)
{
    const struct session *s =
        c && c->kind == LINK_SESSION ? (const struct session *)c : NULL;

    if (level > l->told_level && !(s && s->debug))
        return false;
    if (level == LEVEL_DEBUG && !l->backend->pool->conf->set.debug)
        return false;
    return l->state == LINK_READY || l->state == LINK_DRAINING ||
           l->state == LINK_WARMING;
}

static void send_line(struct link *l, uint64_t cid, enum log_level level,
                      struct str text)
{
    struct sluice_log line = {
        .cid = cid,
        .level = (uint16_t)(level - LEVEL_EMERG),
        .text = text,
    };

    /* Something else may be in the making. */
    if (l->scratch.n || stream_queued(l->stream) > LINK_QUEUE_SOFT) {
        l->logs_out.suppressed++;
        if (!timer_is_set(&l->logs_timer))
            timer_set(bridge.loop, &l->logs_timer, SECOND_MS);
        return;
    }
    sluice_log_put(&l->scratch, &line);
    link_send_scratch(l);
}

static void tell(struct link *l, const struct link_client *c,
                 enum log_level level, const char *format, va_list args)
{
    char text[TEXT_MAX];

    if (!logs_wants(l, c, level) || !may_pass(l, &l->logs_out))
        return;
    int n = vsnprintf(text, sizeof text, format, args);
    if (n < 0)
        return;
    size_t size = (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    send_line(l, c ? c->cid : 0, level, str_n(text, size));
}

void logs_tell(struct link *l, const struct link_client *c,
               enum log_level level, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    tell(l, c, level, format, args);
    va_end(args);
}

void logs_tell_pool(struct pool *p, const struct link *but,
                    enum log_level level, const char *format, ...)
{
    LIST_EACH(item, after, &p->backends)
    {
        struct link *l = CONTAINER(item, struct backend, in_pool)->link;
        va_list args;
        if (!l || l == but)
            continue;
        va_start(args, format);
        tell(l, NULL, level, format, args);
        va_end(args);
    }
}

/* ---- the timer ---- */

static void on_timer(struct timer *t)
{
    struct link *l = CONTAINER(t, struct link, logs_timer);

    say_suppressed(l);
    uint32_t n = take_suppressed(&l->logs_out);
    if (n && l->state != LINK_CLOSED) {
        char text[64];
        snprintf(text, sizeof text, "%u lines suppressed", n);
        send_line(l, 0, LEVEL_WARN, str_c(text));
    }
}

void logs_init(struct link *l)
{
    timer_init(&l->logs_timer, on_timer);
}

void logs_fini(struct link *l)
{
    say_suppressed(l);
    timer_clear(&l->logs_timer);
}
