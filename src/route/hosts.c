/* SPDX-License-Identifier: BSD-2-Clause */
#include "route/hosts.h"

void hosts_init(struct hosts *h, struct arena *arena)
{
    *h = (struct hosts){0};
    map_init(&h->exact, arena, true);
    map_init(&h->heads, arena, true);
    map_init(&h->tails, arena, true);
}

/* At most one star, no empty label but a first or last one. */
static bool is_sound(struct str name)
{
    size_t stars = 0;
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == '*' && ++stars > 1)
            return false;
        if (name.p[i] == '.' && i + 1 < name.n && name.p[i + 1] == '.')
            return false;
        if (name.p[i] == '\0')
            return false;
    }
    return true;
}

static enum hosts_added add_wildcard(struct map *m, size_t *longest,
                                     struct str key, void *value)
{
    if (!map_add(m, key, value))
        return HOSTS_TAKEN;
    if (key.n > *longest)
        *longest = key.n;
    return HOSTS_ADDED;
}

enum hosts_added hosts_add_text(struct hosts *h, struct str text, void *value)
{
    if (!text.n)
        text = STR("");
    return map_add(&h->exact, text, value) ? HOSTS_ADDED : HOSTS_TAKEN;
}

enum hosts_added hosts_add(struct hosts *h, struct str name, void *value)
{
    if (!is_sound(name))
        return HOSTS_INVALID;
    if (name.n > 1 && name.p[0] == '.') {
        struct str rest = str_slice(name, 1, name.n);
        if (str_find(rest, '*', 0) < rest.n)
            return HOSTS_INVALID;
        /* Both or neither: a half-taken name would surprise. */
        if (map_find(&h->exact, rest) || map_find(&h->heads, rest))
            return HOSTS_TAKEN;
        hosts_add_text(h, rest, value);
        return add_wildcard(&h->heads, &h->head_max, rest, value);
    }
    if (name.n > 2 && str_starts(name, STR("*.")))
        return add_wildcard(&h->heads, &h->head_max, str_slice(name, 2, name.n),
                            value);
    if (name.n > 2 && str_ends(name, STR(".*")))
        return add_wildcard(&h->tails, &h->tail_max,
                            str_slice(name, 0, name.n - 2), value);
    if (str_find(name, '*', 0) < name.n)
        return HOSTS_INVALID;
    return hosts_add_text(h, name, value);
}

/* The longest suffix that follows a dot. */
static void *find_head(const struct hosts *h, struct str host)
{
    size_t from = host.n > h->head_max ? host.n - h->head_max - 1 : 0;
    if (!h->heads.n)
        return NULL;
    for (size_t dot = str_find(host, '.', from); dot < host.n;
         dot = str_find(host, '.', dot + 1)) {
        void *value = map_find(&h->heads, str_slice(host, dot + 1, host.n));
        if (value)
            return value;
    }
    return NULL;
}

/* The longest prefix that a dot follows. */
static void *find_tail(const struct hosts *h, struct str host)
{
    size_t dot = host.n > h->tail_max ? h->tail_max + 1 : host.n;
    if (!h->tails.n)
        return NULL;
    while (dot-- > 0) {
        if (host.p[dot] != '.')
            continue;
        void *value = map_find(&h->tails, str_slice(host, 0, dot));
        if (value)
            return value;
    }
    return NULL;
}

void *hosts_find(const struct hosts *h, struct str host)
{
    void *value = map_find(&h->exact, host);
    if (!value)
        value = find_head(h, host);
    if (!value)
        value = find_tail(h, host);
    return value;
}
