/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * io/stream.h - one connected byte stream: a TCP or Unix socket, plain now,
 * TLS or an HTTP/2 stream behind the same calls.
 *
 * Reading: what came is shown to on_data in the worker's one large buffer
 * (with what was left over before in front); it advances the span past what
 * it used, the rest is kept.  An idle stream owns no read buffer.
 * Writing: stream_send tries the kernel at once, stream_put waits for the end
 * of the turn; only what the kernel refuses is queued.
 * Ending: stream_close may be called any time, from any callback; no callback
 * comes after it, and memory goes at the turn's end.  The owner closes, ever:
 * a stream that failed says so once through on_end and waits to be closed.
 */
#ifndef PENSTOCK_IO_STREAM_H
#define PENSTOCK_IO_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/str.h"
#include "io/loop.h"
#include "io/queue.h"

struct stream;
struct throttle;

/* Why a stream ended; error is the errno of STREAM_ERROR. */
enum stream_end {
    STREAM_EOF = 1, /* the peer will send no more; writing may still work */
    STREAM_ERROR,   /* reset, broken pipe, failed connect: nothing works */
};

/*
 * What the owner hears.  Any may be NULL but on_data and on_end.
 *
 * on_data     *in holds what is unconsumed, old and new.  Called again with
 *             the same bytes only when more have come or stream_resume() asks
 * on_end      once each: STREAM_EOF (what is unconsumed may still be resumed),
 *             STREAM_ERROR (nothing follows)
 * on_written  queued bytes left for the kernel; queued is what remains.  Not
 *             called for what stream_send() gave to the kernel itself
 * on_connect  the non-blocking connect is done (STREAM_ERROR comes else)
 */
struct stream_events {
    void (*on_data)(void *owner, struct span *in);
    void (*on_end)(void *owner, enum stream_end end, int error);
    void (*on_written)(void *owner, size_t queued);
    void (*on_connect)(void *owner);
};

/* How bytes cross: the seam for TLS and HTTP/2.  As recv(2) and writev(2):
 * -1 with errno, EAGAIN when it would block.  shutdown: 0 when nothing is left
 * to do; connect, which may be NULL, has the last word before on_connect. */
struct stream_transport {
    ssize_t (*recv)(struct stream *s, void *p, size_t n);
    ssize_t (*writev)(struct stream *s, const struct iovec *iov, int n);
    ssize_t (*sendfile)(struct stream *s, int fd, off_t *at, size_t n);
    int (*shutdown)(struct stream *s);
    void (*fini)(struct stream *s);
    int (*connect)(struct stream *s);
};

struct kept_input {
    size_t n, capacity;
    uint8_t bytes[];
};

struct stream {
    struct loop *loop;
    const struct stream_transport *transport;
    void *transport_data;
    const struct stream_events *events;
    void *owner;
    int fd; /* -1 once closed */
    bool connecting : 1;
    bool connected : 1;        /* the socket is; the transport is not yet */
    bool read_wants_write : 1; /* reading goes on when the socket is writable */
    bool readable : 1;   /* the kernel may have more: no EAGAIN was seen yet */
    bool writable : 1;   /* no EAGAIN since the last readiness */
    bool thorough : 1;   /* the owner's choice: reads until EAGAIN, so that an
                        error behind the last bytes is told at once */
    bool paused : 1;     /* stream_pause(): bytes stay in the kernel */
    bool hangup : 1;     /* the peer's FIN was announced */
    bool read_ended : 1; /* read: EOF, or read_error; told when it may be */
    bool eof : 1;        /* the owner may know of the FIN */
    bool ended : 1;      /* on_end was called */
    bool finishing : 1;  /* stream_shutdown(): FIN when the queue is out */
    bool drained : 1;    /* on_written is owed */
    bool resumed : 1;    /* left-over input is to be shown again */
    bool closed : 1;
    bool no_hurry : 1;         /* stream_no_hurry(), until something is put */
    bool in_crowd : 1;         /* flush waits in loop_defer_crowd() */
    struct kept_input *kept;   /* left-over input, or NULL */
    struct queue queue;        /* what waits to be written */
    struct throttle *throttle; /* stream_throttle()'s; NULL: none */
    struct loop_task flush;    /* at the turn's end */
    union {
        struct loop_task more;  /* go on reading next turn */
        struct loop_task grave; /* once closed */
    };
    int error;      /* errno of a failed read or write, or 0 */
    int read_error; /* errno behind the bytes that were read, or 0 */
    uint64_t bytes_in, bytes_out; /* on the socket */
};

/* Take over a connected, non-blocking socket. */
struct stream *stream_open(struct loop *loop, int fd,
                           const struct stream_events *events, void *owner);

/* A socket whose connect() said EINPROGRESS: on_connect or on_end follows. */
struct stream *stream_open_connecting(struct loop *loop, int fd,
                                      const struct stream_events *events,
                                      void *owner);

/* Hand the stream to another owner (after a 101 there is a session and no
 * request); left-over input is shown to it by stream_resume(). */
void stream_hand_over(struct stream *s, const struct stream_events *events,
                      void *owner);

/* Send now what was queued and then these; what the kernel does not take is
 * copied to the queue.  Never fails: errors come through on_end. */
void stream_send(struct stream *s, const struct iovec *iov, int n);

/* From now on free_bytes leave at full speed, and then rate bytes a second;
 * rate 0: no limit any more.  What it holds back counts as queued. */
void stream_throttle(struct stream *s, uint64_t rate, uint64_t free_bytes);

/* Queue a copy; leaves with everything else at the end of the turn. */
void stream_put(struct stream *s, const void *p, size_t n);

/* Queue by reference: done(arg) is called when the bytes are not needed any
 * more.  For payload shared between many streams. */
void stream_put_ref(struct stream *s, const void *p, size_t n,
                    queue_done_fn *done, void *arg);

/* What is put next is put on very many streams at once: it may leave some
 * turns later, so that it holds nobody else up, unless something follows. */
void stream_no_hurry(struct stream *s);

/* Do not wait for the turn's end; on_written and on_end do. */
void stream_flush(struct stream *s);

/* Send n bytes of file fd from *at, as much as the kernel takes now; returns
 * bytes taken, 0 when it would block (on_written, with nothing queued, tells
 * when to go on), -1 on an error (errno; ENODATA: the file is shorter).  Only
 * when nothing is queued. */
ssize_t stream_sendfile(struct stream *s, int fd, off_t *at, size_t n);

/* Bytes of input that the owner left over. */
static inline size_t stream_kept(const struct stream *s)
{
    return s->kept ? s->kept->n : 0;
}

static inline size_t stream_queued(const struct stream *s)
{
    return s->queue.n;
}

/* Stop and start reading: who cannot write pauses the other side.  Resuming
 * shows left-over input again at the end of the turn, even without news. */
void stream_pause(struct stream *s);
void stream_resume(struct stream *s);

/* No more will be written (FIN) once the queue is out. */
void stream_shutdown(struct stream *s);

/* Close; queued bytes are tried once more and then dropped.  With reset, the
 * peer gets RST and nothing is tried. */
void stream_close(struct stream *s);
void stream_reset(struct stream *s);

/* True when the peer has sent bytes, or ended, without our having looked:
 * such an idle pooled connection is not to be used. */
bool stream_has_news(struct stream *s);

#endif
