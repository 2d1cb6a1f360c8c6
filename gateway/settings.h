/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gateway/settings.h - the directives of the main context and of events{}.
 */
#ifndef PENSTOCK_GATEWAY_SETTINGS_H
#define PENSTOCK_GATEWAY_SETTINGS_H

#include <sys/types.h>

#include "conf/conf.h"

struct generation;

struct settings {
    const char *user; /* NULL: stay who we are */
    uid_t uid;
    gid_t gid;
    uint64_t workers;       /* 1.. */
    uint64_t rlimit_nofile; /* 0: as it is */
    uint64_t shutdown_ms;   /* worker_shutdown_timeout; 0: no limit */
    int priority;           /* nice value */
    const char *pid;        /* path */
    bool daemon;
    bool master_process;
    struct conf_list env; /* of const char *: "NAME" or "NAME=value" */
    uint64_t match_limit; /* pcre_match_limit */
    uint64_t connections; /* worker_connections */
};

extern struct conf_module settings_module;

const struct settings *settings_of(const struct generation *g);

#endif
