/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/zone.h - named memory that all workers share and reloads keep.
 *
 * A directive that needs some declares it while the configuration is applied
 * (limit_conn_zone, limit_req_zone, ...); one that only uses it names it with
 * size 0, before or after.  The master makes the memory and sends it to the
 * workers with the configuration, by position.  A zone whose name, size, kind
 * and variant are those of the configuration before keeps its memory with all
 * that is in it; any other begins empty.
 *
 * At run time zone->memory is there (base/shm.h, base/shm_dict.h): find
 * what is yours from its root, and make it when the root is 0, under the lock:
 *
 *     shm_lock(zone->memory);
 *     struct shm_dict *d = root_of(zone->memory);  (created when missing)
 *     ...
 *     shm_unlock(zone->memory);
 *
 * Memory is freed with the last generation that has the zone, so who refers
 * to what is inside holds its request's generation, and the epoch.
 */
#ifndef PENSTOCK_SERVE_ZONE_H
#define PENSTOCK_SERVE_ZONE_H

#include "base/shm.h"
#include "serve/generation.h"

/* What a zone is for: one static struct a user, known by its address. */
struct zone_kind {
    const char *name;  /* "limit_req" */
    shm_bury_fn *bury; /* of counts that end with their process; or NULL */
};

struct zone {
    struct str name;
    uint64_t size; /* bytes; 0: only named so far */
    const struct zone_kind *kind;
    struct str variant; /* set by who declares: what is inside fits only
                           this (the text of a key); may be empty */
    void *data;         /* the declaring directive's own, in the arena */
    struct shm *memory; /* NULL before it is opened */
    struct zone_memory *shared;
    const struct conf_node *node; /* that named it first */
    struct zone *next;
};

extern struct conf_module zone_module; /* the last in the list */

/*
 * The zone of that name, made when it is new.  size 0 names one that another
 * directive declares; kind must be the same each time, and so must the size
 * where it is not 0.  NULL with the sentence.
 */
struct zone *zone_declare(struct conf *conf, struct str name, uint64_t size,
                          const struct zone_kind *kind);

/*
 * Read "NAME:SIZE" (of zone=, keys_zone=, shared:) and declare it.  NULL with
 * the sentence, which speaks of whole.
 */
struct zone *zone_declare_text(struct conf *conf, struct str name_size,
                               struct str whole, const struct zone_kind *kind);

/* This process's place among those that use the memory (shm_join()), taken
 * when first asked for; call it with the lock held.  kind->bury is not NULL:
 * it is called for processes that died, and for this one when it ends. */
unsigned zone_owner(struct zone *z);

/* ---- for the gateway ---- */

size_t zones_count(const struct generation *g);

/* In the master: memory for every zone, old's (which may be NULL) where it
 * fits.  -1 with err. */
int zones_open(struct generation *g, const struct generation *old,
               struct err *err);

/* The descriptor of the i-th zone, or -1. */
int zones_fd(const struct generation *g, size_t i);

/* In a worker: the i-th zone's memory is what fd leads to, which stays the
 * caller's.  -1 with err. */
int zones_attach(struct generation *g, size_t i, int fd, struct err *err);

#endif
