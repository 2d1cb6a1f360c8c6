/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * claim.h - which backend asked for the requests with a key (CLAIM frames,
 * SLUICE section 6).
 *
 * One table for all pools of a worker; a claim is its link's, and goes with
 * it.  The last one who claims a key has it.
 */
#ifndef PENSTOCK_SRC_BRIDGE_CLAIM_H
#define PENSTOCK_SRC_BRIDGE_CLAIM_H

#include "bridge/link.h"

enum {
    CLAIM_KEY_MAX = 255,   /* bytes */
    CLAIMS_MAX = 64 * 1024 /* of one link; SLUICE section 6 */
};

/* CLAIM and UNCLAIM.  0, or a negated link-fatal code. */
int claim_on_frame(struct link *l, const struct sluice_frame *f);

/* The link that claims the key in that pool, or NULL. */
struct link *claim_find(const struct pool *p, struct str key);

/* The link ends. */
void claim_forget_link(struct link *l);

/* The worker ends; nothing is claimed any more. */
void claims_fini(void);

#endif
