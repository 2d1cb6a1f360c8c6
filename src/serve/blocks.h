/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/blocks.h - the setters of http{}, server{}, location{}, listen and
 * server_name, and what is made of them when all is read.
 */
#ifndef PENSTOCK_SERVE_BLOCKS_H
#define PENSTOCK_SERVE_BLOCKS_H

#include "serve/core.h"

conf_setter block_http;
conf_setter block_server;
conf_setter block_location;
conf_setter listen_set;
conf_setter server_name_set;

/* One server_name, or one address that a server listens on, in order. */
struct server_name {
    struct str text;
    const struct conf_node *node;
    struct server_name *next;
};

struct server_listen {
    struct listen options; /* as this server wrote them */
    bool has_options;      /* anything but ssl and default_server */
    struct server_listen *next;
};

/* A server{} while it is read; scope->object of its scope. */
struct server_block {
    struct server server;
    struct location root;
    struct server_name *names, **names_end;
    struct server_listen *listens, **listens_end;
    const struct conf_node *node;
    struct server_block *next;
};

/* A location{} while it is read; scope->object of its scope. */
struct location_block {
    struct location location;
    struct locations *nested;
};

/* Join the servers of each address into generation->listens. */
int listens_on_end(struct conf *conf, struct server_block *servers);

int blocks_on_end(struct conf *conf);

#endif
