/* SPDX-License-Identifier: BSD-2-Clause */
#include "peers/health.h"
#include "peers/peers.h"

void upstreams_adopt(struct loop *loop, struct generation *g,
                     struct generation *old)
{
    const struct map_entry *entry;
    size_t it = 0;

    while ((entry = map_next(&g->upstreams, &it))) {
        struct upstream *u = entry->value;
        if (u->zone) /* the dead are buried, and the states found, now */
            shared_use(u);
        const struct upstream *before =
            old ? upstream_find(old, u->name) : NULL;
        if (u->names)
            resolved_start(u, loop, before);
        if (u->check)
            health_start(u->check, loop, before, g->number);
    }
    if (old)
        upstreams_stop(old);
}

void upstreams_stop(struct generation *g)
{
    const struct map_entry *entry;
    size_t it = 0;

    while ((entry = map_next(&g->upstreams, &it))) {
        struct upstream *u = entry->value;
        resolved_stop(u);
        if (u->check)
            health_stop(u->check);
    }
}
