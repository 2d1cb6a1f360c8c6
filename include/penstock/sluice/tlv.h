/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sluice/tlv.h - tagged values inside a frame.
 *
 * SLUICE section 4: u32 (tag | length << 8), then length bytes, no padding;
 * unknown tags are skipped.  The puts append to a buf between
 * sluice_frame_begin() and _end(), or to one of their own whose bytes become
 * the tlvs of a struct; they return false, and append nothing, when the value
 * has no room on the wire or in the buf.
 *
 * Every get that meets TLVs has run sluice_tlv_check() over them, so walking
 * them afterwards cannot fail; the value gets check again all the same and
 * say -SLUICE_ERROR_PROTOCOL.
 */
#ifndef PENSTOCK_SLUICE_TLV_H
#define PENSTOCK_SLUICE_TLV_H

#include "sluice/frame.h"

enum {
    SLUICE_TLV_MAX = 0xffffff /* bytes of a value */
};

struct sluice_tlv {
    uint8_t tag;
    struct str value;
};

/* 1 with the next one cut off *rest, 0 at the end, or
 * -SLUICE_ERROR_PROTOCOL when a length runs past the end. */
int sluice_tlv_next(struct str *rest, struct sluice_tlv *t);

/* 0 when all are in bounds and values of known tags have their shape. */
int sluice_tlv_check(struct str tlvs);

/* The value of the first with this tag; p NULL when there is none. */
struct str sluice_tlv_find(struct str tlvs, enum sluice_tag tag);

bool sluice_tlv_put(struct buf *out, unsigned tag, struct str value);
bool sluice_tlv_put_u16(struct buf *out, unsigned tag, uint16_t value);
bool sluice_tlv_put_u32(struct buf *out, unsigned tag, uint32_t value);
bool sluice_tlv_put_u64(struct buf *out, unsigned tag, uint64_t value);

/* HEADER. */
bool sluice_tlv_put_header(struct buf *out, struct str name, struct str value);

/* CAPTURE and VAR: a name of at most 255 bytes, and its value. */
bool sluice_tlv_put_named(struct buf *out, enum sluice_tag tag, struct str name,
                          struct str value);

/* HOST_PATTERN, PATH_PATTERN, ORIGIN_PATTERN. */
bool sluice_tlv_put_pattern(struct buf *out, enum sluice_tag tag,
                            enum sluice_pattern_kind kind, struct str text);

/* OPT, in the size that the option has. */
bool sluice_tlv_put_opt(struct buf *out, enum sluice_option id, uint32_t value);

/* RESUME_INFO, section 10. */
struct sluice_resume_info {
    uint32_t first_seq;
    uint32_t next_out_seq;
    uint32_t unacked;
    uint32_t flags; /* enum sluice_resume_flag */
};
bool sluice_tlv_put_resume_info(struct buf *out,
                                const struct sluice_resume_info *info);

/* TLVs inside a value (TLS): what was put between the two is the value. */
size_t sluice_tlv_begin(struct buf *out, unsigned tag);
bool sluice_tlv_end(struct buf *out, size_t begin, bool ok);

/* Values; 0, or -SLUICE_ERROR_PROTOCOL when the shape is wrong. */
int sluice_tlv_get_u16(const struct sluice_tlv *t, uint16_t *value);
int sluice_tlv_get_u32(const struct sluice_tlv *t, uint32_t *value);
int sluice_tlv_get_u64(const struct sluice_tlv *t, uint64_t *value);
int sluice_tlv_get_header(const struct sluice_tlv *t, struct str *name,
                          struct str *value);
int sluice_tlv_get_named(const struct sluice_tlv *t, struct str *name,
                         struct str *value);
int sluice_tlv_get_pattern(const struct sluice_tlv *t,
                           enum sluice_pattern_kind *kind, struct str *text);
int sluice_tlv_get_resume_info(const struct sluice_tlv *t,
                               struct sluice_resume_info *info);

/* Also 0 for an id that is not known: *value is 0 then, skip it. */
int sluice_tlv_get_opt(const struct sluice_tlv *t, uint16_t *id,
                       uint32_t *value);

#endif
