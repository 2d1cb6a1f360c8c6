/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/fields.h"

bool fields_find_arg(struct str args, struct str name, struct str *out)
{
    if (name.n == 0)
        return false;
    while (args.n) {
        struct str pair = str_cut(&args, '&');
        size_t eq = str_find(pair, '=', 0);
        if (eq == pair.n || !str_eq_nocase(str_slice(pair, 0, eq), name))
            continue;
        *out = str_slice(pair, eq + 1, pair.n);
        return true;
    }
    return false;
}

bool fields_find_cookie(struct str field, struct str name, struct str *out)
{
    if (name.n == 0)
        return false;
    while (field.n) {
        struct str pair = str_trim(str_cut(&field, ';'));
        size_t eq = str_find(pair, '=', 0);
        if (eq == pair.n ||
            !str_eq_nocase(str_trim(str_slice(pair, 0, eq)), name))
            continue;
        *out = str_trim(str_slice(pair, eq + 1, pair.n));
        return true;
    }
    return false;
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* RFC 4648 section 4, padding optional; false on anything else. */
static bool base64_decode(struct str in, char *out, size_t *n)
{
    while (in.n && in.p[in.n - 1] == '=')
        in.n--;
    if (in.n % 4 == 1)
        return false;
    *n = 0;
    unsigned bits = 0, have = 0;
    for (size_t i = 0; i < in.n; i++) {
        int digit = base64_digit(in.p[i]);
        if (digit < 0)
            return false;
        bits = bits << 6 | (unsigned)digit;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[(*n)++] = (char)(bits >> have & 0xff);
        }
    }
    return true;
}

bool fields_basic_user(struct str authorization, struct arena *arena,
                       struct str *out)
{
    if (!str_starts_nocase(authorization, STR("Basic ")))
        return false;
    struct str code = str_trim(str_slice(authorization, 6, authorization.n));
    char *text = arena_alloc(arena, code.n + 1);
    size_t n;
    if (!base64_decode(code, text, &n))
        return false;

    size_t colon = str_find(str_n(text, n), ':', 0);
    if (colon == 0 || colon == n)
        return false;
    *out = str_n(text, colon);
    return true;
}
