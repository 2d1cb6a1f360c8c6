/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * base/intern.h - bytes that many objects of this process share, stored once.
 *
 * Counted: what nobody holds is gone.  What a peer says may be interned: the
 * hash is keyed, and each holder brings at most what it would have kept
 * itself, and 40 bytes.
 */
#ifndef PENSTOCK_BASE_INTERN_H
#define PENSTOCK_BASE_INTERN_H

#include <stdbool.h>

#include "base/str.h"

struct interned {
    struct interned *next;
    uint32_t hash, references, n;
    char bytes[];
};

/* The one of these bytes (at most 2^32 - 1), with a reference for the caller.
 */
struct interned *intern(struct str s);
/* Is it interned, or was it asked about not long ago?  So one can leave alone
 * what is unlike everything else. */
bool intern_is_worth(struct str s);
void intern_unref(struct interned *i); /* NULL is fine */

static inline struct str interned_str(const struct interned *i)
{
    return str_n(i->bytes, i->n);
}

#endif
