/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * limit/limit_parts.h - what the limits have in common, private to serve.
 */
#ifndef PENSTOCK_SERVE_LIMIT_PARTS_H
#define PENSTOCK_SERVE_LIMIT_PARTS_H

#include "serve/limit.h"

/* What a zone counts by; zone->data. */
struct limit_zone {
    struct value *key;
    uint64_t rate; /* limit_req_zone: thousandths of a request a second; 0:
                      a limit_conn_zone */
};

extern const struct zone_kind limit_zone_kind;

extern const struct conf_enum limit_levels[];

enum hold_result {
    HOLD_TAKEN = 1,
    HOLD_OVER, /* there are max already */
    HOLD_FULL, /* no room in the zone */
};

enum hold_result hold_take(struct limit_hold *hold, struct zone *zone,
                           enum limit_what what, struct str key, uint64_t max);

/* The table of what in the zone's memory, made when it is not there; NULL: no
 * room.  Under the lock. */
struct shm_dict *limit_table(struct shm *s, enum limit_what what);

/*
 * limit_conn_zone KEY zone=NAME:SIZE and limit_req_zone: declare the zone and
 * bind the key to it.  NULL with the sentence.
 */
struct zone *limit_zone_bind(struct conf *conf, const struct directive *row,
                             struct str key, struct str name_size,
                             uint64_t rate);

#endif
