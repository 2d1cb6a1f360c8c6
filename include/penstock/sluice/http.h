/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sluice/http.h - one HTTP exchange on a link (SLUICE sections 6 and 12).
 * HTTP_REQ is in sluice/open.h, HTTP_BODY is a data frame.
 */
#ifndef PENSTOCK_SLUICE_HTTP_H
#define PENSTOCK_SLUICE_HTTP_H

#include "sluice/tlv.h"

/* HTTP_RES (status 200..599) or HTTP_INFO (100, 102, 103). */
struct sluice_http_res {
    enum sluice_type type;
    uint64_t cid;
    bool more; /* HTTP_RES: a body follows */
    uint16_t status;
    struct str tlvs; /* HEADER* */
};
bool sluice_http_res_put(struct buf *out, const struct sluice_http_res *r);
/* -HANDSHAKE (client-fatal): a status that does not suit the type. */
int sluice_http_res_get(struct sluice_http_res *r,
                        const struct sluice_frame *f);

struct sluice_http_reset {
    uint64_t cid;
    uint16_t code; /* enum sluice_error */
    struct str text;
};
bool sluice_http_reset_put(struct buf *out, const struct sluice_http_reset *r);
int sluice_http_reset_get(struct sluice_http_reset *r,
                          const struct sluice_frame *f);

struct sluice_http_trailers {
    uint64_t cid;
    struct str tlvs; /* HEADER* */
};
bool sluice_http_trailers_put(struct buf *out,
                              const struct sluice_http_trailers *t);
int sluice_http_trailers_get(struct sluice_http_trailers *t,
                             const struct sluice_frame *f);

struct sluice_http_done {
    uint64_t cid;
    uint64_t bytes_out;
    bool complete;
};
bool sluice_http_done_put(struct buf *out, const struct sluice_http_done *d);
int sluice_http_done_get(struct sluice_http_done *d,
                         const struct sluice_frame *f);

#endif
