/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>

#include "base/check.h"
#include "bridge/session.h"

/*
 * One run of records, oldest first: a header, then a piece of a message as it
 * came.  What is sent stays in front until it is acknowledged (at_least_once)
 * or goes at once (at_most_once).
 */
enum {
    RECORD_SIZE = 8,      /* length u32, opcode u8, more u8, wire u16 */
    BUFFER_MAX = 64 << 10 /* a larger buffer is not kept for the next one */
};

struct kept {
    struct buf bytes;
    size_t at;          /* the first record that is not sent whole */
    size_t sent;        /* payload bytes of it that are */
    size_t old;         /* records before it may be known to a backend */
    size_t payload;     /* of all records */
    size_t open;        /* of these: of the message that has no end yet */
    uint32_t first_seq; /* of the first record */
    bool headless;      /* the first record is not the first of its message */
};

struct record {
    uint32_t n;
    uint8_t opcode; /* 0: not the first of its message */
    bool more;
    uint16_t wire;
};

static struct record record_at(const struct kept *k, size_t at)
{
    const uint8_t *p = k->bytes.p + at;
    return (struct record){le32_get(p), p[4], p[5], le16_get(p + 6)};
}

static size_t record_size(const struct record *r)
{
    return RECORD_SIZE + r->n;
}

static struct kept *kept_of(const struct session *s)
{
    return s->keep && s->keep->more ? s->keep->more->kept : NULL;
}

/* A buffer goes to the next session that needs one, as with session.pending.
 */
static void drop_buffer(struct kept *k)
{
    if (!k->bytes.p)
        return;
    if (bridge.spare_kept.p || k->bytes.capacity > BUFFER_MAX) {
        buf_fini(&k->bytes);
        return;
    }
    bridge.spare_kept = k->bytes;
    buf_clear(&bridge.spare_kept);
    k->bytes = (struct buf){0};
}

void kept_free(struct session *s)
{
    struct kept *k = kept_of(s);

    if (!k)
        return;
    drop_buffer(k);
    free(k);
    s->keep->more->kept = NULL;
}

size_t kept_bytes(const struct session *s)
{
    struct kept *k = kept_of(s);
    return k ? k->payload : 0;
}

uint32_t kept_first_seq(const struct session *s)
{
    struct kept *k = kept_of(s);
    return k && k->bytes.n ? k->first_seq : s->seq_in + 1;
}

uint32_t kept_count(const struct session *s)
{
    return s->seq_in + 1 - kept_first_seq(s);
}

/* ---- in ---- */

bool kept_has_room(const struct session *s)
{
    struct kept *k = kept_of(s);
    size_t payload = k ? k->payload : 0;

    if (!s->link || s->moving)
        return payload < s->window_in;
    if (k && k->at < k->bytes.n)
        return false;
    /* The rest of a message must be able to follow its beginning. */
    return payload - (k ? k->open : 0) < s->window_in &&
           link_client_has_credit((const struct link_client *)s);
}

void kept_put(struct session *s, unsigned opcode, bool more, uint16_t wire,
              const uint8_t *p, size_t n)
{
    struct kept *k = kept_of(s);

    if (!k)
        k = keep_more(s->keep)->kept = xcalloc(1, sizeof *k);
    if (!k->bytes.n) {
        if (!k->bytes.p) {
            k->bytes = bridge.spare_kept;
            bridge.spare_kept = (struct buf){0};
        }
        k->first_seq = s->seq_in;
        k->headless = opcode == 0;
    }
    uint8_t head[RECORD_SIZE] = {[4] = (uint8_t)opcode, [5] = more};
    le32_put(head, (uint32_t)n);
    le16_put(head + 6, wire);
    buf_put(&k->bytes, head, sizeof head);
    buf_put(&k->bytes, p, n);
    k->payload += n;
    k->open = more ? k->open + n : 0;
}

/* ---- out ---- */

static void count_open(struct kept *k)
{
    k->open = 0;
    for (size_t i = 0; i < k->bytes.n;) {
        struct record r = record_at(k, i);
        k->open = r.more ? k->open + r.n : 0;
        i += record_size(&r);
    }
}

/* Forget the records before at, which is the end of one. */
static void drop_before(struct kept *k, size_t at)
{
    for (size_t i = 0; i < at;) {
        struct record r = record_at(k, i);
        k->payload -= r.n;
        if (!r.more)
            k->first_seq++;
        k->headless = r.more;
        i += record_size(&r);
    }
    k->at -= at < k->at ? at : k->at;
    k->old -= at < k->old ? at : k->old;
    if (at == k->bytes.n) {
        k->payload = k->open = 0;
        k->at = k->sent = k->old = 0;
        drop_buffer(k);
    } else {
        buf_drop(&k->bytes, at);
        if (k->open)
            count_open(k);
    }
}

/* One frame of the record at k->at. */
static void send_frame(struct session *s, struct kept *k)
{
    struct record r = record_at(k, k->at);
    const uint8_t *p = k->bytes.p + k->at + RECORD_SIZE + k->sent;
    size_t n = r.n - k->sent, max = s->link->peer_max_frame;
    enum sluice_type type = SLUICE_CONT;
    uint8_t flags = k->at < k->old ? SLUICE_FLAG_REPLAY : 0;

    if (r.opcode && !k->sent)
        type = r.opcode == WS_TEXT ? SLUICE_TEXT : SLUICE_BINARY;
    if (n > max)
        n = max;
    bool whole = k->sent + n == r.n;
    if (r.more || !whole)
        flags |= SLUICE_FLAG_MORE;
    link_send_data(session_client(s), type, flags, r.wire, p, n);
    k->sent += n;
    if (whole) {
        k->at += record_size(&r);
        k->sent = 0;
    }
}

static bool is_all_sent(const struct kept *k)
{
    return !k || k->at == k->bytes.n;
}

void kept_send(struct session *s)
{
    struct kept *k = kept_of(s);

    if (!s->link || s->moving)
        return;
    while (!is_all_sent(k) && link_client_has_credit(session_client(s)))
        send_frame(s, k);
    if (!is_all_sent(k)) {
        if (!link_has_credit(s->link) && !list_is_linked(&s->starved))
            list_push_back(&s->link->starved, &s->starved);
    } else if (session_is_over(s)) {
        session_tell_closed(s);
    } else if (!s->at_least_once) {
        s->keeping = false;
        kept_free(s);
        if (s->link->handover)
            session_move(s);
        return;
    }
    if (k && k->at && !s->at_least_once)
        drop_before(k, k->at);
}

int kept_acked(struct session *s, uint32_t seq)
{
    struct kept *k = kept_of(s);
    size_t at = 0;

    if (!k || !k->bytes.n)
        return (int32_t)(seq - s->seq_in) <= 0 ? 0 : -SLUICE_ERROR_PROTOCOL;
    uint32_t first = k->first_seq;
    bool begun = k->headless;
    while ((int32_t)(seq - first) >= 0 && at < k->at) {
        struct record r = record_at(k, at);
        at += record_size(&r);
        first += !r.more;
        begun = r.more;
    }
    /* The message under way may be acknowledged when a part of it is sent. */
    if ((int32_t)(seq - first) > 0 || (seq == first && !begun && !k->sent))
        return -SLUICE_ERROR_PROTOCOL;
    if (at)
        drop_before(k, at);
    return 0;
}

/* ---- a backend is lost ---- */

/* Drop what is left of a message whose beginning is gone.  True when its end
 * has not come yet. */
static bool drop_headless(struct kept *k)
{
    size_t at = 0;
    bool ended = false;

    while (at < k->bytes.n && !ended) {
        struct record r = record_at(k, at);
        if (at && r.opcode)
            break;
        at += record_size(&r);
        ended = !r.more;
    }
    drop_before(k, at);
    k->headless = false;
    return !ended;
}

void kept_lost(struct session *s)
{
    struct kept *k = kept_of(s);
    struct keep *keep = s->keep;
    bool inside = s->in_started;

    keep->truncated = false;
    if (!k || !k->bytes.n) {
        /* Its beginning was sent and is not kept. */
        if (inside)
            keep->truncated = s->discarding = true;
        return;
    }
    if (s->at_least_once) {
        if (k->sent || k->at > k->old) {
            struct record r = {0};
            if (k->sent)
                r = record_at(k, k->at);
            k->old = k->at + (k->sent ? record_size(&r) : 0);
        }
    } else if (k->sent) {
        k->headless = true; /* a part of this message was sent, and lost */
    }
    k->at = k->sent = 0;
    if (!k->headless)
        return;
    keep->truncated = true;
    if (drop_headless(k))
        s->discarding = inside;
}
