/* SPDX-License-Identifier: BSD-2-Clause */
/* rule LF origin LF host: an origin that a rule without * and ~ lets in has
 * the rule's scheme and host in it, and is one piece of printable text. */
#include <stdlib.h>

#include "base/check.h"
#include "route/origin.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool holds_nocase(struct str s, struct str part)
{
    for (size_t i = 0; i + part.n <= s.n; i++)
        if (str_eq_nocase(str_slice(s, i, i + part.n), part))
            return true;
    return false;
}

static void check_same(struct str origin, struct str host, bool https)
{
    if (!origin.p || !origin_is_allowed(NULL, origin, https, host))
        return;
    struct str scheme = https ? STR("https://") : STR("http://");
    check(str_starts_nocase(origin, scheme));
    size_t end = host.n && host.p[0] == '[' ? str_find(host, ']', 0) : 0;
    struct str name = str_slice(host, 0, str_find(host, ':', end));
    check(name.n > 0);
    check(str_starts_nocase(str_slice(origin, scheme.n, origin.n), name));
    for (size_t i = 0; i < origin.n; i++)
        check(origin.p[i] > ' ' && origin.p[i] < 0x7f && origin.p[i] != ',');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena *arena = arena_create(1024);
    struct err err = {""};
    struct origin_rules *rules = origin_rules_create(arena);
    char *copy = malloc(n + 1);

    log_process.target = NULL;
    if (n)
        memcpy(copy, data, n);
    struct str rest = str_n(copy, n);
    struct str rule = str_cut(&rest, '\n'), origin = str_cut(&rest, '\n');
    int added = origin_rules_add(rules, rule, &err);
    check(added == 0 || (added == -1 && err.text[0]));
    for (int https = 0; https < 2; https++) {
        bool allowed = origin_is_allowed(rules, origin, https, rest);
        bool plain = str_find(rule, '*', 0) == rule.n &&
                     str_find(rule, '~', 0) == rule.n;
        size_t slashes = str_find(rule, '/', 0);
        if (added == 0 && allowed && plain && slashes < rule.n) {
            struct str host = str_slice(rule, slashes + 2, rule.n);
            size_t end = host.p[0] == '[' ? str_find(host, ']', 0) : 0;
            host = str_slice(host, 0, str_find(host, ':', end));
            check(holds_nocase(origin, host));
        }
        check_same(origin, rest, https);
    }
    free(copy);
    arena_destroy(arena);
    return 0;
}
