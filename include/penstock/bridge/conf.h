/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bridge/conf.h - the websocket_* settings of a location.
 *
 * Constant, in its generation's arena; a session that uses it holds a
 * reference to the generation.
 */
#ifndef PENSTOCK_BRIDGE_CONF_H
#define PENSTOCK_BRIDGE_CONF_H

#include "bridge/deflate.h"
#include "bridge/pool.h"
#include "route/origin.h"
#include "ws/reader.h"

/* backend_param NAME VALUE */
struct websocket_param {
    struct str name;
    struct value *value;
};

enum websocket_overflow {
    OVERFLOW_CLOSE = 0,
    OVERFLOW_DROP_NEW,
    OVERFLOW_DROP_OLD
};

struct websocket_conf {
    const struct pool_conf *pool; /* websocket_pass; NULL: none here */
    const struct conf_scope *pass_scope;
    struct str place;   /* of pass_scope: "example.org location /chat" */
    struct map *passes; /* of the main scope: place -> struct websocket_conf */
    struct str app;     /* app=; p NULL: by pattern */
    struct regex *pattern; /* of a ~ location, for CAPTURE; else NULL */

    struct origin_rules *origin;
    unsigned origin_report;     /* 1: log only */
    struct conf_list protocols; /* of struct str; empty: any */
    bool protocol_required;     /* one must be agreed on */
    unsigned versions;          /* that are offered: ws_framing_bit()s */
    struct conf_list params;    /* of struct websocket_param */
    unsigned accept_auto;       /* 1: 101 before the backend is asked */
    bool auto_pong;
    bool resume_headers;     /* backend_resume_headers */
    bool server_certificate; /* backend_server_certificate */

    struct ws_limits limits; /* of the three below */
    uint64_t max_message, max_frame, max_fragments;
    uint64_t stream_threshold; /* bytes from which a message is streamed */
    uint64_t idle_timeout_ms;
    uint64_t ping_ms, ping_timeout_ms; /* 0: no pings */
    uint64_t close_timeout_ms;
    uint64_t own_send_timeout_ms; /* 0: that of send_timeout */
    uint64_t send_timeout_ms;     /* the one that holds */
    struct deflate_conf deflate;
    uint64_t send_buffer; /* bytes a client may lag behind for groups */
    unsigned overflow;    /* enum websocket_overflow: and then? */
};

extern struct conf_module websocket_module;

/* What g says of the place that conf is about; NULL when it is not there, or
 * its websocket_pass names another backend now. */
const struct websocket_conf *
websocket_conf_in(const struct generation *g,
                  const struct websocket_conf *conf);

/* $websocket_* and $backend_*: rows for variables_init(). */
extern const struct variable websocket_variables[];

#endif
