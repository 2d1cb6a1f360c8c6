/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/stream.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "transport.h"

enum {
    IOV_MAX_OUT = 64,      /* pieces of one writev */
    PUT_FLUSH = 64 * 1024, /* queued bytes that do not wait for the end of
                              the turn */
    KEPT_IN_PLACE = 32768, /* more left-over input than this is appended to
                              rather than copied in front of new input */
};

/* Edge-triggered, for the stream's life; libevent tells its size at run time,
 * so it stands behind the stream. */
static struct event *event_of(struct stream *s)
{
    return (struct event *)(s + 1);
}

/* ---- ending ---- */

/* Tell the owner once.  Errors found while writing are told here too, at the
 * turn's end, so that no send call ever calls back. */
static void tell_end(struct stream *s)
{
    if (s->closed || s->ended || !(s->error || s->eof))
        return;
    s->ended = true;
    if (s->error)
        s->events->on_end(s->owner, STREAM_ERROR, s->error);
    else
        s->events->on_end(s->owner, STREAM_EOF, 0);
}

static void flush_soon(struct stream *s)
{
    if (s->in_crowd)
        loop_cancel(&s->flush);
    s->in_crowd = false;
    loop_defer(s->loop, &s->flush);
}

static void set_error(struct stream *s, int error)
{
    if (!s->error)
        s->error = error ? error : ECONNRESET;
    /* After EOF was told, an error is news: the owner may be waiting for its
     * last bytes to leave. */
    s->ended = false;
    queue_drop(&s->queue, s->loop->blocks, s->queue.n);
    flush_soon(s);
}

static void bury_stream(struct loop_task *task)
{
    struct stream *s = CONTAINER(task, struct stream, grave);
    queue_drop(&s->queue, s->loop->blocks, s->queue.n);
    free(s->kept);
    free(s);
}

static void end(struct stream *s)
{
    s->closed = true;
    loop_cancel(&s->flush);
    loop_cancel(&s->more);
    if (s->transport->fini)
        s->transport->fini(s);
    event_del(event_of(s));
    event_debug_unassign(event_of(s));
    close(s->fd);
    s->fd = -1;
    s->grave.run = bury_stream;
    loop_bury(s->loop, &s->grave);
}

/* ---- writing ---- */

static void fail(struct stream *s);

/* Give what is queued to the kernel.  Returns bytes that left. */
static size_t write_queue(struct stream *s)
{
    size_t total = 0;

    while (s->queue.n && s->writable && !s->error) {
        struct iovec iov[IOV_MAX_OUT];
        int n = queue_peek(&s->queue, iov, IOV_MAX_OUT);
        ssize_t sent = s->transport->writev(s, iov, n);
        if (sent >= 0) {
            queue_drop(&s->queue, s->loop->blocks, (size_t)sent);
            total += (size_t)sent;
            s->bytes_out += (size_t)sent;
        } else if (errno == EAGAIN) {
            s->writable = false;
        } else if (errno != EINTR) {
            set_error(s, errno);
        }
    }
    if (s->finishing && !s->queue.n && !s->error) {
        if (s->transport->shutdown(s) == 0)
            s->finishing = false;
        else
            s->writable = false;
    }
    return total;
}

static void run_flush(struct loop_task *task)
{
    struct stream *s = CONTAINER(task, struct stream, flush);
    s->in_crowd = false;
    if (s->connecting && !s->error)
        return;
    bool news = s->drained;
    s->drained = false;
    if (write_queue(s))
        news = true;
    if (s->error)
        fail(s);
    else if (news && s->events->on_written)
        s->events->on_written(s->owner, s->queue.n);
}

/* No callback from here: what is to be told is told at the turn's end. */
void stream_flush(struct stream *s)
{
    if (s->closed || s->connecting || s->error)
        return;
    if (write_queue(s)) {
        s->drained = true;
        flush_soon(s);
    }
}

static bool takes_output(struct stream *s)
{
    return !s->closed && !s->error;
}

static void queued_more(struct stream *s)
{
    if (s->no_hurry) {
        s->no_hurry = false;
        if (!list_is_linked(&s->flush.link)) {
            s->in_crowd = true;
            loop_defer_crowd(s->loop, &s->flush);
        }
        return;
    }
    /* The callbacks wait for the turn's end; a long queue does not. */
    if (s->queue.n >= PUT_FLUSH && s->writable && !s->connecting &&
        write_queue(s))
        s->drained = true;
    flush_soon(s);
}

void stream_no_hurry(struct stream *s)
{
    s->no_hurry = true;
}

void stream_put(struct stream *s, const void *p, size_t n)
{
    if (!takes_output(s) || !n)
        return;
    queue_put(&s->queue, s->loop->blocks, p, n);
    queued_more(s);
}

void stream_put_ref(struct stream *s, const void *p, size_t n,
                    queue_done_fn *done, void *arg)
{
    if (!takes_output(s) || !n) {
        if (done)
            done(p, n, arg);
        return;
    }
    queue_put_ref(&s->queue, s->loop->blocks, p, n, done, arg);
    queued_more(s);
}

/* Queue what is behind the first skip bytes of iov. */
static void queue_rest(struct stream *s, const struct iovec *iov, int n,
                       size_t skip)
{
    for (int i = 0; i < n; i++) {
        if (skip >= iov[i].iov_len) {
            skip -= iov[i].iov_len;
            continue;
        }
        queue_put(&s->queue, s->loop->blocks,
                  (const uint8_t *)iov[i].iov_base + skip,
                  iov[i].iov_len - skip);
        skip = 0;
    }
}

void stream_send(struct stream *s, const struct iovec *iov, int n)
{
    size_t sent = 0;

    if (!takes_output(s))
        return;
    if (!s->connecting && s->queue.n && s->writable && write_queue(s))
        s->drained = true;
    if (!s->connecting && !s->queue.n && s->writable && !s->error) {
        ssize_t got = s->transport->writev(s, iov, n);
        if (got >= 0) {
            sent = (size_t)got;
            s->bytes_out += sent;
        } else if (errno == EAGAIN) {
            s->writable = false;
        } else if (errno != EINTR) {
            set_error(s, errno);
            return;
        }
    }
    if (s->error)
        return;
    queue_rest(s, iov, n, sent);
    if (s->queue.n || s->drained)
        flush_soon(s);
}

ssize_t stream_sendfile(struct stream *s, int fd, off_t *at, size_t n)
{
    check(!s->queue.n);
    if (!takes_output(s) || s->connecting || !s->writable)
        return 0;
    ssize_t sent;
    do {
        sent = s->transport->sendfile(s, fd, at, n);
    } while (sent == -1 && errno == EINTR);
    if (sent > 0) {
        s->bytes_out += (size_t)sent;
    } else if (sent == -1 && errno == EAGAIN) {
        s->writable = false;
        sent = 0;
    } else if (sent == -1 && (errno == EPIPE || errno == ECONNRESET)) {
        set_error(s, errno);
        sent = 0;
    } else if (sent == 0 && n > 0) {
        errno = ENODATA; /* the file ends before *at + n: it was cut */
        sent = -1;
    }
    return sent;
}

void stream_shutdown(struct stream *s)
{
    if (!takes_output(s))
        return;
    s->finishing = true;
    flush_soon(s);
}

/* ---- reading ---- */

/* Keep what the owner left; p may lie in s->kept already. */
static void keep(struct stream *s, const uint8_t *p, size_t n)
{
    struct kept_input *k = s->kept;
    /* What is copied in place anyhow needs no room to grow. */
    bool too_large = k && n <= KEPT_IN_PLACE && k->capacity > KEPT_IN_PLACE;
    if (n == 0) {
        free(k);
        s->kept = NULL;
        return;
    }
    if (!k || n > k->capacity || too_large) {
        s->kept = xmalloc(sizeof *k + n);
        s->kept->capacity = n;
        memcpy(s->kept->bytes, p, n);
        free(k);
    } else {
        memmove(k->bytes, p, n);
    }
    s->kept->n = n;
}

static void show(struct stream *s, uint8_t *p, size_t n)
{
    struct span in = {p, n};
    if (!n)
        return;
    s->resumed = false;
    s->events->on_data(s->owner, &in);
    if (s->closed)
        return;
    keep(s, in.p, in.n);
    /* Resumed meanwhile: what is left was not kept yet and could not ask. */
    if (s->resumed && s->kept)
        loop_defer(s->loop, &s->more);
}

/* Where the next bytes go: behind what was kept, so that the owner sees one
 * run of bytes. */
static uint8_t *input_place(struct stream *s, size_t *room)
{
    struct loop *loop = s->loop;

    struct kept_input *k = s->kept;

    if (!k || k->n <= KEPT_IN_PLACE) {
        if (k)
            memcpy(loop->read_buffer, k->bytes, k->n);
        *room = loop->read_capacity - stream_kept(s);
        return loop->read_buffer;
    }
    if (k->capacity - k->n < LOOP_READ_SIZE / 2) {
        k = s->kept = xrealloc(k, sizeof *k + k->n * 2 + LOOP_READ_SIZE);
        k->capacity = k->n * 2 + LOOP_READ_SIZE;
    }
    *room = k->capacity - k->n;
    return k->bytes;
}

static void read_end(struct stream *s)
{
    s->readable = false;
    if (s->read_error)
        s->error = s->read_error;
    else
        s->eof = true;
    tell_end(s);
}

/*
 * Read until the kernel has no more or the room is full.  After a short read
 * it has no more, and news make a new edge; only an error that came together
 * with the last bytes makes none.  A thorough stream asks for that too, with
 * one more call; the others hear of it when they write, or by their timeouts.
 */
static size_t fill(struct stream *s, uint8_t *at, size_t room)
{
    size_t n = 0;
    while (n < room && !s->read_ended) {
        ssize_t got = s->transport->recv(s, at + n, room - n);
        if (got > 0) {
            n += (size_t)got;
            if (n < room && !s->thorough && !s->hangup) {
                s->readable = false;
                break;
            }
        } else if (got == 0) {
            s->read_ended = true;
        } else if (errno == EAGAIN) {
            s->readable = false;
            break;
        } else if (errno != EINTR) {
            s->read_ended = true;
            s->read_error = errno;
        }
    }
    s->bytes_in += n;
    return n;
}

static void read_some(struct stream *s)
{
    size_t room;
    uint8_t *at = input_place(s, &room);
    size_t got = fill(s, at + stream_kept(s), room);

    if (got)
        show(s, at, stream_kept(s) + got);
    if (s->closed || s->ended || !s->readable || (got && s->paused))
        return; /* an end that was read is told when reading goes on */
    if (s->read_ended)
        read_end(s);
    else if (!s->paused)
        loop_defer_next(s->loop, &s->more);
}

/* Tell of a failed write, after the peer's last words: who answers before it
 * has read everything, and closes, makes our writes fail. */
static void fail(struct stream *s)
{
    if (!s->paused && !s->eof && !s->ended && !s->connecting) {
        size_t room;
        uint8_t *at = input_place(s, &room);
        size_t got = fill(s, at + stream_kept(s), room);
        if (got)
            show(s, at, stream_kept(s) + got);
    }
    tell_end(s);
}

static void run_more(struct loop_task *task)
{
    struct stream *s = CONTAINER(task, struct stream, more);
    if (s->closed || s->paused)
        return;
    if (s->resumed) {
        s->resumed = false;
        if (s->kept)
            show(s, s->kept->bytes, s->kept->n);
    }
    if (s->closed || s->paused)
        return;
    if (s->readable && !s->ended)
        read_some(s);
}

void stream_pause(struct stream *s)
{
    s->paused = true;
}

void stream_resume(struct stream *s)
{
    s->paused = false;
    if (s->closed)
        return;
    s->resumed = true;
    if (s->kept || s->readable)
        loop_defer(s->loop, &s->more);
}

bool stream_has_news(struct stream *s)
{
    return s->closed || s->ended || s->error || s->kept || s->readable ||
           s->hangup;
}

/* ---- the kernel's callback ---- */

/* Nothing is read behind EOF, so an error must be asked for. */
static void look_for_error(struct stream *s)
{
    int error = 0;
    socklen_t length = sizeof error;
    if (!s->error &&
        getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error)
        set_error(s, error);
}

static int connect_error(struct stream *s)
{
    int error = 0;
    socklen_t length = sizeof error;

    if (!s->connected &&
        getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &length) == -1)
        error = errno;
    if (error)
        return error;
    s->connected = true;
    return s->transport->connect && s->transport->connect(s) == -1 ? errno : 0;
}

static void finish_connect(struct stream *s)
{
    int error = connect_error(s);

    if (error == EAGAIN)
        return;
    s->connecting = false;
    if (error) {
        s->error = error;
        tell_end(s);
        return;
    }
    s->writable = true;
    if (s->queue.n || s->finishing)
        flush_soon(s);
    if (s->events->on_connect)
        s->events->on_connect(s->owner);
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    struct stream *s = arg;
    (void)fd;
    loop_enter(s->loop);
    if (s->connecting) {
        if (!s->connected && !(what & (EV_WRITE | EV_CLOSED)))
            return;
        finish_connect(s);
        if (s->closed || s->error || s->connecting)
            return;
        if (s->transport->connect) /* what came behind the handshake */
            what |= EV_READ;
    }
    if (what & EV_WRITE && !s->writable) {
        s->writable = true;
        s->drained = true;
        flush_soon(s);
    }
    if (what & EV_WRITE && s->read_wants_write) {
        s->read_wants_write = false;
        what |= EV_READ;
    }
    if (what & EV_CLOSED)
        s->hangup = true;
    if (what & (EV_READ | EV_CLOSED)) {
        s->readable = true;
        if (s->eof)
            look_for_error(s);
        else if (!s->paused && !s->ended)
            read_some(s);
    }
}

/* ---- life ---- */

static struct stream *create(struct loop *loop, int fd,
                             const struct stream_events *events, void *owner)
{
    struct stream *s = xcalloc(1, sizeof *s + event_get_struct_event_size());
    *s = (struct stream){
        .loop = loop,
        .transport = &transport_plain,
        .events = events,
        .owner = owner,
        .fd = fd,
        .flush = {.run = run_flush},
        .more = {.run = run_more},
    };
    if (event_assign(event_of(s), loop->base, fd,
                     EV_READ | EV_WRITE | EV_CLOSED | EV_ET | EV_PERSIST,
                     on_ready, s) == -1 ||
        event_add(event_of(s), NULL) == -1)
        set_error(s, errno);
    return s;
}

struct stream *stream_open(struct loop *loop, int fd,
                           const struct stream_events *events, void *owner)
{
    struct stream *s = create(loop, fd, events, owner);
    s->writable = true;
    return s;
}

struct stream *stream_open_connecting(struct loop *loop, int fd,
                                      const struct stream_events *events,
                                      void *owner)
{
    struct stream *s = create(loop, fd, events, owner);
    s->connecting = true;
    return s;
}

void stream_hand_over(struct stream *s, const struct stream_events *events,
                      void *owner)
{
    s->events = events;
    s->owner = owner;
}

void stream_close(struct stream *s)
{
    if (s->closed)
        return;
    if (!s->connecting && !s->error)
        write_queue(s);
    end(s);
}

void stream_reset(struct stream *s)
{
    if (s->closed)
        return;
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    end(s);
}
