/* SPDX-License-Identifier: BSD-2-Clause */
#include "sluice/link.h"

bool sluice_keepalive_put(struct buf *out, const struct sluice_keepalive *k)
{
    struct sluice_header h = {.type = SLUICE_KEEPALIVE,
                              .flags = k->reply ? SLUICE_FLAG_REPLY : 0};
    return sluice_fixed_put(out, &h, k->opaque, sizeof k->opaque,
                            (struct str){0});
}

int sluice_keepalive_get(struct sluice_keepalive *k,
                         const struct sluice_frame *f)
{
    if (f->payload.n < sizeof k->opaque)
        return -SLUICE_ERROR_PROTOCOL;
    k->reply = f->header.flags & SLUICE_FLAG_REPLY;
    memcpy(k->opaque, f->payload.p, sizeof k->opaque);
    return 0;
}

bool sluice_goaway_put(struct buf *out, const struct sluice_goaway *g)
{
    struct sluice_header h = {.type = SLUICE_GOAWAY, .aux = g->mode};
    uint8_t fixed[4];

    le32_put(fixed, g->grace_ms);
    return sluice_fixed_put(out, &h, fixed, sizeof fixed, g->text);
}

int sluice_goaway_get(struct sluice_goaway *g, const struct sluice_frame *f)
{
    struct str s = sluice_payload(f);

    if (s.n < 4 || f->header.aux > SLUICE_GOAWAY_FATAL)
        return -SLUICE_ERROR_PROTOCOL;
    *g = (struct sluice_goaway){.mode = f->header.aux,
                                .grace_ms = le32_get(s.p),
                                .text = str_slice(s, 4, s.n)};
    return 0;
}

bool sluice_error_put(struct buf *out, const struct sluice_error_frame *e)
{
    struct sluice_header h = {
        .type = SLUICE_ERROR, .aux = e->code, .cid = e->cid};
    uint8_t fixed[4] = {e->offending_type, e->severity};

    le16_put(fixed + 2, e->ws_close_code);
    return sluice_fixed_put(out, &h, fixed, sizeof fixed, e->text);
}

int sluice_error_get(struct sluice_error_frame *e, const struct sluice_frame *f)
{
    struct str s = sluice_payload(f);

    if (s.n < 4 || (uint8_t)s.p[1] > SLUICE_SEVERITY_LINK)
        return -SLUICE_ERROR_PROTOCOL;
    *e = (struct sluice_error_frame){.cid = f->header.cid,
                                     .code = f->header.aux,
                                     .offending_type = (uint8_t)s.p[0],
                                     .severity = (uint8_t)s.p[1],
                                     .ws_close_code = le16_get(s.p + 2),
                                     .text = str_slice(s, 4, s.n)};
    return 0;
}

bool sluice_log_put(struct buf *out, const struct sluice_log *l)
{
    struct sluice_header h = {
        .type = SLUICE_LOG, .aux = l->level, .cid = l->cid};
    return sluice_frame_put(out, &h, l->text);
}

int sluice_log_get(struct sluice_log *l, const struct sluice_frame *f)
{
    if (f->header.aux > 7)
        return -SLUICE_ERROR_PROTOCOL;
    *l = (struct sluice_log){.cid = f->header.cid,
                             .level = f->header.aux,
                             .text = sluice_payload(f)};
    return 0;
}

bool sluice_stats_req_put(struct buf *out, const struct sluice_stats *s)
{
    return sluice_empty_put(out, SLUICE_STATS_REQ, s->scope, s->cid);
}

bool sluice_stats_put(struct buf *out, const struct sluice_stats *s)
{
    struct sluice_header h = {
        .type = SLUICE_STATS, .aux = s->scope, .cid = s->cid};
    return sluice_frame_put(out, &h, s->json);
}

int sluice_stats_get(struct sluice_stats *s, const struct sluice_frame *f)
{
    if (f->header.aux > SLUICE_STATS_CLIENT)
        return -SLUICE_ERROR_PROTOCOL;
    *s = (struct sluice_stats){.cid = f->header.cid,
                               .scope = f->header.aux,
                               .json = sluice_payload(f)};
    return 0;
}
