/* SPDX-License-Identifier: BSD-2-Clause */
#include "log_sink.h"

#include <errno.h>
#include <unistd.h>
#include <zlib.h>

#include "base/check.h"
#include "base/clock.h"

/* All of the process: a reopen and the exit write every one of them. */
static struct list sinks = {&sinks, &sinks};
static uint64_t dropped_ever;

static void on_task(struct loop_task *task)
{
    log_sink_flush(CONTAINER(task, struct log_sink, task));
}

static void on_timer(struct timer *timer)
{
    log_sink_flush(CONTAINER(timer, struct log_sink, timer));
}

void log_sink_init(struct log_sink *s, struct log_file *file)
{
    *s = (struct log_sink){.file = file, .task.run = on_task};
    timer_init(&s->timer, on_timer);
    list_push_back(&sinks, &s->link);
}

static void report_dropped(struct log_sink *s)
{
    if (s->dropped == 0)
        return;
    log_warn(&log_process, "%llu access log lines for \"%s\" were dropped",
             (unsigned long long)s->dropped, s->file->path);
    s->dropped = 0;
}

static void drop_pending(struct log_sink *s)
{
    for (size_t i = 0; i < s->pending.n; i++)
        if (s->pending.p[i] == '\n') {
            s->dropped++;
            dropped_ever++;
        }
    buf_clear(&s->pending);
}

void log_sink_fini(struct log_sink *s)
{
    s->quiet_until_ms = 0;
    log_sink_flush(s);
    drop_pending(s);
    report_dropped(s);
    timer_clear(&s->timer);
    list_remove(&s->task.link);
    list_remove(&s->link);
    buf_fini(&s->pending);
    buf_fini(&s->packed);
}

/* The file took nothing, or not all: leave it alone for a while. */
static void rest(struct log_sink *s, int error)
{
    uint64_t skipped;

    s->quiet_until_ms = clock_now_ms() + LOG_SINK_QUIET_MS;
    if (s->loop)
        timer_set(s->loop, &s->timer, LOG_SINK_QUIET_MS);
    if (error != EAGAIN && log_limit_pass(&s->failing, &skipped))
        log_errno(&log_process, LEVEL_CRIT, error, "write() to \"%s\" failed",
                  s->file->path);
}

/* All that is pending as one member of a gzip file (RFC 1952 section 2.2:
 * members may follow each other). */
static void pack(struct log_sink *s)
{
    z_stream z = {.next_in = s->pending.p, .avail_in = (uInt)s->pending.n};

    check(deflateInit2(&z, s->gzip, Z_DEFLATED, MAX_WBITS + 16, 8,
                       Z_DEFAULT_STRATEGY) == Z_OK);
    size_t most = deflateBound(&z, z.avail_in);
    z.next_out = buf_reserve(&s->packed, most);
    z.avail_out = (uInt)most;
    check(z.next_out && deflate(&z, Z_FINISH) == Z_STREAM_END);
    s->packed.n += z.total_out;
    deflateEnd(&z);
    buf_clear(&s->pending);
}

/* What the file is given next. */
static struct buf *outgoing(struct log_sink *s)
{
    if (!s->gzip)
        return &s->pending;
    if (s->packed.n == 0 && s->pending.n > 0)
        pack(s);
    return &s->packed;
}

static void write_out(struct log_sink *s, struct buf *b)
{
    size_t sent = 0;

    while (sent < b->n) {
        ssize_t n = write(s->file->fd, b->p + sent, b->n - sent);
        if (n > 0) {
            sent += (size_t)n;
        } else if (n == 0 || errno != EINTR) {
            rest(s, n == 0 ? ENOSPC : errno);
            break;
        }
    }
    buf_drop(b, sent);
}

void log_sink_flush(struct log_sink *s)
{
    if ((s->pending.n == 0 && s->packed.n == 0) ||
        clock_now_ms() < s->quiet_until_ms)
        return;
    if (s->file->fd == -1) {
        drop_pending(s);
        buf_clear(&s->packed);
        return;
    }
    timer_clear(&s->timer);
    write_out(s, outgoing(s));
    if (s->packed.n == 0 && s->pending.n > 0 && s->gzip)
        write_out(s, outgoing(s));
    if (s->pending.n == 0)
        report_dropped(s);
}

struct buf *log_sink_begin(struct log_sink *s)
{
    size_t most = s->buffer + LOG_SINK_KEEP_MAX;

    if (s->pending.n >= most)
        log_sink_flush(s);
    if (s->pending.n < most)
        return &s->pending;
    s->dropped++;
    dropped_ever++;
    return NULL;
}

void log_sink_end(struct log_sink *s, struct loop *loop)
{
    s->loop = loop;
    if (s->buffer == 0)
        loop_defer(loop, &s->task);
    else if (s->pending.n >= s->buffer)
        log_sink_flush(s);
    else if (s->flush_ms && !timer_is_set(&s->timer))
        timer_set(loop, &s->timer, s->flush_ms);
}

void log_sink_flush_all(void)
{
    LIST_EACH(item, after, &sinks)
    {
        struct log_sink *s = CONTAINER(item, struct log_sink, link);
        s->quiet_until_ms = 0;
        log_sink_flush(s);
    }
}

uint64_t log_sink_dropped(void)
{
    return dropped_ever;
}
