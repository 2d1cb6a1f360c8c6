/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sluice/client.h - frames about one client between OPENED and CLOSED:
 * SET_STATE, SET_OPTS, STATE, and control data (SLUICE section 6).  DETACH,
 * DETACHED, PAUSE, UNPAUSE and TERMINATE are sluice_empty_put(); messages are
 * sluice_data_header() or sluice_frame_put() and have nothing to get.
 */
#ifndef PENSTOCK_SLUICE_CLIENT_H
#define PENSTOCK_SLUICE_CLIENT_H

#include "sluice/tlv.h"

struct sluice_set_state {
    uint64_t cid;
    bool has_ack;
    uint32_t ack_seq; /* messages up to here are processed */
    struct str blob;
};
bool sluice_set_state_put(struct buf *out, const struct sluice_set_state *s);
int sluice_set_state_get(struct sluice_set_state *s,
                         const struct sluice_frame *f);

struct sluice_set_opts {
    uint64_t cid;
    struct str tlvs; /* OPT* */
};
bool sluice_set_opts_put(struct buf *out, const struct sluice_set_opts *s);
int sluice_set_opts_get(struct sluice_set_opts *s,
                        const struct sluice_frame *f);

struct sluice_state {
    uint64_t cid;
    uint8_t now, before;
};
bool sluice_state_put(struct buf *out, const struct sluice_state *s);
int sluice_state_get(struct sluice_state *s, const struct sluice_frame *f);

/* PING or PONG. */
struct sluice_ping {
    enum sluice_type type;
    uint64_t cid;
    bool automatic; /* from the gateway: it has been answered already */
    struct str data;
};
bool sluice_ping_put(struct buf *out, const struct sluice_ping *p);
/* -WS_PROTOCOL (client-fatal): more than 125 bytes. */
int sluice_ping_get(struct sluice_ping *p, const struct sluice_frame *f);

/* One whole WebSocket frame (feature RAW). */
struct sluice_raw {
    uint64_t cid;
    uint8_t head; /* FIN, RSV, opcode */
    struct str data;
};
bool sluice_raw_put(struct buf *out, const struct sluice_raw *r);
int sluice_raw_get(struct sluice_raw *r, const struct sluice_frame *f);

#endif
