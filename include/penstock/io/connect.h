/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * io/connect.h - dial a TCP or Unix address without blocking.
 */
#ifndef PENSTOCK_IO_CONNECT_H
#define PENSTOCK_IO_CONNECT_H

#include "base/address.h"
#include "io/stream.h"

/* Zeroed: as the kernel likes it. */
struct connect_options {
    const struct address *local; /* to dial from; another family's is not
                                    used */
    bool keepalive;              /* SO_KEEPALIVE */
    int sndbuf, rcvbuf;          /* bytes */
};

/*
 * A stream to the address, connected (Unix, at once) or connecting (TCP:
 * on_connect or on_end follows).  NULL with errno when the kernel refuses at
 * once: ECONNREFUSED, ENOENT, EAGAIN (a Unix backlog is full), EMFILE, ...
 * TCP_NODELAY is set.  *pending tells whether to wait for on_connect.  how may
 * be NULL.
 */
struct stream *stream_connect(struct loop *loop, const struct address *to,
                              const struct connect_options *how,
                              const struct stream_events *events, void *owner,
                              bool *pending);

#endif
