/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/slots.h"

#include <stdlib.h>

#include "base/check.h"
#include "sluice/frame.h"

#define SLOT_NONE UINT32_MAX

void slots_init(struct slots *t, uint32_t process)
{
    *t = (struct slots){
        .free_first = SLOT_NONE, .free_last = SLOT_NONE, .process = process};
}

void slots_fini(struct slots *t)
{
    free(t->slots);
    slots_init(t, t->process);
}

static uint32_t fresh_slot(struct slots *t)
{
    if (t->n > SLUICE_SLOT_MAX)
        return SLOT_NONE;
    if (t->n == t->capacity) {
        t->capacity = t->capacity ? t->capacity * 2 : 64;
        t->slots = xrealloc(t->slots, t->capacity * sizeof *t->slots);
    }
    t->slots[t->n] = (struct slot){.next_free = SLOT_NONE};
    return t->n++;
}

uint64_t slots_take(struct slots *t, struct link_client *client)
{
    uint32_t i = t->free_first;

    if (i == SLOT_NONE) {
        i = fresh_slot(t);
        if (i == SLOT_NONE)
            return 0;
    } else {
        t->free_first = t->slots[i].next_free;
        if (t->free_first == SLOT_NONE)
            t->free_last = SLOT_NONE;
    }
    struct slot *s = &t->slots[i];
    s->client = client;
    /* 1 follows the last one: generation 0 would make an id of 0. */
    s->generation = s->generation % SLUICE_GENERATION_MAX + 1;
    t->used++;
    return sluice_cid_make(i, s->generation, t->process);
}

struct link_client *slots_find(const struct slots *t, uint64_t cid)
{
    uint32_t i = sluice_cid_slot(cid);
    if (i >= t->n ||
        cid != sluice_cid_make(i, t->slots[i].generation, t->process))
        return NULL;
    return t->slots[i].client;
}

void slots_replace(struct slots *t, uint64_t cid, struct link_client *client)
{
    check(slots_find(t, cid) != NULL);
    t->slots[sluice_cid_slot(cid)].client = client;
}

void slots_give(struct slots *t, uint64_t cid)
{
    check(slots_find(t, cid) != NULL);
    uint32_t i = sluice_cid_slot(cid);
    t->slots[i].client = NULL;
    t->slots[i].next_free = SLOT_NONE;
    if (t->free_last == SLOT_NONE)
        t->free_first = i;
    else
        t->slots[t->free_last].next_free = i;
    t->free_last = i;
    t->used--;
}
