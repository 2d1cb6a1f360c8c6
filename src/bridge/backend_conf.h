/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * backend_conf.h - the directives of backend{}: the table and the block are in
 * backend_conf.c, its processes in backend_server_conf.c, how much of it there
 * may be in backend_room_conf.c, what becomes of its sessions in
 * backend_loss_conf.c.
 */
#ifndef PENSTOCK_SRC_BRIDGE_BACKEND_CONF_H
#define PENSTOCK_SRC_BRIDGE_BACKEND_CONF_H

#include "bridge/pool.h"

struct backend_conf {
    struct pool_settings set;
};

/* "name=value" with the wanted name: its value. */
bool backend_word_is(struct str word, struct str name, struct str *value);

/* ---- backend_server_conf.c ---- */
extern conf_setter backend_set_server, backend_set_spawn, backend_set_allow_uid;
/* 0, or -1 where no socket can have such a path. */
int backend_check_path(struct conf *conf, const char *path);

/* ---- backend_room_conf.c ---- */
extern conf_setter backend_set_link_window, backend_set_keepalive,
    backend_set_max_clients;

/* ---- backend_loss_conf.c ---- */
extern conf_setter backend_set_delivery, backend_set_on_loss, backend_set_drain;
/* What http{} says holds where the pool says nothing; it is applied after the
 * pools are. */
void backend_inherit_drain(struct pool_conf *p);

#endif
