/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * base/json.h - reading JSON (RFC 8259) where it lies.
 *
 * No tree is built: a text is checked once as a whole, then values are found
 * in it by walking.  All but json_check() want text that it found good.
 */
#ifndef PENSTOCK_BASE_JSON_H
#define PENSTOCK_BASE_JSON_H

#include "base/arena.h"
#include "base/str.h"

enum {
    JSON_DEPTH_MAX = 32 /* arrays and objects inside of each other */
};

enum json_type {
    JSON_NONE = 0, /* it is no value */
    JSON_OBJECT,
    JSON_ARRAY,
    JSON_STRING,
    JSON_NUMBER,
    JSON_TRUE,
    JSON_FALSE,
    JSON_NULL,
};

/* True when all of text is one value, and white space. */
bool json_check(struct str text);

enum json_type json_type_of(struct str value);

/* The first member of that name (compared without escapes); the value is its
 * text.  False: there is none, or this is no object. */
bool json_member(struct str object, struct str name, struct str *value);

/* The next item of an array: *rest is the array at first.  False at the end,
 * or when it is none. */
bool json_next(struct str *rest, struct str *item);

/* A string without quotes and escapes, in the arena; false: it is none. */
bool json_string(struct str value, struct arena *arena, struct str *out);

#endif
