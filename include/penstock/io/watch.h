/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * io/watch.h - a descriptor of which the loop tells when it is ready.
 *
 * The descriptor is the caller's.  A watch is two words in its owner: an
 * event of libevent's would be 200 bytes, a fifth of an idle connection.
 */
#ifndef PENSTOCK_IO_WATCH_H
#define PENSTOCK_IO_WATCH_H

#include "io/loop.h"

enum {
    WATCH_IN = 1,
    WATCH_OUT = 2,
    WATCH_HANGUP = 4, /* the peer's FIN, or worse */
};

struct watch {
    void (*ready)(struct watch *w, unsigned what);
};

/* Tell w whenever fd can be read (level-triggered). */
int watch_add(struct loop *loop, struct watch *w, int fd);
/* Tell w of news of any kind, once each (edge-triggered).  Both: 0, or -1
 * with errno. */
int watch_add_edges(struct loop *loop, struct watch *w, int fd);
/* Before fd is closed; w hears nothing more and may be freed. */
void watch_remove(struct loop *loop, struct watch *w, int fd);

#endif
