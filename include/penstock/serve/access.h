/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/access.h - who may ask: allow, deny, limit_except, internal.
 *
 * Rules are tried in order of the file; the first that fits decides, and a
 * request that no rule fits is let in.  A block without rules of its own has
 * its parent's.
 */
#ifndef PENSTOCK_SERVE_ACCESS_H
#define PENSTOCK_SERVE_ACCESS_H

#include "serve/request.h"

enum access_family {
    ACCESS_ALL = 1,
    ACCESS_V4,
    ACCESS_V6,
    ACCESS_UNIX,
};

struct access_rule {
    enum access_family family;
    bool deny;
    uint8_t prefix[16]; /* network order, bits behind the length are 0 */
    unsigned bits;
};

enum satisfy { SATISFY_ALL = 0, SATISFY_ANY = 1 };

struct access_conf {
    struct conf_list rules; /* struct access_rule */
    bool internal;
    unsigned satisfy;  /* enum satisfy */
    uint64_t delay_ms; /* of 401 */
    /* limit_except, of the one location it stands in */
    const struct conf_scope *limit_owner;
    struct location *limited; /* for the methods that are not allowed */
    unsigned allowed;         /* 1 << enum method, or'ed */
};

extern struct conf_module access_module;

/*
 * Read "10.0.0.0/8", "2001:db8::/32", an address, "unix:" or "all" (deny is
 * left alone).  Returns 0; 1 when bits behind the prefix length were set (they
 * are cleared; nginx warns); -1 when it is none of these.
 */
int access_rule_read(struct access_rule *rule, struct str text);

/* An IPv4 address mapped into IPv6 is matched as IPv4. */
bool access_rule_fits(const struct access_rule *rule,
                      const struct address *address);

/*
 * Call each time that a location was chosen for the request, before anything
 * of the location runs.  404 when it is internal and the request is not;
 * else VERDICT_DECLINED, and r->location may have become the limit_except{}
 * inside of it.
 */
int access_enter(struct request *r);

/*
 * One kind of check (addresses, a password, ...), a line of the list in
 * access/satisfy.c.  Answers ACCESS_GRANTED, VERDICT_DECLINED (it is not asked
 * here), 401 or 403 (others may still grant it, with `satisfy any`), another
 * status (which is the answer), or VERDICT_PENDING: access_answer() gets the
 * verdict later.
 */
typedef int access_check_fn(struct request *r);

enum { ACCESS_GRANTED = -3 };

/* All checks, as `satisfy` has it.  VERDICT_DECLINED to go on, a status, or
 * VERDICT_PENDING. */
int access_run(struct request *r);

/* A check that was pending knows; the request is alive.  Not to be called
 * while the check itself is on the stack. */
void access_answer(struct request *r, int verdict);

access_check_fn access_rules_check; /* allow and deny */

#endif
