/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sluice/frame.h - the frame header, client ids, and how frames are written.
 *
 * SLUICE sections 3 and 6.  Pure: no I/O, no clock.  All integers are
 * little-endian on the wire.
 *
 * Every body has its pair in a header beside this one: xxx_put() appends a
 * whole frame to a buf (all of it, or nothing and false when that would pass
 * the buf's maximum); xxx_get() fills a struct from a frame and returns 0 or
 * a negated error code.  -SLUICE_ERROR_PROTOCOL is fatal to the link, any
 * other code to the client only (section 15).  What a get gives points into
 * the frame's payload.  What a put is given is trusted, but for lengths that
 * have no room on the wire: those return false.  The receiver's max_frame is
 * the caller's business: out->n tells how much was appended.
 */
#ifndef PENSTOCK_SLUICE_FRAME_H
#define PENSTOCK_SLUICE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/str.h"
#include "sluice/codes.h"

enum {
    SLUICE_HEADER_SIZE = 16,
    SLUICE_MAX_FRAME_MIN = 16384, /* nobody may accept less; section 5 */
    SLUICE_MAX_FRAME_DEFAULT = 262144,
    SLUICE_MAX_FRAME_MAX = 16777216,
    SLUICE_CONTROL_MAX = 125, /* payload of PING and PONG */
    SLUICE_REASON_MAX = 123,  /* payload of CLOSE */
    SLUICE_CHANNEL_MAX = 255, /* bytes of a channel name */
    SLUICE_PROCESS_MAX = 511,
    SLUICE_SLOT_MAX = 0xffffff,
    SLUICE_GENERATION_MAX = 0xfffff,
};

/* Types below this one are an error when unknown, others are skipped. */
#define SLUICE_TYPE_IGNORABLE 0x80

enum sluice_type {
#define FRAME(name, code, sender, cid, feature, fixed, body)                   \
    SLUICE_##name = code,
#include "sluice/frames.def"
#undef FRAME
};

/* Header flags; which type knows which is in section 6. */
enum {
    SLUICE_FLAG_MORE = 0x01,       /* data, REJECT, HTTP_*: not the last */
    SLUICE_FLAG_REPLAY = 0x02,     /* data, from the gateway */
    SLUICE_FLAG_NOTIFY = 0x04,     /* data and groups, from the backend */
    SLUICE_FLAG_NOCOMPRESS = 0x08, /* data, from the backend */
    SLUICE_FLAG_REPLY = 0x01,      /* KEEPALIVE */
    SLUICE_FLAG_AUTO = 0x01,       /* PING, PONG: already answered */
    SLUICE_FLAG_HAS_ACK = 0x01,    /* SET_STATE */
    SLUICE_FLAG_START = 0x01,      /* BSTREAM */
    SLUICE_FLAG_END = 0x02,        /* BSTREAM */
    SLUICE_FLAG_LIST = 0x01,       /* PRESENCE_REQ, PRESENCE */
};

struct sluice_header {
    uint32_t length; /* payload bytes */
    uint8_t type;
    uint8_t flags;
    uint16_t aux;
    uint64_t cid;
};

struct sluice_frame {
    struct sluice_header header;
    struct span payload; /* header.length bytes, in the reader's input */
};

static inline void sluice_header_put(uint8_t out[SLUICE_HEADER_SIZE],
                                     const struct sluice_header *h)
{
    le32_put(out, h->length);
    out[4] = h->type;
    out[5] = h->flags;
    le16_put(out + 6, h->aux);
    le64_put(out + 8, h->cid);
}

/* No check is made: that is the reader's work. */
static inline struct sluice_header
sluice_header_get(const uint8_t in[SLUICE_HEADER_SIZE])
{
    return (struct sluice_header){.length = le32_get(in),
                                  .type = in[4],
                                  .flags = in[5],
                                  .aux = le16_get(in + 6),
                                  .cid = le64_get(in + 8)};
}

static inline struct str sluice_payload(const struct sluice_frame *f)
{
    return str_n(f->payload.p, f->payload.n);
}

/*
 * Client ids (section 3): a slot that is dense per gateway process, how
 * often that slot was used, and the process.  The generation starts at 1, so
 * that no client's id is ever 0, which is the link itself.
 */
static inline uint32_t sluice_cid_slot(uint64_t cid)
{
    return (uint32_t)(cid & SLUICE_SLOT_MAX);
}

static inline uint32_t sluice_cid_generation(uint64_t cid)
{
    return (uint32_t)(cid >> 24 & SLUICE_GENERATION_MAX);
}

static inline uint32_t sluice_cid_process(uint64_t cid)
{
    return (uint32_t)(cid >> 44 & SLUICE_PROCESS_MAX);
}

static inline uint64_t sluice_cid_make(uint32_t slot, uint32_t generation,
                                       uint32_t process)
{
    return (uint64_t)slot | (uint64_t)generation << 24 |
           (uint64_t)process << 44;
}

static inline bool sluice_cid_is_legal(uint64_t cid)
{
    return cid >> 53 == 0;
}

/* "OPEN", or "unknown". */
const char *sluice_type_name(unsigned type);

/* TEXT, BINARY, CONT, RAW, HTTP_BODY: payload spends credit (section 8). */
static inline bool sluice_type_is_data(unsigned type)
{
    return (type >= SLUICE_TEXT && type <= SLUICE_CONT) || type == SLUICE_RAW ||
           type == SLUICE_HTTP_BODY;
}

/*
 * A frame in pieces: append the header, append the payload, then end it,
 * which writes the true length.  h->length is ignored.  ok is what became of
 * the pieces: when false, or when the payload outgrew 32 bits, the whole
 * frame is taken back.
 */
size_t sluice_frame_begin(struct buf *out, const struct sluice_header *h);
bool sluice_frame_end(struct buf *out, size_t begin, bool ok);

/* A whole frame whose payload is at hand; h->length is ignored. */
bool sluice_frame_put(struct buf *out, const struct sluice_header *h,
                      struct str payload);

/* The same with n bytes of a fixed part in front of the rest. */
bool sluice_fixed_put(struct buf *out, const struct sluice_header *h,
                      const void *fixed, size_t n, struct str rest);

/* READY, BYE, OPENED, TERMINATE, DETACH, PAUSE...: nothing but a header. */
bool sluice_empty_put(struct buf *out, enum sluice_type type, uint16_t aux,
                      uint64_t cid);

/* The hot path: a data frame's header alone, the payload goes elsewhere. */
static inline void sluice_data_header(uint8_t out[SLUICE_HEADER_SIZE],
                                      enum sluice_type type, uint8_t flags,
                                      uint16_t aux, uint64_t cid, size_t length)
{
    sluice_header_put(out, &(struct sluice_header){.length = (uint32_t)length,
                                                   .type = (uint8_t)type,
                                                   .flags = flags,
                                                   .aux = aux,
                                                   .cid = cid});
}

#endif
