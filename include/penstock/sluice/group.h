/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sluice/group.h - frames that go to many clients: SUBSCRIBE, PUBLISH,
 * BROADCAST, MSEND, BSTREAM, DELIVERED, PRESENCE (SLUICE section 6).
 *
 * They spend no credit (section 8).  Lists of client ids stay as they are on
 * the wire, 8 bytes each: sluice_ids_count(), sluice_ids_at(),
 * sluice_ids_append().
 */
#ifndef PENSTOCK_SLUICE_GROUP_H
#define PENSTOCK_SLUICE_GROUP_H

#include "sluice/frame.h"

static inline size_t sluice_ids_count(struct str ids)
{
    return ids.n / 8;
}

static inline uint64_t sluice_ids_at(struct str ids, size_t i)
{
    return le64_get(ids.p + i * 8);
}

static inline bool sluice_ids_append(struct buf *ids, uint64_t cid)
{
    return buf_put_le64(ids, cid);
}

bool sluice_ids_have(struct str ids, uint64_t cid);

/* SUBSCRIBE and UNSUBSCRIBE hold a row of names; none in UNSUBSCRIBE means
 * all.  sluice_frame_begin(), names, sluice_frame_end(). */
bool sluice_channel_put(struct buf *out, struct str name);
/* 0; -PROTOCOL: a length past the end; -LIMIT (client-fatal): a name of
 * none or of more than 255 bytes. */
int sluice_channels_check(const struct sluice_frame *f);
/* 1 with the next name cut off *rest, 0 at the end, or as above. */
int sluice_channel_next(struct str *rest, struct str *name);

struct sluice_publish {
    uint64_t except; /* a client that does not get it, or 0 */
    bool notify, nocompress;
    uint16_t token;
    uint8_t opcode; /* 1 text, 2 binary */
    uint8_t opts;   /* none is defined */
    struct str channel;
    struct str data;
};
bool sluice_publish_put(struct buf *out, const struct sluice_publish *p);
/* -PROTOCOL also for an opcode other than 1 and 2, here and below. */
int sluice_publish_get(struct sluice_publish *p, const struct sluice_frame *f);

/* BROADCAST, and BSTREAM's first frame. */
struct sluice_broadcast {
    bool notify, nocompress;
    uint16_t token;
    uint8_t opcode; /* 1 text, 2 binary */
    uint8_t opts;   /* SLUICE_BROADCAST_OWN_ONLY */
    uint16_t app_id;
    struct str except; /* ids */
    struct str data;
};

/* The same in pieces, for payload that comes later: ok = begin(.., &at) &&
 * more data; sluice_frame_end(out, at, ok). */
bool sluice_broadcast_begin(struct buf *out, const struct sluice_broadcast *b,
                            size_t *begin);
bool sluice_broadcast_put(struct buf *out, const struct sluice_broadcast *b);
int sluice_broadcast_get(struct sluice_broadcast *b,
                         const struct sluice_frame *f);

struct sluice_msend {
    bool notify, nocompress;
    uint16_t token;
    uint8_t opcode;
    struct str ids;
    struct str data;
};
bool sluice_msend_put(struct buf *out, const struct sluice_msend *m);
int sluice_msend_get(struct sluice_msend *m, const struct sluice_frame *f);

/* notify and token are of any of its frames; the last that has them counts. */
struct sluice_bstream {
    uint64_t stream;
    bool start, end, notify;
    uint16_t token;
    struct sluice_broadcast first; /* when start; its data is the first */
    struct str data;               /* when not start */
};
bool sluice_bstream_put(struct buf *out, const struct sluice_bstream *b);
int sluice_bstream_get(struct sluice_bstream *b, const struct sluice_frame *f);

struct sluice_delivered {
    uint16_t token;
    uint32_t matched, queued, skipped, dropped; /* clients */
};
bool sluice_delivered_put(struct buf *out, const struct sluice_delivered *d);
int sluice_delivered_get(struct sluice_delivered *d,
                         const struct sluice_frame *f);

struct sluice_presence_req {
    uint16_t token;
    bool list; /* ids are wanted too */
    struct str channel;
};
bool sluice_presence_req_put(struct buf *out,
                             const struct sluice_presence_req *p);
int sluice_presence_req_get(struct sluice_presence_req *p,
                            const struct sluice_frame *f);

struct sluice_presence {
    uint16_t token;
    bool list;
    uint32_t count;
    struct str ids; /* when list */
};
bool sluice_presence_put(struct buf *out, const struct sluice_presence *p);
int sluice_presence_get(struct sluice_presence *p,
                        const struct sluice_frame *f);

#endif
