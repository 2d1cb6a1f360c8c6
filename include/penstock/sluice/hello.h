/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sluice/hello.h - the first frame of both sides (SLUICE section 5).
 */
#ifndef PENSTOCK_SLUICE_HELLO_H
#define PENSTOCK_SLUICE_HELLO_H

#include "sluice/tlv.h"

enum {
    SLUICE_VERSION = 1,
    SLUICE_MAGIC_SIZE = 8,
    SLUICE_HELLO_SIZE = 48 /* bytes before the TLVs */
};

extern const uint8_t sluice_magic[SLUICE_MAGIC_SIZE];

struct sluice_hello {
    uint16_t version_min, version_max;
    uint8_t role;     /* enum sluice_role */
    uint8_t flags;    /* enum sluice_hello_flag */
    uint16_t process; /* gateway: process number; backend: lane */
    uint32_t max_frame;
    uint32_t window;      /* credit per client that the peer may spend */
    uint32_t link_window; /* and on the whole link */
    uint32_t keepalive_ms;
    uint64_t features; /* enum sluice_feature */
    uint64_t epoch;    /* gateway epoch or backend boot id */
    struct str tlvs;   /* NAME, AGENT, TOKEN, POOL, PID, RESUME_OF... */
};

bool sluice_hello_put(struct buf *out, const struct sluice_hello *h);

/*
 * -PROTOCOL: no magic, an unknown role, max_frame or a process number out of
 * bounds.  -VERSION: nothing in common with SLUICE_VERSION.  Whether the role
 * is welcome is the caller's question.
 */
int sluice_hello_get(struct sluice_hello *h, const struct sluice_frame *f);

#endif
