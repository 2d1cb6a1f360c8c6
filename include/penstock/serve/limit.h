/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/limit.h - how many at a time, and how often: limit_conn, limit_req.
 *
 * Both count by a key (usually $binary_remote_addr) in a zone that all
 * workers share.  A zone is declared once with its key; what is over a limit
 * is refused, or waits (limit_req).  A request is looked at once, however
 * many locations it passes.  The bridge counts sessions and messages in the
 * same zones.
 */
#ifndef PENSTOCK_SERVE_LIMIT_H
#define PENSTOCK_SERVE_LIMIT_H

#include "serve/request.h"
#include "serve/zone.h"

/* What $limit_conn_status and $limit_req_status say. */
enum limit_outcome {
    LIMIT_NOT_ASKED = 0,
    LIMIT_PASSED,
    LIMIT_DELAYED,
    LIMIT_REJECTED,
    LIMIT_DELAYED_DRY_RUN,
    LIMIT_REJECTED_DRY_RUN,
};

extern struct conf_module limit_conn_module;
extern struct conf_module limit_req_module;
extern const struct variable limit_variables[];

/*
 * The limits of the request's location.  VERDICT_DECLINED to go on, the status
 * to answer with, or VERDICT_PENDING: request_go_on() is called when it has
 * waited long enough.
 */
int limit_req_run(struct request *r);
int limit_conn_run(struct request *r);

/* For who counts in the zones of limit_conn: over a limit.  Logs it; true:
 * limit_conn_dry_run is on, it passes.  And the status to refuse with. */
bool limit_conn_is_dry(struct request *r, const struct zone *zone);
unsigned limit_conn_status(const struct request *r);

/* ---- counts, for others that have something to limit ---- */

/* The zone of a limit_conn_zone or limit_req_zone, wherever that stands; NULL
 * with the sentence. */
struct zone *limit_zone_named(struct conf *conf, struct str name);

/* The key of the request for such a zone; false: it has none, or one of more
 * than max bytes (which is logged), so it is not limited. */
bool limit_key(struct request *r, const struct zone *zone, size_t max,
               struct str *key);

/* What is counted apart from each other under one key. */
enum limit_what {
    LIMIT_REQUESTS = 0,
    LIMIT_SESSIONS,
    LIMIT_REQUEST_RATE,
    LIMIT_MESSAGE_RATE,
    LIMIT_BYTE_RATE,
};

/* One that is counted; zone NULL: none. */
struct limit_hold {
    struct zone *zone; /* of a generation that the holder holds */
    uint32_t epoch;
    shm_ref count;
    enum limit_what what;
    struct limit_hold *next; /* of the same request */
};

/* Count one more, unless there are max of them.  False: there are, or the
 * zone is full (which is logged). */
bool limit_hold(struct limit_hold *hold, struct zone *zone,
                enum limit_what what, struct str key, uint64_t max);
void limit_release(struct limit_hold *hold); /* fine when it holds none */

/*
 * A bucket that leaks: n things come, rate thousandths of a thing leave each
 * millisecond times 1000 (20 a second: 20000).
 */
struct limit_rate {
    uint64_t rate;  /* thousandths a second, above 0 */
    uint64_t burst; /* things that may be in it beside the one that leaves */
};

enum limit_rate_result {
    RATE_FITS = 1,
    RATE_OVER, /* more than burst */
    RATE_FULL, /* the zone has no room */
};

/*
 * Put n into the bucket of key.  Unless always is true nothing is put when it
 * is over then.  *excess: what is (or would be) in it, in thousandths.
 */
enum limit_rate_result limit_rate_put(struct zone *zone, enum limit_what what,
                                      struct str key,
                                      const struct limit_rate *rate, uint64_t n,
                                      bool always, uint64_t *excess);
/* The same, but nothing changes. */
enum limit_rate_result limit_rate_look(struct zone *zone, enum limit_what what,
                                       struct str key,
                                       const struct limit_rate *rate,
                                       uint64_t n, uint64_t *excess);

/* "20r/s", "90r/m": thousandths a second; false when it is neither. */
bool limit_rate_read(struct str text, uint64_t *rate);

#endif
