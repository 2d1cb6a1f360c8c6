/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/resolving.h - `resolver` and `resolver_timeout`: how names that are
 * known only at run time become addresses.
 */
#ifndef PENSTOCK_SERVE_RESOLVING_H
#define PENSTOCK_SERVE_RESOLVING_H

#include "io/resolver.h"
#include "serve/generation.h"

/* Of resolver_answer.code. */
enum {
    RESOLVE_FORMAT_ERROR = 1,
    RESOLVE_NO_SUCH_NAME = 3,
};

/* One `resolver` directive; the resolver itself is each worker's own. */
struct resolver_conf {
    struct resolver_setup setup;
    struct resolver *live; /* made when first asked */
};

struct resolving {
    struct resolver_conf *resolver; /* NULL: none */
    uint64_t timeout_ms;
};

extern struct conf_module resolver_module;

/* NULL when there is none, or none can be made (which is logged). */
struct resolver *resolving_start(const struct resolving *c, struct loop *loop,
                                 const struct log_ctx *log);

#endif
