/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/accepted.h - the hook for who wants to know of every connection.
 */
#ifndef PENSTOCK_SERVE_ACCEPTED_H
#define PENSTOCK_SERVE_ACCEPTED_H

#include "base/address.h"

/* Somebody connected. */
struct accepted {
    unsigned listener; /* the place of its listen in the configuration */
    bool tls;
    const struct address *remote; /* the socket's, whatever a proxy says */
    struct address local;
};

/* Called for each; NULL: nobody wants to know. */
typedef void accepted_fn(const struct accepted *a);
extern accepted_fn *accepted_hook;

#endif
