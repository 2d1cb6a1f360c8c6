/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bridge/slots.h - client ids, and which session each one is.
 *
 * SLUICE section 3: 24 bits of slot, 20 bits that count the slot's uses, and
 * the process.  A freed slot goes to the end of the queue of free ones, so an
 * id is used again as late as possible.
 */
#ifndef PENSTOCK_BRIDGE_SLOTS_H
#define PENSTOCK_BRIDGE_SLOTS_H

#include <stddef.h>
#include <stdint.h>

struct link_client;

struct slot {
    struct link_client *client; /* NULL: free */
    uint32_t generation;        /* of the id it has, or had last */
    uint32_t next_free;
};

struct slots {
    struct slot *slots;
    uint32_t n, capacity;
    uint32_t free_first, free_last; /* SLOT_NONE: no free one */
    uint32_t used;
    uint32_t process;
};

void slots_init(struct slots *t, uint32_t process);
void slots_fini(struct slots *t);

/* A new id for session, or 0 when all 2^24 slots are taken. */
uint64_t slots_take(struct slots *t, struct link_client *client);
/* The id is another client's from now on. */
void slots_replace(struct slots *t, uint64_t cid, struct link_client *client);
void slots_give(struct slots *t, uint64_t cid);

/* NULL when the id is unknown, old, or another process's. */
struct link_client *slots_find(const struct slots *t, uint64_t cid);

#endif
