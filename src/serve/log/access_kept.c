/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines that are written when their request is gone. */
#include <stdlib.h>

#include "access_log_parts.h"
#include "base/bytes.h"
#include "base/check.h"
#include "base/intern.h"

static struct buf scratch, packed; /* empty between calls */

/* What value_freeze() made of each log in turn, packed; of those that are not
 * wanted there is none. */
struct access_kept {
    struct generation *generation; /* a reference, for conf */
    const struct access_log_conf *conf;
    uint64_t started_us;
    uint32_t sent;   /* of the 101 */
    uint16_t wanted; /* bit i: the i-th log */
    uint16_t n;
    uint8_t bytes[];
};

enum {
    KEPT_LOGS_MAX = 16,
    RUN_SHARED = 0x8000, /* not its length: a struct interned * follows */
    RUN_SHARED_MIN = 20, /* bytes */
};

/* Of frozen runs: a length of two bytes, and what many sessions may have alike
 * is stored once. */
static void pack(struct str frozen, struct buf *out)
{
    while (frozen.n) {
        size_t n = le32_get(frozen.p);
        struct str run = str_slice(frozen, 4, 4 + n);
        frozen = str_slice(frozen, 4 + n, frozen.n);
        if (n < RUN_SHARED_MIN || !intern_is_worth(run)) {
            buf_put_le16(out, (uint16_t)n);
            buf_put_str(out, run);
            continue;
        }
        struct interned *one = intern(run);
        buf_put_le16(out, RUN_SHARED);
        buf_put(out, &one, sizeof one);
    }
}

static void unpack(struct access_kept *k, struct buf *out)
{
    for (size_t i = 0; i < k->n;) {
        uint16_t n = le16_get(k->bytes + i);
        struct str run = str_n((const char *)k->bytes + i + 2, n);
        struct interned *one = NULL;
        if (n == RUN_SHARED) {
            n = sizeof one;
            memcpy(&one, k->bytes + i + 2, sizeof one);
            run = interned_str(one);
        }
        buf_put_le32(out, (uint32_t)run.n);
        buf_put_str(out, run);
        intern_unref(one);
        i += 2u + n;
    }
}

static bool may_keep(const struct access_log *log)
{
    return !log->path && value_may_freeze(log->format->text) &&
           (!log->condition || !value_is_live(log->condition));
}

static uint64_t freeze(struct request *r, const struct access_log_conf *c,
                       struct buf *out)
{
    uint64_t wanted = 0;

    for (size_t i = 0; i < c->logs.n; i++) {
        const struct access_log *log = c->logs.items[i];
        if (!access_log_is_wanted(r, log))
            continue;
        wanted |= (uint64_t)1 << i;
        value_freeze(log->format->text, &r->eval, log->format->absent,
                     log->format->escape, out);
    }
    return wanted;
}

struct access_kept *access_log_keep(struct request *r)
{
    const struct access_log_conf *c = request_conf(r, &access_log_module);

    if (c->logs.n > KEPT_LOGS_MAX)
        return NULL;
    for (size_t i = 0; i < c->logs.n; i++)
        if (!may_keep(c->logs.items[i]))
            return NULL;
    uint64_t wanted = freeze(r, c, &scratch);
    if (scratch.n >= RUN_SHARED) {
        buf_clear(&scratch);
        return NULL;
    }
    pack(buf_str(&scratch), &packed);
    struct access_kept *k = xmalloc(sizeof *k + packed.n);
    *k = (struct access_kept){
        .generation = generation_ref(r->generation),
        .conf = c,
        .started_us = r->started_us,
        .sent = (uint32_t)r->bytes_sent,
        .wanted = (uint16_t)wanted,
        .n = (uint16_t)packed.n,
    };
    if (packed.n)
        memcpy(k->bytes, packed.p, packed.n);
    buf_clear(&scratch);
    buf_clear(&packed);
    r->log_kept = true;
    return k;
}

static void thaw(const struct access_log *log, struct str *frozen,
                 struct request *r, struct loop *loop)
{
    struct buf *line = log->sink ? log_sink_begin(log->sink) : &scratch;

    buf_clear(&scratch);
    value_thaw(log->format->text, frozen, &r->eval, log->format->absent,
               log->format->escape, line ? line : &scratch);
    if (log->syslog) {
        syslog_send(log->syslog, log->syslog->severity, buf_str(&scratch));
    } else if (line) {
        buf_put_u8(line, '\n');
        log_sink_end(log->sink, loop);
    }
    buf_clear(&scratch);
}

void access_log_write_kept(struct access_kept *k, struct loop *loop,
                           const struct handler *handler, void *state,
                           uint64_t sent)
{
    static struct arena *arena; /* for what the variables say */

    if (!arena)
        arena = arena_create(1024);
    struct request r = {
        .generation = k->generation,
        .arena = arena,
        .eval = {.arena = arena},
        .handler = handler,
        .handler_state = state,
        .response.status = 101,
        .started_us = k->started_us,
        .bytes_sent = k->sent + sent,
        .body_sent = sent,
    };
    r.eval.request = &r;
    unpack(k, &packed);
    struct str frozen = buf_str(&packed);
    for (size_t i = 0; i < k->conf->logs.n; i++)
        if (k->wanted & (uint64_t)1 << i)
            thaw(k->conf->logs.items[i], &frozen, &r, loop);
    buf_clear(&packed);
    arena_reset(arena);
    generation_unref(k->generation);
    free(k);
}
