/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/generation.h - one loaded configuration, immutable and counted.
 *
 * Built by the master from files and by a running worker from what its master
 * read; dies when the last request or session that uses it ends.  Live state
 * that must outlive a reload (sessions, links, listeners) is never in it.
 *
 * Outside things a configuration names are collected in lists while it is
 * applied, in an order that depends on the text alone.  The master opens
 * them; a worker that parsed the same text attaches the descriptors it was
 * sent by position.
 */
#ifndef PENSTOCK_SERVE_GENERATION_H
#define PENSTOCK_SERVE_GENERATION_H

#include "base/address.h"
#include "base/log.h"
#include "conf/conf.h"
#include "route/locations.h"
#include "route/names.h"
#include "route/value.h"

struct upstream;
struct zone;

/* One address that is listened on, and the servers behind it. */
struct listen {
    struct address address;
    struct str text; /* as written, for messages */
    int backlog;     /* 511 */
    bool reuseport;  /* one socket per worker */
    bool ipv6only;
    bool is_default_set; /* default_server was said */
    bool options_said;   /* socket options stood in one of its servers */
    bool keepalive_set, keepalive_on;                        /* so_keepalive */
    int keepalive_idle, keepalive_interval, keepalive_count; /* s, s, n; 0:
                                                                the system's */
    int rcvbuf, sndbuf; /* bytes; 0: the system's */
    int fastopen;       /* queue length; 0: off */
    bool deferred;
    bool ssl;
    bool http2;          /* said; refused until it is built */
    bool proxy_protocol; /* a header of it stands before everything */
    struct server *default_server;
    struct names *names;          /* NULL while there is one server only */
    const struct log_target *log; /* of the default server */
    const struct conf_node *node;
    int *fds; /* one, or one per worker; -1: not open yet */
    size_t fds_n;
    struct listen *next;
};

/* One server{} block. */
struct server {
    struct conf_scope *scope;
    struct str name; /* the first server_name, for $server_name */
    struct locations *locations;
    struct location *root; /* the server's own settings as a location: what
                              applies when no location matches */
};

/* One location{}, or if{} or limit_except{} inside one: settings. */
struct location {
    struct conf_scope *scope; /* conf_get(location->scope, &module) */
    struct server *server;
    struct location *parent;
    enum location_kind kind;
    struct str text;               /* as written */
    bool nameless;                 /* if, limit_except */
    const struct handler *handler; /* what answers here; NULL: static files */
};

struct generation {
    unsigned references;
    unsigned number; /* 1, 2, ... */
    struct arena *arena;
    struct conf conf;
    struct err err;
    struct variables variables;
    struct listen *listens;  /* in order of the file */
    struct map upstreams;    /* name -> struct upstream */
    struct map backends;     /* name -> bridge's pool configuration */
    struct log_file **files; /* every log that is named, by first mention */
    size_t files_n, files_capacity;
    struct conf_list debug_connections; /* struct access_rule */
    struct zone *zones;                 /* shared memory, by first mention */
    /* Told when the generation dies: pooled upstream connections close. */
};

struct generation *generation_ref(struct generation *g);
void generation_unref(struct generation *g);

/* The log file of that path, added to the list when it is new. */
struct log_file *generation_file(struct generation *g, const char *path);

/* The generation that conf is being applied for. */
static inline struct generation *generation_of(struct conf *conf)
{
    return conf->result;
}

#endif
