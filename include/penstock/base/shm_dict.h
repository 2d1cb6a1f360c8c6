/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * base/shm_dict.h - keys to values inside shared memory, with an order of
 * use.
 *
 * For what peers name: addresses that are limited, TLS sessions, cached
 * responses.  Every call needs the memory's lock.  Values are plain bytes,
 * zeroed at first, that stay where they are; keys are up to 65535 bytes.  An
 * entry that is added or touched is the newest; who runs out of room removes
 * the oldest.
 */
#ifndef PENSTOCK_BASE_SHM_DICT_H
#define PENSTOCK_BASE_SHM_DICT_H

#include "base/shm.h"
#include "base/str.h"

enum {
    SHM_DICT_KEY_MAX = 65535 /* bytes */
};

struct shm_dict;

/* An empty one with a table that fits the memory's size; NULL: no room.  The
 * caller keeps its place, as the root or beside it. */
struct shm_dict *shm_dict_create(struct shm *s);

size_t shm_dict_count(const struct shm_dict *d);

/* The value, or NULL. */
void *shm_dict_find(const struct shm *s, const struct shm_dict *d,
                    struct str key);

/* A new entry with n bytes of value, all zero.  The key must not be there
 * (it would hide the older one).  NULL: no room. */
void *shm_dict_add(struct shm *s, struct shm_dict *d, struct str key, size_t n);

void shm_dict_remove(struct shm *s, struct shm_dict *d, void *value);

/* It is the newest now. */
void shm_dict_touch(struct shm *s, struct shm_dict *d, void *value);

/* The oldest entry, and the one that is newer than value; NULL: none. */
void *shm_dict_oldest(const struct shm *s, const struct shm_dict *d);
void *shm_dict_newer(const struct shm *s, const void *value);

struct str shm_dict_key(const void *value);

#endif
