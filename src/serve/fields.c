/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/fields.h"

#include "base/base64.h"

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

bool fields_basic(struct str authorization, struct arena *arena,
                  struct str *user, struct str *password)
{
    if (!str_starts_nocase(authorization, STR("Basic ")))
        return false;
    struct str code = str_trim(str_slice(authorization, 6, authorization.n));
    char *text = arena_alloc(arena, code.n + 1);
    size_t n;
    if (!base64_decode(code, BASE64, text, &n))
        return false;

    struct str both = str_n(text, n);
    size_t colon = str_find(both, ':', 0);
    if (colon == 0 || colon == n)
        return false;
    *user = str_slice(both, 0, colon);
    *password = str_slice(both, colon + 1, n);
    return true;
}

bool fields_basic_user(struct str authorization, struct arena *arena,
                       struct str *out)
{
    struct str password;
    return fields_basic(authorization, arena, out, &password);
}
