/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sluice/open.h - how a client begins: OPEN, HTTP_REQ, RESUME, the answers
 * ACCEPT and REJECT, and RESUME_END (SLUICE sections 6, 7, 10).  OPENED is
 * sluice_empty_put().
 */
#ifndef PENSTOCK_SLUICE_OPEN_H
#define PENSTOCK_SLUICE_OPEN_H

#include "sluice/tlv.h"

enum {
    SLUICE_OPEN_SIZE = 32 /* bytes before the TLVs */
};

struct sluice_open {
    enum sluice_type type; /* SLUICE_OPEN, SLUICE_HTTP_REQ, SLUICE_RESUME */
    uint64_t cid;
    bool more;            /* HTTP_REQ: a body follows */
    uint16_t ws_version;  /* 75, 76, 7, 8, 13; 0: HTTP */
    uint8_t http_version; /* 10, 11, 20 */
    uint8_t flags;        /* enum sluice_open_flag */
    uint16_t app_id;      /* as REGISTERED said */
    uint16_t route_id;
    uint32_t window_out; /* credit of the backend, to the client */
    uint32_t window_in;  /* credit of the gateway, from the client */
    uint64_t t_us;       /* when it was accepted, since 1970 */
    uint32_t max_message;
    uint16_t remote_port, local_port;
    struct str tlvs;
};

/* Append header, fixed part and o->tlvs.  What it returns is the ok to go on
 * with: ok = begin(.., &at) && put TLVs; sluice_frame_end(out, at, ok). */
bool sluice_open_begin(struct buf *out, const struct sluice_open *o,
                       size_t *begin);

/* The same, ended. */
bool sluice_open_put(struct buf *out, const struct sluice_open *o);
int sluice_open_get(struct sluice_open *o, const struct sluice_frame *f);

struct sluice_accept {
    uint64_t cid;
    bool tunnel;     /* HTTP_BODY frames carry raw bytes from now on */
    uint32_t flags;  /* none is defined */
    struct str tlvs; /* SUBPROTOCOL, HEADER*, OPT*, STATE, CHANNEL* */
};
bool sluice_accept_put(struct buf *out, const struct sluice_accept *a);
int sluice_accept_get(struct sluice_accept *a, const struct sluice_frame *f);

struct sluice_reject {
    uint64_t cid;
    bool more;       /* the body follows as HTTP_BODY */
    uint16_t status; /* of the HTTP response */
    uint16_t flags;  /* SLUICE_REJECT_PASS */
    struct str tlvs; /* HEADER*, BODY, REASON */
};
bool sluice_reject_put(struct buf *out, const struct sluice_reject *r);
/* -HANDSHAKE (client-fatal): a status outside 300..599, without PASS. */
int sluice_reject_get(struct sluice_reject *r, const struct sluice_frame *f);

bool sluice_resume_end_put(struct buf *out, uint32_t count);
int sluice_resume_end_get(uint32_t *count, const struct sluice_frame *f);

#endif
