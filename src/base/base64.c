/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/base64.h"

static int digit_of(char c, enum base64_alphabet alphabet)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (alphabet == BASE64_URL)
        return c == '-' ? 62 : c == '_' ? 63 : -1;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_decode(struct str in, enum base64_alphabet alphabet, void *out,
                   size_t *n)
{
    uint8_t *to = out;
    while (in.n && in.p[in.n - 1] == '=')
        in.n--;
    if (in.n % 4 == 1)
        return false;
    *n = 0;
    unsigned bits = 0, have = 0;
    for (size_t i = 0; i < in.n; i++) {
        int digit = digit_of(in.p[i], alphabet);
        if (digit < 0)
            return false;
        bits = bits << 6 | (unsigned)digit;
        have += 6;
        if (have >= 8) {
            have -= 8;
            to[(*n)++] = (uint8_t)(bits >> have);
        }
    }
    return true;
}
