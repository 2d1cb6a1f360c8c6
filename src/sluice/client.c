/* SPDX-License-Identifier: BSD-2-Clause */
#include "sluice/client.h"

bool sluice_set_state_put(struct buf *out, const struct sluice_set_state *s)
{
    struct sluice_header h = {.type = SLUICE_SET_STATE,
                              .flags = s->has_ack ? SLUICE_FLAG_HAS_ACK : 0,
                              .cid = s->cid};
    uint8_t fixed[4];

    le32_put(fixed, s->ack_seq);
    return sluice_fixed_put(out, &h, fixed, sizeof fixed, s->blob);
}

int sluice_set_state_get(struct sluice_set_state *s,
                         const struct sluice_frame *f)
{
    struct str p = sluice_payload(f);

    if (p.n < 4)
        return -SLUICE_ERROR_PROTOCOL;
    *s = (struct sluice_set_state){.cid = f->header.cid,
                                   .has_ack =
                                       f->header.flags & SLUICE_FLAG_HAS_ACK,
                                   .ack_seq = le32_get(p.p),
                                   .blob = str_slice(p, 4, p.n)};
    return 0;
}

bool sluice_set_opts_put(struct buf *out, const struct sluice_set_opts *s)
{
    struct sluice_header h = {.type = SLUICE_SET_OPTS, .cid = s->cid};
    return sluice_frame_put(out, &h, s->tlvs);
}

int sluice_set_opts_get(struct sluice_set_opts *s, const struct sluice_frame *f)
{
    *s = (struct sluice_set_opts){.cid = f->header.cid,
                                  .tlvs = sluice_payload(f)};
    return sluice_tlv_check(s->tlvs);
}

bool sluice_state_put(struct buf *out, const struct sluice_state *s)
{
    return sluice_empty_put(out, SLUICE_STATE,
                            (uint16_t)(s->now << 8 | s->before), s->cid);
}

int sluice_state_get(struct sluice_state *s, const struct sluice_frame *f)
{
    *s = (struct sluice_state){.cid = f->header.cid,
                               .now = (uint8_t)(f->header.aux >> 8),
                               .before = (uint8_t)f->header.aux};
    return 0;
}

bool sluice_ping_put(struct buf *out, const struct sluice_ping *p)
{
    struct sluice_header h = {.type = (uint8_t)p->type,
                              .flags = p->automatic ? SLUICE_FLAG_AUTO : 0,
                              .cid = p->cid};
    return sluice_frame_put(out, &h, p->data);
}

int sluice_ping_get(struct sluice_ping *p, const struct sluice_frame *f)
{
    *p = (struct sluice_ping){.type = (enum sluice_type)f->header.type,
                              .cid = f->header.cid,
                              .automatic = f->header.flags & SLUICE_FLAG_AUTO,
                              .data = sluice_payload(f)};
    return p->data.n > SLUICE_CONTROL_MAX ? -SLUICE_ERROR_WS_PROTOCOL : 0;
}

bool sluice_raw_put(struct buf *out, const struct sluice_raw *r)
{
    struct sluice_header h = {
        .type = SLUICE_RAW, .aux = r->head, .cid = r->cid};
    return sluice_frame_put(out, &h, r->data);
}

int sluice_raw_get(struct sluice_raw *r, const struct sluice_frame *f)
{
    if (f->header.aux > UINT8_MAX)
        return -SLUICE_ERROR_PROTOCOL;
    *r = (struct sluice_raw){.cid = f->header.cid,
                             .head = (uint8_t)f->header.aux,
                             .data = sluice_payload(f)};
    return 0;
}
