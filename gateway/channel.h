/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gateway/channel.h - what master and worker say to each other.
 *
 * A pair of Unix sockets that keep message boundaries (SOCK_SEQPACKET): a
 * message arrives whole, with the descriptors it carries, or not at all.
 * Both ends are ours, but an end may die at any moment and a process may be
 * out of descriptors, so what arrives is still checked, and a broken channel
 * is an ordinary event.  Neither end ever blocks.
 */
#ifndef PENSTOCK_GATEWAY_CHANNEL_H
#define PENSTOCK_GATEWAY_CHANNEL_H

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

enum {
    MESSAGE_BODY_MAX = 1500, /* bytes: the longest err text and its head */
    MESSAGE_FDS_MAX = 128,   /* the kernel takes 253 (SCM_MAX_FD) */
};

enum message_type {
#define MESSAGE(name, code, sender, body) MESSAGE_##name = code,
#include "messages.def"
#undef MESSAGE
};

struct message {
    enum message_type type;
    uint8_t body[MESSAGE_BODY_MAX];
    size_t n;  /* bytes in body */
    size_t at; /* bytes of body that were got */
    int fds[MESSAGE_FDS_MAX];
    size_t fds_n;
};

/* Both ends, non-blocking and close-on-exec.  -1 with err. */
int channel_open(int ends[2], struct err *err);

/*
 * Send m; its descriptors stay the sender's.  1: sent; 0: the other end is
 * slow, try again when the channel is writable; -1: it is gone (errno).
 */
int channel_send(int fd, const struct message *m);

/*
 * Receive into m, which then owns its descriptors (close-on-exec).  1: a
 * message; 0: there is none now; -1: the other end is gone, or what came is
 * no message of ours (errno EPROTO), or descriptors were lost because this
 * process can have no more (EMFILE): they are all closed then.
 */
int channel_receive(int fd, struct message *m);

/* "CONFIGURATION", ... */
const char *message_name(enum message_type type);

/* Writers and readers of a body, in pairs.  Putting more than a body holds is
 * our own mistake; getting says false when the body ends too early. */
void message_init(struct message *m, enum message_type type);
void message_put_u32(struct message *m, uint32_t v);
void message_put_text(struct message *m, struct str text); /* is cut to fit */
void message_put_fd(struct message *m, int fd);
bool message_get_u32(struct message *m, uint32_t *v);
struct str message_get_text(struct message *m); /* the rest; borrowed */

/* Close the descriptors that nobody took (an entry of -1 was taken). */
void message_close_fds(struct message *m);

#endif
