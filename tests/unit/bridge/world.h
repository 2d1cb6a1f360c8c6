/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * world.h - a worker's bridge between a backend and a client that the test
 * plays, over real sockets, and a request that is made of paper.
 *
 * The backend listens on a Unix socket and speaks Sluice through the codec;
 * the client is one end of a socket pair.  Everything runs in one thread:
 * waiting for something turns the loop.
 */
#ifndef PENSTOCK_TESTS_BRIDGE_WORLD_H
#define PENSTOCK_TESTS_BRIDGE_WORLD_H

#include "bridge/exchange.h"
#include "bridge/session.h"
#include "bridge/upgrade.h"
#include "sluice/hello.h"
#include "support/test.h"

enum {
    WORLD_BACKENDS = 2,
    WORLD_TURNS = 50000, /* without what is waited for: five seconds */
};

/* A backend as the test plays it. */
struct fake {
    int listening, fd; /* -1: not */
    char path[100];
    struct sluice_reader reader;
    struct buf in, out;
    size_t used; /* of in, by the frame that was given last */
    bool eof;
};

/* A client that asks for an upgrade. */
struct paper {
    struct request r;
    struct stream *stream;
    int fd; /* the client's end */
    struct buf in;
    int verdict;     /* of bridge_upgrade() */
    int finished;    /* what request_finish() was told; -100: nothing */
    unsigned status; /* of request_respond() */
    struct buf body, fields;
    unsigned ended; /* status of request_end_taken() */
    bool eof, reset;
    bool full; /* it takes no more of a response for now */
};

struct world {
    struct loop *loop;
    struct arena *arena;
    struct generation generation;
    struct pool_conf pool;
    struct pool_server servers[WORLD_BACKENDS];
    struct websocket_conf conf;
    struct backend_pass_conf pass;
    struct fake backends[WORLD_BACKENDS];
    char dir[64];
    bool trusts_peer;          /* set_real_ip_from */
    bool skips_acks;           /* fake_next() does */
    bool own_boot_ids;         /* each backend is another process */
    struct sluice_hello hello; /* what backends say first */
};
extern struct world world;

/* cmocka's setup and teardown.  The settings may be changed before
 * world_start(). */
int world_begin(void **state);
int world_end(void **state);
void world_start(size_t backends); /* listen, adopt, greet, READY */
void world_adopt(void);            /* what the settings say now */
void world_turn(void);

/* ---- the backend's side ---- */
struct fake *fake_of(size_t i);
void fake_listen(struct fake *b);
void fake_accept(struct fake *b);        /* waits for the dial */
void fake_begin(struct fake *b, int fd); /* a link that was accepted */
void fake_greet(struct fake *b);         /* HELLO */
void fake_ready(struct fake *b);         /* READY, and the worker has seen it */
void fake_send(struct fake *b);          /* what was put in b->out */
void fake_send_raw(struct fake *b, const void *p, size_t n);
void fake_close(struct fake *b);
/* The next frame but keepalives; waits.  False at the end of the link. */
bool fake_next(struct fake *b, struct sluice_frame *f);
/* Without waiting: 1 a frame, 0 nothing, -1 the end. */
int fake_try(struct fake *b, struct sluice_frame *f);
/* The next, which must be of this type; waits. */
struct sluice_frame fake_expect(struct fake *b, enum sluice_type type);
/* CLOSED with these, which comes next; waits. */
struct sluice_closed fake_expect_closed(struct fake *b, unsigned cause,
                                        unsigned code);
bool fake_is_silent(struct fake *b);
void fake_put_empty(struct fake *b, enum sluice_type type, uint64_t cid);
void fake_put_data(struct fake *b, enum sluice_type type, unsigned flags,
                   uint64_t cid, const void *p, size_t n);
void fake_accept_client(struct fake *b, uint64_t cid, const char *protocol);

/* ---- the client's side ---- */
/* A GET with these fields ("Name: value\n..."), besides the usual ones of a
 * handshake; given to bridge_upgrade(). */
struct paper *paper_ask(const char *fields);
/* The same without the key and the version of hybi. */
struct paper *paper_ask_old(const char *fields);
/* Bytes behind the head that request_expect_raw() waits for. */
void paper_behind(struct paper *p, const void *bytes, size_t n);
void paper_free(struct paper *p);
/* Only a request, of which nobody has heard; without a connection.  old: no
 * key and no version of hybi. */
struct paper *paper_create(const char *fields, bool old);
/* The same with a connection. */
struct paper *paper_stand(const char *fields);
/* The memory, when the bridge has let go of it. */
void paper_burn(struct paper *p);
void paper_send(struct paper *p, const void *bytes, size_t n);
/* A frame, masked. */
void paper_frame(struct paper *p, unsigned first_byte, const void *payload,
                 size_t n);
/* Read until n bytes are there, or the end. */
bool paper_want(struct paper *p, size_t n);
/* The next n bytes must be these. */
void paper_expect(struct paper *p, const void *bytes, size_t n);
/* Reads and checks the 101; what follows stays. */
void paper_expect_101(struct paper *p);
/* The client's connection is closed by the gateway; unread bytes are
 * dropped. */
void paper_expect_end(struct paper *p);
/* Ask, accept, read the 101: an open session on backend b. */
struct paper *paper_open(struct fake *b, uint64_t *cid);

/* Turn until the condition holds, for at most five seconds. */
#define WORLD_WAIT(condition)                                                  \
    do {                                                                       \
        for (int turns_ = 0; !(condition); turns_++) {                         \
            if (turns_ > WORLD_TURNS)                                          \
                fail_msg("waited in vain for %s", #condition);                 \
            world_turn();                                                      \
        }                                                                      \
    } while (0)

#endif
