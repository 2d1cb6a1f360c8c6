/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/clock.h"
#include "serve/cache.h"
#include "serve/proxy.h"

/* Seconds of "max-age=60" and its like, or -1. */
static int64_t seconds_of(struct str element, struct str name)
{
    uint64_t n;

    if (!str_starts_nocase(element, name))
        return -1;
    struct str text = str_slice(element, name.n, element.n);
    if (text.n >= 2 && text.p[0] == '"' && text.p[text.n - 1] == '"')
        text = str_slice(text, 1, text.n - 1);
    return str_to_u64(text, INT32_MAX, &n) ? (int64_t)n : -1;
}

struct control {
    bool forbids;
    int64_t shared_s, private_s; /* s-maxage, max-age; -1: not said */
    int64_t updating_s, error_s;
};

static void read_control(struct str list, struct control *c)
{
    struct str e;

    while (str_list_next(&list, &e)) {
        int64_t n;
        if (str_eq_nocase(e, STR("no-cache")) ||
            str_eq_nocase(e, STR("no-store")) ||
            str_eq_nocase(e, STR("private")) ||
            str_starts_nocase(e, STR("private=")) ||
            str_starts_nocase(e, STR("no-cache=")))
            c->forbids = true;
        else if ((n = seconds_of(e, STR("s-maxage="))) >= 0)
            c->shared_s = n;
        else if ((n = seconds_of(e, STR("max-age="))) >= 0)
            c->private_s = n;
        else if ((n = seconds_of(e, STR("stale-while-revalidate="))) >= 0)
            c->updating_s = n;
        else if ((n = seconds_of(e, STR("stale-if-error="))) >= 0)
            c->error_s = n;
    }
}

/* "60", or "@1700000000"; false: it says nothing. */
static bool read_accel(struct str text, int64_t now_s, int64_t *valid_s)
{
    bool absolute = text.n && text.p[0] == '@';
    uint64_t n;

    uint64_t most = absolute ? UINT64_C(1) << 40 : INT32_MAX;
    if (!str_to_u64(str_slice(text, absolute, text.n), most, &n))
        return false;
    *valid_s = absolute ? (int64_t)n : n ? now_s + (int64_t)n : 0;
    return true;
}

static void apply_control(const struct http_head *h, int64_t now_s,
                          struct arena *arena, struct cache_freshness *out)
{
    struct control c = {.shared_s = -1, .private_s = -1};

    read_control(http_head_join(h, STR("Cache-Control"), arena), &c);
    int64_t age = c.shared_s >= 0 ? c.shared_s : c.private_s;
    if (c.forbids || age == 0)
        out->storable = false;
    if (age > 0)
        out->valid_s = now_s + age;
    out->updating_s = c.updating_s;
    out->error_s = c.error_s;
}

static void apply_expires(struct str text, int64_t now_s,
                          struct cache_freshness *out)
{
    if (!text.p || out->valid_s)
        return;
    time_t t = clock_parse_http(text);
    if (t == (time_t)-1 || t <= now_s)
        out->storable = false; /* "0" and nonsense are in the past (5.3) */
    else
        out->valid_s = t;
}

static void apply_vary(const struct http_head *h, struct arena *arena,
                       struct cache_freshness *out)
{
    struct str vary = http_head_join(h, STR("Vary"), arena);

    if (!vary.n)
        return;
    if (vary.n > CACHE_VARY_MAX || str_list_has(vary, STR("*")))
        out->storable = false;
    else
        out->vary = vary;
}

void cache_rules_read(const struct http_head *response, unsigned ignored,
                      int64_t now_s, struct arena *arena,
                      struct cache_freshness *out)
{
    struct str accel = http_head_find(response, STR("X-Accel-Expires"));

    *out = (struct cache_freshness){.storable = true};
    if (!(ignored & IGNORE_CACHE_CONTROL))
        apply_control(response, now_s, arena, out);
    if (!(ignored & IGNORE_EXPIRES))
        apply_expires(http_head_find(response, STR("Expires")), now_s, out);
    if (accel.p && !(ignored & IGNORE_ACCEL_EXPIRES) &&
        read_accel(accel, now_s, &out->valid_s))
        out->storable = out->valid_s > 0; /* it has the last word */
    if (!(ignored & IGNORE_VARY))
        apply_vary(response, arena, out);
    if (!(ignored & IGNORE_SET_COOKIE) &&
        http_head_find(response, STR("Set-Cookie")).p)
        out->storable = false;
}
