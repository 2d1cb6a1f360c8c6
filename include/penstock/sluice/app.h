/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sluice/app.h - what a backend offers: REGISTER, REGISTERED, UNREGISTER,
 * CLAIM, UNCLAIM; and what the gateway tells of connections that are not its
 * clients yet: CONN, CLIENT_ERROR (SLUICE section 6).
 */
#ifndef PENSTOCK_SLUICE_APP_H
#define PENSTOCK_SLUICE_APP_H

#include "sluice/tlv.h"

struct sluice_register {
    uint16_t token;  /* the backend's, not echoed */
    struct str tlvs; /* NAME, patterns, SUBPROTOCOL*, OPT*, MAX_CLIENTS */
};
bool sluice_register_put(struct buf *out, const struct sluice_register *r);
int sluice_register_get(struct sluice_register *r,
                        const struct sluice_frame *f);

/* Answers come in the order of the REGISTERs. */
struct sluice_registered {
    uint16_t app_id; /* what OPEN will carry; 0: refused */
    struct str text; /* why it was refused; empty otherwise */
};
bool sluice_registered_put(struct buf *out, const struct sluice_registered *r);
int sluice_registered_get(struct sluice_registered *r,
                          const struct sluice_frame *f);

/* UNREGISTER is sluice_empty_put(out, SLUICE_UNREGISTER, app_id, 0). */

/* CLAIM or UNCLAIM. */
struct sluice_claim {
    enum sluice_type type;
    struct str key;
};
bool sluice_claim_put(struct buf *out, const struct sluice_claim *c);
int sluice_claim_get(struct sluice_claim *c, const struct sluice_frame *f);

struct sluice_conn {
    uint16_t listener;
    struct str tlvs; /* REMOTE_ADDR, REMOTE_PORT, LOCAL_ADDR */
};
bool sluice_conn_put(struct buf *out, const struct sluice_conn *c);
int sluice_conn_get(struct sluice_conn *c, const struct sluice_frame *f);

struct sluice_client_error {
    uint16_t code;   /* enum sluice_error */
    struct str tlvs; /* REASON, REMOTE_ADDR, TARGET */
};
bool sluice_client_error_put(struct buf *out,
                             const struct sluice_client_error *e);
int sluice_client_error_get(struct sluice_client_error *e,
                            const struct sluice_frame *f);

#endif
