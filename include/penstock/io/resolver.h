/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * io/resolver.h - names to addresses without waiting: DNS by libevent's evdns.
 *
 * Asks the given name servers for A and AAAA records, keeps answers as long as
 * their TTL (or valid_ms) allows and asks once for all who want the same name
 * at the same time.  Names are checked before they go out; an answer counts
 * when it comes from a name server that was asked and has the random id and
 * the question of what is open.  Answers that do not fit one datagram are not
 * asked for again by TCP.
 */
#ifndef PENSTOCK_IO_RESOLVER_H
#define PENSTOCK_IO_RESOLVER_H

#include "base/address.h"
#include "base/list.h"
#include "io/loop.h"
#include "io/timer.h"

enum {
    RESOLVER_NAMES_MAX = 1024, /* kept or being asked for */
    RESOLVER_NAME_MAX = 253,   /* RFC 1035 section 2.3.4, as text */
};

struct resolver;

struct resolver_setup {
    const struct address *servers;
    size_t servers_n;
    bool ipv4, ipv6;
    uint64_t valid_ms; /* instead of the TTL; 0: the TTL */
};

struct resolver_answer {
    const struct address *addresses; /* port 0 */
    size_t n;
    uint64_t fresh_ms; /* how long it may be used */
    unsigned code;     /* 0, or the RCODE; 110: nobody answered in time */
    const char *error; /* NULL, or why there are none: "Host not found" */
};

/* Somebody who waits for an answer; the caller's storage, zeroed before. */
struct resolver_wait {
    struct list link;
    struct resolver *resolver;
    struct timer timer;
    /* Once; the answer is good until it returns. */
    void (*done)(struct resolver_wait *w, const struct resolver_answer *a);
};

/* NULL with errno. */
struct resolver *resolver_create(struct loop *loop,
                                 const struct resolver_setup *setup);

/* Who waits is not told any more.  NULL is fine; also from a callback. */
void resolver_destroy(struct resolver *r);

/* May a name be asked for: letters, digits, '-', '_' in labels of 1 to 63? */
bool resolver_name_is_valid(struct str name);

/* What is known, or NULL.  Good until the loop's next turn. */
const struct resolver_answer *resolver_find(struct resolver *r,
                                            struct str name);

/*
 * Ask; w->done is called later, never from here, at most timeout_ms later.
 * False when the name is not valid or too many are being asked for.
 */
bool resolver_ask(struct resolver *r, struct resolver_wait *w, struct str name,
                  uint64_t timeout_ms);

/* The answer is not wanted any more; fine when it came. */
void resolver_cancel(struct resolver_wait *w);

#endif
