/* SPDX-License-Identifier: BSD-2-Clause */
/* proxy_buffering on: what a slow client leaves in a file so that the upstream
 * is free; and files that keep a whole response (proxy_store). */
#include <errno.h>
#include <unistd.h>

#include "base/check.h"
#include "proxy_parts.h"
#include "serve/temp.h"

enum {
    PIECE = 64 * 1024,      /* bytes read back at once, at most */
    DRAIN_MAX = 512 * 1024, /* bytes of one turn of the loop */
};

static bool trouble(struct proxy *p, const char *call)
{
    log_errno(&p->request->log, LEVEL_CRIT, errno, "%s \"%s\" failed", call,
              p->spool.name.p);
    return false;
}

static void spool_fini(void *arg)
{
    struct spool *s = arg;

    loop_cancel(&s->more);
    if (s->fd == -1)
        return;
    close(s->fd);
    s->fd = -1;
    if (s->name.p)
        unlink(s->name.p);
}

static void drain_more(struct loop_task *task)
{
    proxy_spool_drain(CONTAINER(task, struct proxy, spool.more));
}

bool proxy_spool_open(struct proxy *p, const struct temp_path *in)
{
    struct spool *s = &p->spool;
    struct arena *arena = p->request->arena;

    s->fd = temp_file_create(in, arena, &s->name);
    if (s->fd == -1)
        return trouble(p, "open()");
    s->more.run = drain_more;
    arena_on_destroy(arena, spool_fini, s);
    return true;
}

static bool write_pieces(struct proxy *p, const struct iovec *iov, int n)
{
    struct spool *s = &p->spool;

    if (s->fd == -1) {
        const struct temp_conf *temp = request_conf(p->request, &temp_module);
        if (!proxy_spool_open(p, &temp->proxy))
            return false;
        log_warn(&p->request->log,
                 "an upstream response is buffered to a temporary file %s",
                 s->name.p);
    }
    for (int i = 0; i < n; i++) {
        if (temp_file_write(s->fd, iov[i].iov_base, iov[i].iov_len, s->write_at,
                            (size_t)p->conf->temp_write_size) == -1)
            return trouble(p, "pwrite()");
        s->write_at += iov[i].iov_len;
    }
    return true;
}

bool proxy_spool_holds(const struct proxy *p)
{
    return p->spool.waiting || p->spool.read_at < p->spool.write_at;
}

/* Nothing of the file is needed any more: the next bytes begin afresh. */
static void rewind_file(struct spool *s)
{
    if (s->whole || !s->write_at)
        return;
    if (ftruncate(s->fd, 0) == -1)
        return; /* then it only is larger than it has to be */
    s->read_at = s->write_at = 0;
}

/* The client took all that is in the file. */
static void caught_up(struct proxy *p)
{
    struct spool *s = &p->spool;

    if (s->ended) {
        if (s->verdict == VERDICT_DONE)
            proxy_send_to_client(p, NULL, 0, true);
        proxy_finish(p, s->verdict);
        return;
    }
    s->waiting = false;
    rewind_file(s);
    proxy_go_on_reading(p);
}

void proxy_spool_drain(struct proxy *p)
{
    static uint8_t piece[PIECE];
    struct spool *s = &p->spool;
    size_t most =
        p->conf->busy_size < PIECE ? (size_t)p->conf->busy_size : (size_t)PIECE;
    size_t total = 0;
    bool room = true;

    if (p->state == PROXY_OVER)
        return;
    while (room && s->read_at < s->write_at) {
        uint64_t left = s->write_at - s->read_at;
        ssize_t got = pread(s->fd, piece, left < most ? (size_t)left : most,
                            (off_t)s->read_at);
        if (got <= 0) {
            if (got == 0)
                errno = ENODATA;
            trouble(p, "pread()");
            proxy_finish(p, 500);
            return;
        }
        s->read_at += (uint64_t)got;
        bool last =
            s->ended && s->verdict == VERDICT_DONE && s->read_at == s->write_at;
        struct iovec iov = {piece, (size_t)got};
        room = proxy_send_to_client(p, &iov, 1, last);
        if (last) {
            proxy_finish(p, VERDICT_DONE);
            return;
        }
        total += (size_t)got;
        if (room && total >= DRAIN_MAX) {
            loop_defer_next(request_loop(p->request), &s->more);
            return;
        }
    }
    if (room)
        caught_up(p);
}

/*
 * Take what the upstream sent: to the client where it keeps up, else to the
 * file.  False when the upstream has to wait, or all is over.
 */
bool proxy_spool_take(struct proxy *p, const struct iovec *iov, int n,
                      bool last)
{
    struct spool *s = &p->spool;
    bool behind = proxy_spool_holds(p);

    if ((behind || s->whole) && n && !write_pieces(p, iov, n)) {
        if (!behind) {
            s->whole = false; /* it will not be stored, and that is all */
            s->read_at = s->write_at;
        } else {
            proxy_finish(p, 500);
            return false;
        }
    }
    if (last && s->whole && s->commit)
        s->commit(p);
    if (behind) {
        if (last)
            proxy_end_body(p, VERDICT_DONE);
        return !last && s->write_at - s->read_at < p->conf->max_temp_size;
    }
    if (s->whole)
        s->read_at = s->write_at;
    bool room = proxy_send_to_client(p, iov, n, last);
    if (last) {
        proxy_finish(p, VERDICT_DONE);
        return false;
    }
    if (!room && p->buffering && p->conf->max_temp_size)
        s->waiting = true;
    return room || s->waiting;
}
