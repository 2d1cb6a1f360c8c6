/* SPDX-License-Identifier: BSD-2-Clause */
#include "sluice/http.h"

bool sluice_http_res_put(struct buf *out, const struct sluice_http_res *r)
{
    struct sluice_header h = {.type = (uint8_t)r->type,
                              .flags = r->more ? SLUICE_FLAG_MORE : 0,
                              .cid = r->cid};
    uint8_t fixed[4] = {0};

    le16_put(fixed, r->status);
    return sluice_fixed_put(out, &h, fixed, sizeof fixed, r->tlvs);
}

/* RFC 9110 section 15: 101 is the gateway's to send. */
static bool status_suits(enum sluice_type type, unsigned status)
{
    if (type == SLUICE_HTTP_INFO)
        return status == 100 || status == 102 || status == 103;
    return status >= 200 && status <= 599;
}

int sluice_http_res_get(struct sluice_http_res *r, const struct sluice_frame *f)
{
    struct str s = sluice_payload(f);

    if (s.n < 4)
        return -SLUICE_ERROR_PROTOCOL;
    *r = (struct sluice_http_res){.type = (enum sluice_type)f->header.type,
                                  .cid = f->header.cid,
                                  .more = f->header.flags & SLUICE_FLAG_MORE,
                                  .status = le16_get(s.p),
                                  .tlvs = str_slice(s, 4, s.n)};
    if (sluice_tlv_check(r->tlvs) != 0)
        return -SLUICE_ERROR_PROTOCOL;
    return status_suits(r->type, r->status) ? 0 : -SLUICE_ERROR_HANDSHAKE;
}

bool sluice_http_reset_put(struct buf *out, const struct sluice_http_reset *r)
{
    struct sluice_header h = {
        .type = SLUICE_HTTP_RESET, .aux = r->code, .cid = r->cid};
    return sluice_frame_put(out, &h, r->text);
}

int sluice_http_reset_get(struct sluice_http_reset *r,
                          const struct sluice_frame *f)
{
    *r = (struct sluice_http_reset){
        .cid = f->header.cid, .code = f->header.aux, .text = sluice_payload(f)};
    return 0;
}

bool sluice_http_trailers_put(struct buf *out,
                              const struct sluice_http_trailers *t)
{
    struct sluice_header h = {.type = SLUICE_HTTP_TRAILERS, .cid = t->cid};
    return sluice_frame_put(out, &h, t->tlvs);
}

int sluice_http_trailers_get(struct sluice_http_trailers *t,
                             const struct sluice_frame *f)
{
    *t = (struct sluice_http_trailers){.cid = f->header.cid,
                                       .tlvs = sluice_payload(f)};
    return sluice_tlv_check(t->tlvs);
}

bool sluice_http_done_put(struct buf *out, const struct sluice_http_done *d)
{
    struct sluice_header h = {.type = SLUICE_HTTP_DONE, .cid = d->cid};
    uint8_t fixed[9];

    le64_put(fixed, d->bytes_out);
    fixed[8] = d->complete;
    return sluice_fixed_put(out, &h, fixed, sizeof fixed, (struct str){0});
}

int sluice_http_done_get(struct sluice_http_done *d,
                         const struct sluice_frame *f)
{
    if (f->payload.n < 9)
        return -SLUICE_ERROR_PROTOCOL;
    *d = (struct sluice_http_done){.cid = f->header.cid,
                                   .bytes_out = le64_get(f->payload.p),
                                   .complete = f->payload.p[8]};
    return 0;
}
