/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * io/peek.h - the first bytes of a socket, seen and not yet taken.
 *
 * For what stands before the protocol proper (a PROXY header before a TLS
 * handshake): the owner sees what has come, takes exactly its part, and gives
 * the socket to a stream.
 */
#ifndef PENSTOCK_IO_PEEK_H
#define PENSTOCK_IO_PEEK_H

#include "io/loop.h"

enum {
    PEEK_MAX = 4096 /* bytes that are seen */
};

struct event;

/*
 * on_bytes sees all that has come so far, each time that more comes; n 0: the
 * peer is gone, or will send no more.  It may call peek_close(), but not free.
 */
struct peek {
    struct loop *loop;
    struct event *event;
    int fd; /* owned; -1: closed */
    void (*on_bytes)(struct peek *peek, const uint8_t *p, size_t n);
};

/* Storage is the caller's, and stays until peek_close(). */
void peek_open(struct peek *peek, struct loop *loop, int fd,
               void (*on_bytes)(struct peek *peek, const uint8_t *p, size_t n));

/* Take the first n bytes, which were seen, and give the socket to the caller.
 * -1 when the socket failed: it is closed. */
int peek_take(struct peek *peek, size_t n);

void peek_close(struct peek *peek); /* fine when it is closed */

#endif
