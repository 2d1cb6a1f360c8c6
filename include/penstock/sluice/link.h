/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sluice/link.h - frames about the link itself: KEEPALIVE, GOAWAY, ERROR,
 * LOG, STATS (SLUICE section 6).  READY, BYE, SETLOG and NOP are
 * sluice_empty_put() and have nothing to get.
 */
#ifndef PENSTOCK_SLUICE_LINK_H
#define PENSTOCK_SLUICE_LINK_H

#include "sluice/frame.h"

struct sluice_keepalive {
    bool reply;
    uint8_t opaque[8]; /* echoed in the reply */
};
bool sluice_keepalive_put(struct buf *out, const struct sluice_keepalive *k);
int sluice_keepalive_get(struct sluice_keepalive *k,
                         const struct sluice_frame *f);

struct sluice_goaway {
    uint16_t mode; /* enum sluice_goaway_mode */
    uint32_t grace_ms;
    struct str text;
};
bool sluice_goaway_put(struct buf *out, const struct sluice_goaway *g);
int sluice_goaway_get(struct sluice_goaway *g, const struct sluice_frame *f);

struct sluice_error_frame {
    uint64_t cid;           /* 0: about the link */
    uint16_t code;          /* enum sluice_error */
    uint8_t offending_type; /* 0: none in particular */
    uint8_t severity;       /* enum sluice_severity */
    uint16_t ws_close_code; /* what the client is closed with, or 0 */
    struct str text;
};
bool sluice_error_put(struct buf *out, const struct sluice_error_frame *e);
int sluice_error_get(struct sluice_error_frame *e,
                     const struct sluice_frame *f);

struct sluice_log {
    uint64_t cid;
    uint16_t level; /* syslog, 0..7 */
    struct str text;
};
bool sluice_log_put(struct buf *out, const struct sluice_log *l);
int sluice_log_get(struct sluice_log *l, const struct sluice_frame *f);

enum sluice_stats_scope {
    SLUICE_STATS_LINK = 0,
    SLUICE_STATS_PROCESS = 1,
    SLUICE_STATS_INSTANCE = 2,
    SLUICE_STATS_CLIENT = 3,
};

/* STATS_REQ has no json. */
struct sluice_stats {
    uint64_t cid;
    uint16_t scope; /* enum sluice_stats_scope */
    struct str json;
};
bool sluice_stats_req_put(struct buf *out, const struct sluice_stats *s);
bool sluice_stats_put(struct buf *out, const struct sluice_stats *s);
int sluice_stats_get(struct sluice_stats *s, const struct sluice_frame *f);

#endif
