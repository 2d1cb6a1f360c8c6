/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/filter/type_set.h - which media types a filter is for: gzip_types and
 * its kin.  text/html is always among them; "*" is all.
 */
#ifndef PENSTOCK_SERVE_TYPE_SET_H
#define PENSTOCK_SERVE_TYPE_SET_H

#include "serve/request.h"

struct type_set {
    struct conf_list types; /* struct str, in lower case */
    bool any;
};

/* [struct type_set] row->data: const char *const[] of what it is when the
 * directive is not there, NULL-terminated; NULL: text/html. */
conf_setter type_set_set;

/* defaults: as row->data, for sets that were never set. */
bool type_set_has(const struct type_set *set, const char *const *defaults,
                  struct str content_type);

/* "text/html" of "text/html; charset=utf-8". */
struct str type_without_parameters(struct str content_type);

#endif
