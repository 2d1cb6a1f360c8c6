/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/sticky.h - who was served by one peer comes back to it: the cookie
 * that says which, for upstream{} and backend{}.
 */
#ifndef PENSTOCK_SERVE_STICKY_H
#define PENSTOCK_SERVE_STICKY_H

#include "route/value.h"
#include "upstream/balance.h"

struct sticky_cookie {
    struct str name;
    struct str domain, path; /* p NULL: not said */
    struct value *samesite;  /* NULL: not said */
    uint64_t expires_s;      /* 0: with the browser's session */
    bool expires_max;        /* never */
    bool httponly, secure;
};

/* NAME [expires=] [domain=] [httponly] [samesite=] [secure] [path=], the
 * words from first on; -1 with the sentence. */
int sticky_cookie_read(struct conf *conf, const struct conf_node *node,
                       size_t first, struct sticky_cookie *c);

/* The value of Set-Cookie for a peer. */
struct str sticky_cookie_text(const struct sticky_cookie *c,
                              struct evaluation *e, struct str id);

enum { STICKY_ID_SIZE = 32 };

/* What a peer is called in cookies and sessions, unless it has a route: the
 * MD5 of its name in hexadecimal, kept at id as its route. */
void sticky_identify(struct peer *p, char id[STICKY_ID_SIZE]);

/* The peer that is called so, or NULL. */
struct peer *sticky_find(struct balance *b, struct str id);

#endif
