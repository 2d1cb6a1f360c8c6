/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/core.h - the settings every request needs: limits, timeouts, names.
 *
 * The module of http{}, server{}, location{}, listen, server_name and of
 * nginx's core directives that are not about files.
 */
#ifndef PENSTOCK_SERVE_CORE_H
#define PENSTOCK_SERVE_CORE_H

#include "http/reader.h"
#include "serve/error_page.h"
#include "serve/generation.h"

enum server_tokens {
    TOKENS_OFF = 0,
    TOKENS_ON = 1,
    TOKENS_BUILD = 2,
    TOKENS_TEXT = 3
};

enum lingering { LINGERING_OFF = 0, LINGERING_ON = 1, LINGERING_ALWAYS = 2 };

enum keepalive_disable {
    KEEPALIVE_DISABLE_NONE = 1,
    KEEPALIVE_DISABLE_MSIE6 = 2,
    KEEPALIVE_DISABLE_SAFARI = 4
};

struct core_conf {
    /* reading requests; those of the default server apply until the Host is
     * known */
    uint64_t client_header_timeout_ms;
    uint64_t client_header_buffer_size; /* bytes; see large_buffer_size */
    uint64_t large_buffers;             /* large_client_header_buffers */
    uint64_t large_buffer_size;         /* bytes: one line's maximum */
    uint64_t max_headers;
    bool ignore_invalid_headers;
    bool underscores_in_headers;
    bool merge_slashes;
    struct http_limits limits; /* made of the above when the scope ends */

    uint64_t client_body_timeout_ms;
    uint64_t client_max_body_size; /* bytes; 0: no limit */
    uint64_t send_timeout_ms;

    uint64_t keepalive_timeout_ms; /* 0: no keep-alive */
    uint64_t keepalive_header_s;   /* Keep-Alive: timeout=; 0: not sent */
    uint64_t keepalive_requests;
    uint64_t keepalive_time_ms;
    uint64_t keepalive_min_timeout_ms;
    unsigned keepalive_disable; /* enum keepalive_disable, or'ed */
    unsigned lingering_close;   /* enum lingering */
    uint64_t lingering_time_ms;
    uint64_t lingering_timeout_ms;
    bool reset_timedout_connection;

    bool tcp_nodelay;
    bool chunked_transfer_encoding;
    unsigned server_tokens;    /* enum server_tokens */
    struct value *server_text; /* of TOKENS_TEXT */
    bool absolute_redirect;
    bool port_in_redirect;
    bool server_name_in_redirect;

    const struct log_target *log; /* error_log of this scope */
    struct conf_list error_pages; /* struct error_page */
    bool recursive_error_pages;
};

extern struct conf_module core_module;

/* error_log, which main{} has too. */
extern struct conf_module error_log_module;

/* Where errors go when the configuration does not say: -e's file, or
 * logs/error.log.  path is borrowed for ever. */
void error_log_set_default(const char *path);
const char *error_log_default(void);

/* Does debug_connection name this client? */
bool error_log_debugs(const struct generation *g, const struct address *remote);

struct error_log_conf {
    struct conf_list targets;        /* struct log_target */
    const struct log_target *target; /* the same, chained */
};

/* The location that a scope's directives speak of: its own, or the server's
 * root location; NULL for scopes outside a server. */
struct location *location_of_scope(const struct conf_scope *scope);

static inline const struct core_conf *core_conf_of(const struct location *l)
{
    return conf_get(l->scope, &core_module);
}

#endif
