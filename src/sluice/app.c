/* SPDX-License-Identifier: BSD-2-Clause */
#include "sluice/app.h"

bool sluice_register_put(struct buf *out, const struct sluice_register *r)
{
    struct sluice_header h = {.type = SLUICE_REGISTER, .aux = r->token};
    return sluice_frame_put(out, &h, r->tlvs);
}

int sluice_register_get(struct sluice_register *r, const struct sluice_frame *f)
{
    *r = (struct sluice_register){.token = f->header.aux,
                                  .tlvs = sluice_payload(f)};
    return sluice_tlv_check(r->tlvs);
}

bool sluice_registered_put(struct buf *out, const struct sluice_registered *r)
{
    struct sluice_header h = {.type = SLUICE_REGISTERED, .aux = r->app_id};
    return sluice_frame_put(out, &h, r->text);
}

int sluice_registered_get(struct sluice_registered *r,
                          const struct sluice_frame *f)
{
    *r = (struct sluice_registered){.app_id = f->header.aux,
                                    .text = sluice_payload(f)};
    return 0;
}

bool sluice_claim_put(struct buf *out, const struct sluice_claim *c)
{
    struct sluice_header h = {.type = (uint8_t)c->type};
    size_t begin = sluice_frame_begin(out, &h);
    return sluice_frame_end(out, begin,
                            sluice_tlv_put(out, SLUICE_TAG_KEY, c->key));
}

int sluice_claim_get(struct sluice_claim *c, const struct sluice_frame *f)
{
    struct str s = sluice_payload(f);

    if (sluice_tlv_check(s) != 0)
        return -SLUICE_ERROR_PROTOCOL;
    *c = (struct sluice_claim){.type = (enum sluice_type)f->header.type,
                               .key = sluice_tlv_find(s, SLUICE_TAG_KEY)};
    return c->key.p ? 0 : -SLUICE_ERROR_PROTOCOL;
}

bool sluice_conn_put(struct buf *out, const struct sluice_conn *c)
{
    struct sluice_header h = {.type = SLUICE_CONN, .aux = c->listener};
    return sluice_frame_put(out, &h, c->tlvs);
}

int sluice_conn_get(struct sluice_conn *c, const struct sluice_frame *f)
{
    *c = (struct sluice_conn){.listener = f->header.aux,
                              .tlvs = sluice_payload(f)};
    return sluice_tlv_check(c->tlvs);
}

bool sluice_client_error_put(struct buf *out,
                             const struct sluice_client_error *e)
{
    struct sluice_header h = {.type = SLUICE_CLIENT_ERROR, .aux = e->code};
    return sluice_frame_put(out, &h, e->tlvs);
}

int sluice_client_error_get(struct sluice_client_error *e,
                            const struct sluice_frame *f)
{
    *e = (struct sluice_client_error){.code = f->header.aux,
                                      .tlvs = sluice_payload(f)};
    return sluice_tlv_check(e->tlvs);
}
