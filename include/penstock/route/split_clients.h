/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * route/split_clients.h - `split_clients`: a variable whose value depends on
 * the hash of a text, by shares.
 *
 * MurmurHash2 (Austin Appleby, public domain) and nginx's arithmetic: a key
 * falls into the part that it falls into there.
 */
#ifndef PENSTOCK_ROUTE_SPLIT_CLIENTS_H
#define PENSTOCK_ROUTE_SPLIT_CLIENTS_H

#include "conf/conf.h"

extern struct conf_module split_clients_module;

uint32_t murmur_hash2(struct str s);

#endif
