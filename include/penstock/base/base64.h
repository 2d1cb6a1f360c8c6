/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * base/base64.h - RFC 4648 sections 4 and 5.
 */
#ifndef PENSTOCK_BASE_BASE64_H
#define PENSTOCK_BASE_BASE64_H

#include "base/str.h"

enum base64_alphabet {
    BASE64 = 0,     /* + and / */
    BASE64_URL = 1, /* - and _ */
};

/* Bytes that n characters can not exceed. */
#define BASE64_DECODED_MAX(n) ((n) / 4 * 3 + 3)

/*
 * Into out, which has room for BASE64_DECODED_MAX(in.n); padding is optional.
 * False on anything else that is not of the alphabet, or a cut group.
 */
bool base64_decode(struct str in, enum base64_alphabet alphabet, void *out,
                   size_t *n);

#endif
