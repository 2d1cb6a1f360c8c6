/* SPDX-License-Identifier: BSD-2-Clause */
#include <pwd.h>
#include <stdlib.h>
#include <sys/un.h>

#include "backend_conf.h"

/* Room for one more item in an arena array that grows by doubling. */
static void *grow(struct arena *arena, void *items, size_t n, size_t *capacity,
                  size_t size)
{
    if (n < *capacity)
        return items;
    *capacity = *capacity ? *capacity * 2 : 4;
    void *larger = arena_calloc(arena, *capacity * size);
    if (n)
        memcpy(larger, items, n * size);
    return larger;
}

static struct pool_server *add_server(struct conf *conf, struct pool_conf *p)
{
    p->servers = grow(conf->arena, p->servers, p->servers_n,
                      &p->servers_capacity, sizeof *p->servers);
    struct pool_server *s = &p->servers[p->servers_n++];
    *s = (struct pool_server){.weight = 1, .spawn = -1};
    return s;
}

static int number(struct conf *conf, struct str word, struct str value,
                  uint64_t low, uint64_t high, uint32_t *out)
{
    uint64_t v;
    if (!str_to_u64(value, high, &v) || v < low)
        return conf_fail(conf,
                         "invalid parameter \"%.*s\", expected a number from "
                         "%llu to %llu",
                         STR_ARG(word), (unsigned long long)low,
                         (unsigned long long)high);
    *out = (uint32_t)v;
    return 0;
}

int backend_check_path(struct conf *conf, const char *path)
{
    struct sockaddr_un un;
    if (strlen(path) >= sizeof un.sun_path)
        return conf_fail(conf, "socket path \"%s\" is longer than %zu bytes",
                         path, sizeof un.sun_path - 1);
    return 0;
}

int backend_set_server(struct conf *conf, struct conf_scope *scope,
                       const struct directive *row,
                       const struct conf_node *node, void *field)
{
    struct pool_conf *p = scope->object;
    struct str address = conf_arg(node, 1);
    (void)row;
    (void)field;

    if (!str_starts(address, STR("unix:")) || address.n == 5)
        return conf_fail(conf,
                         "invalid backend address \"%.*s\", expected "
                         "\"unix:PATH\"",
                         STR_ARG(address));
    struct pool_server *s = add_server(conf, p);
    s->path = conf_full_path(conf, str_slice(address, 5, address.n), false);
    if (backend_check_path(conf, s->path) == -1)
        return -1;
    for (size_t i = 2; i < node->words_n; i++) {
        struct str word = conf_arg(node, i), value;
        int rc = 0;
        if (backend_word_is(word, STR("weight"), &value))
            rc = number(conf, word, value, 1, 65535, &s->weight);
        else if (backend_word_is(word, STR("max_clients"), &value))
            rc = number(conf, word, value, 0, UINT32_MAX, &s->max_clients);
        else if (str_eq(word, STR("backup")))
            s->backup = true;
        else if (str_eq(word, STR("down")))
            s->down = true;
        else
            rc = conf_fail(conf,
                           "invalid parameter \"%.*s\", expected "
                           "\"weight=N\", \"max_clients=N\", \"backup\" or "
                           "\"down\"",
                           STR_ARG(word));
        if (rc)
            return -1;
    }
    return 0;
}

int backend_set_spawn(struct conf *conf, struct conf_scope *scope,
                      const struct directive *row, const struct conf_node *node,
                      void *field)
{
    struct pool_conf *p = scope->object;
    struct pool_spawn spawn = {.instances = 1, .node = node};
    size_t words = node->words_n;
    struct str value;
    (void)row;
    (void)field;

    /* Ours stand at the end, so that the command may have words like them. */
    for (; words > 2; words--) {
        struct str word = conf_arg(node, words - 1);
        if (backend_word_is(word, STR("instances"), &value)) {
            if (number(conf, word, value, 1, 1024, &spawn.instances) == -1)
                return -1;
        } else if (backend_word_is(word, STR("user"), &value)) {
            spawn.user = arena_cstr(conf->arena, value);
        } else {
            break;
        }
    }
    spawn.argv = arena_calloc(conf->arena, words * sizeof *spawn.argv);
    for (size_t i = 1; i < words; i++)
        spawn.argv[i - 1] = arena_cstr(conf->arena, conf_arg(node, i));
    if (strchr(spawn.argv[0], '/'))
        spawn.argv[0] = arena_cstr(
            conf->arena, str_c(conf_full_path(conf, conf_arg(node, 1), false)));

    p->spawns = grow(conf->arena, p->spawns, p->spawns_n, &p->spawns_capacity,
                     sizeof *p->spawns);
    p->spawns[p->spawns_n] = spawn;
    for (unsigned i = 0; i < spawn.instances; i++) {
        struct pool_server *s = add_server(conf, p);
        s->spawn = (int)p->spawns_n;
        s->instance = i;
    }
    p->spawns_n++;
    return 0;
}

int backend_set_allow_uid(struct conf *conf, struct conf_scope *scope,
                          const struct directive *row,
                          const struct conf_node *node, void *field)
{
    struct pool_conf *p = scope->object;
    (void)row;
    (void)field;

    for (size_t i = 1; i < node->words_n; i++) {
        struct str word = conf_arg(node, i);
        uint64_t uid;
        if (!str_to_u64(word, UINT32_MAX, &uid)) {
            struct passwd *pw = getpwnam(conf_arg_c(conf, node, i));
            if (!pw)
                return conf_fail(conf, "user \"%.*s\" is not known",
                                 STR_ARG(word));
            uid = pw->pw_uid;
        }
        p->allow_uids = grow(conf->arena, p->allow_uids, p->allow_uids_n,
                             &p->allow_uids_capacity, sizeof *p->allow_uids);
        p->allow_uids[p->allow_uids_n++] = (uid_t)uid;
    }
    return 0;
}
