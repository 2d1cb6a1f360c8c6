/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A transport in front of the stream's own: it takes what time allows and
 * then says EAGAIN, as a full socket does; a timer is the socket's readiness.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "io/stream.h"
#include "io/timer.h"

enum {
    WAIT_MS = 50,    /* between two pieces */
    PIECES = 16,     /* of what is written at once */
    FIRST_MS = 1000, /* what may leave at once: a second's worth */
};

struct throttle {
    struct stream *stream;
    const struct stream_transport *inner;
    struct timer timer;
    uint64_t rate; /* bytes a second */
    uint64_t free_bytes, sent;
    uint64_t since_ms;
};

static size_t allowance(const struct throttle *t)
{
    uint64_t ms = clock_now_ms() - t->since_ms + FIRST_MS;
    uint64_t all = ms > INT64_MAX / t->rate ? INT64_MAX : t->rate * ms / 1000;
    all = all > INT64_MAX - t->free_bytes ? INT64_MAX : all + t->free_bytes;
    uint64_t left = all > t->sent ? all - t->sent : 0;
    return left < SIZE_MAX ? (size_t)left : SIZE_MAX;
}

static ssize_t wait(struct throttle *t)
{
    if (!timer_is_set(&t->timer))
        timer_set(t->stream->loop, &t->timer, WAIT_MS);
    errno = EAGAIN;
    return -1;
}

static void on_timer(struct timer *timer)
{
    struct throttle *t = CONTAINER(timer, struct throttle, timer);
    struct stream *s = t->stream;
    s->writable = true;
    s->drained = true;
    loop_defer(s->loop, &s->flush);
}

static ssize_t counted(struct throttle *t, ssize_t n)
{
    if (n > 0)
        t->sent += (uint64_t)n;
    return n;
}

static ssize_t recv_through(struct stream *s, void *p, size_t n)
{
    return s->throttle->inner->recv(s, p, n);
}

static ssize_t writev_limited(struct stream *s, const struct iovec *iov, int n)
{
    struct throttle *t = s->throttle;
    size_t left = allowance(t);
    struct iovec some[PIECES];
    int k = 0;

    if (!left)
        return wait(t);
    for (; k < n && k < PIECES && left > 0; k++) {
        some[k] = iov[k];
        if (some[k].iov_len > left)
            some[k].iov_len = left;
        left -= some[k].iov_len;
    }
    return counted(t, t->inner->writev(s, some, k));
}

static ssize_t sendfile_limited(struct stream *s, int fd, off_t *at, size_t n)
{
    struct throttle *t = s->throttle;
    size_t left = allowance(t);

    if (!left)
        return wait(t);
    return counted(t, t->inner->sendfile(s, fd, at, n < left ? n : left));
}

static int shutdown_through(struct stream *s)
{
    return s->throttle->inner->shutdown(s);
}

static void drop(struct stream *s)
{
    struct throttle *t = s->throttle;
    s->transport = t->inner;
    s->throttle = NULL;
    timer_clear(&t->timer);
    free(t);
}

static void fini(struct stream *s)
{
    drop(s);
    if (s->transport->fini)
        s->transport->fini(s);
}

static const struct stream_transport limited = {
    .recv = recv_through,
    .writev = writev_limited,
    .sendfile = sendfile_limited,
    .shutdown = shutdown_through,
    .fini = fini,
};

void stream_throttle(struct stream *s, uint64_t rate, uint64_t free_bytes)
{
    if (s->closed || (!rate && !s->throttle))
        return;
    if (!rate) {
        bool waited = timer_is_set(&s->throttle->timer);
        struct throttle *t = s->throttle;
        if (waited)
            on_timer(&t->timer);
        drop(s);
        return;
    }
    struct throttle *t = s->throttle;
    if (!t) {
        t = s->throttle = xcalloc(1, sizeof *t);
        t->stream = s;
        t->inner = s->transport;
        timer_init(&t->timer, on_timer);
        s->transport = &limited;
    }
    t->rate = rate;
    t->free_bytes = free_bytes;
    t->sent = 0;
    t->since_ms = clock_now_ms();
}
