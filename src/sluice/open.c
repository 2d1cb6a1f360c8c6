/* SPDX-License-Identifier: BSD-2-Clause */
#include "sluice/open.h"

bool sluice_open_begin(struct buf *out, const struct sluice_open *o,
                       size_t *begin)
{
    struct sluice_header h = {.type = (uint8_t)o->type,
                              .flags = o->more ? SLUICE_FLAG_MORE : 0,
                              .cid = o->cid};
    uint8_t fixed[SLUICE_OPEN_SIZE];

    le16_put(fixed, o->ws_version);
    fixed[2] = o->http_version;
    fixed[3] = o->flags;
    le16_put(fixed + 4, o->app_id);
    le16_put(fixed + 6, o->route_id);
    le32_put(fixed + 8, o->window_out);
    le32_put(fixed + 12, o->window_in);
    le64_put(fixed + 16, o->t_us);
    le32_put(fixed + 24, o->max_message);
    le16_put(fixed + 28, o->remote_port);
    le16_put(fixed + 30, o->local_port);
    *begin = sluice_frame_begin(out, &h);
    return buf_put(out, fixed, sizeof fixed) && buf_put_str(out, o->tlvs);
}

bool sluice_open_put(struct buf *out, const struct sluice_open *o)
{
    size_t begin;
    bool ok = sluice_open_begin(out, o, &begin);
    return sluice_frame_end(out, begin, ok);
}

int sluice_open_get(struct sluice_open *o, const struct sluice_frame *f)
{
    struct str s = sluice_payload(f);

    if (s.n < SLUICE_OPEN_SIZE)
        return -SLUICE_ERROR_PROTOCOL;
    *o = (struct sluice_open){
        .type = (enum sluice_type)f->header.type,
        .cid = f->header.cid,
        .more = f->header.flags & SLUICE_FLAG_MORE,
        .ws_version = le16_get(s.p),
        .http_version = (uint8_t)s.p[2],
        .flags = (uint8_t)s.p[3],
        .app_id = le16_get(s.p + 4),
        .route_id = le16_get(s.p + 6),
        .window_out = le32_get(s.p + 8),
        .window_in = le32_get(s.p + 12),
        .t_us = le64_get(s.p + 16),
        .max_message = le32_get(s.p + 24),
        .remote_port = le16_get(s.p + 28),
        .local_port = le16_get(s.p + 30),
        .tlvs = str_slice(s, SLUICE_OPEN_SIZE, s.n),
    };
    return sluice_tlv_check(o->tlvs);
}

bool sluice_accept_put(struct buf *out, const struct sluice_accept *a)
{
    struct sluice_header h = {.type = SLUICE_ACCEPT,
                              .aux = a->tunnel ? SLUICE_ACCEPT_TUNNEL : 0,
                              .cid = a->cid};
    uint8_t fixed[8] = {0};

    le32_put(fixed, a->flags);
    return sluice_fixed_put(out, &h, fixed, sizeof fixed, a->tlvs);
}

int sluice_accept_get(struct sluice_accept *a, const struct sluice_frame *f)
{
    struct str s = sluice_payload(f);

    if (s.n < 8)
        return -SLUICE_ERROR_PROTOCOL;
    *a = (struct sluice_accept){.cid = f->header.cid,
                                .tunnel = f->header.aux & SLUICE_ACCEPT_TUNNEL,
                                .flags = le32_get(s.p),
                                .tlvs = str_slice(s, 8, s.n)};
    return sluice_tlv_check(a->tlvs);
}

bool sluice_reject_put(struct buf *out, const struct sluice_reject *r)
{
    struct sluice_header h = {.type = SLUICE_REJECT,
                              .flags = r->more ? SLUICE_FLAG_MORE : 0,
                              .cid = r->cid};
    uint8_t fixed[4];

    le16_put(fixed, r->status);
    le16_put(fixed + 2, r->flags);
    return sluice_fixed_put(out, &h, fixed, sizeof fixed, r->tlvs);
}

int sluice_reject_get(struct sluice_reject *r, const struct sluice_frame *f)
{
    struct str s = sluice_payload(f);

    if (s.n < 4)
        return -SLUICE_ERROR_PROTOCOL;
    *r = (struct sluice_reject){.cid = f->header.cid,
                                .more = f->header.flags & SLUICE_FLAG_MORE,
                                .status = le16_get(s.p),
                                .flags = le16_get(s.p + 2),
                                .tlvs = str_slice(s, 4, s.n)};
    if (sluice_tlv_check(r->tlvs) != 0)
        return -SLUICE_ERROR_PROTOCOL;
    /* A success or an interim status would make the client believe that the
     * connection goes on. */
    if (!(r->flags & SLUICE_REJECT_PASS) &&
        (r->status < 300 || r->status > 599))
        return -SLUICE_ERROR_HANDSHAKE;
    return 0;
}

bool sluice_resume_end_put(struct buf *out, uint32_t count)
{
    struct sluice_header h = {.type = SLUICE_RESUME_END};
    uint8_t fixed[4];

    le32_put(fixed, count);
    return sluice_fixed_put(out, &h, fixed, sizeof fixed, (struct str){0});
}

int sluice_resume_end_get(uint32_t *count, const struct sluice_frame *f)
{
    if (f->payload.n < 4)
        return -SLUICE_ERROR_PROTOCOL;
    *count = le32_get(f->payload.p);
    return 0;
}
