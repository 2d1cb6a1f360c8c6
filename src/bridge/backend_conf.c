/* SPDX-License-Identifier: BSD-2-Clause */
#include "backend_conf.h"
#include "sluice/frame.h"
#include "ws/close.h"

static conf_setter set_backend;

#define FIELD(name) offsetof(struct backend_conf, set.name)

static const struct directive backend_directives[] = {
    {
        .name = "backend",
        .syntax = "NAME",
        .contexts = CONF_HTTP,
        .arity = ARGS_1,
        .flags = CONF_BLOCK | CONF_REPEATABLE | CONF_DEFINES,
        .set = set_backend,
        .help = "A pool of backend processes that websocket_pass names.",
    },
    {
        .name = "backend_socket_dir",
        .contexts = CONF_MAIN | CONF_HTTP,
        .arity = ARGS_1,
        .set = conf_set_path,
        .offset = FIELD(socket_dir),
        .default_text = "run",
        .help = "Where the sockets of spawned backends are made.",
    },
    {
        .name = "server",
        .syntax = "unix:PATH [weight=N] [max_clients=N] [backup] [down]",
        .contexts = CONF_BACKEND,
        .arity = ARGS_1_MORE,
        .flags = CONF_REPEATABLE,
        .set = backend_set_server,
        .help = "A backend that listens by itself: unix:PATH [weight=N] "
                "[max_clients=N] [backup] [down].",
    },
    {
        .name = "spawn",
        .syntax = "COMMAND [ARGUMENT ...] [instances=N] [user=NAME]",
        .contexts = CONF_BACKEND,
        .arity = ARGS_1_MORE,
        .flags = CONF_REPEATABLE,
        .set = backend_set_spawn,
        .help = "Backends that the master starts and watches: COMMAND "
                "[ARGUMENT...] [instances=N] [user=NAME].",
    },
    {
        .name = "channels_max",
        .contexts = CONF_BACKEND,
        .arity = ARGS_1,
        .set = conf_set_number,
        .offset = FIELD(channels_max),
        .default_text = "256",
        .max = 1 << 20,
        .help = "How many channels one client may be subscribed to.",
    },
    {
        .name = "streams_max",
        .contexts = CONF_BACKEND,
        .arity = ARGS_1,
        .set = conf_set_number,
        .offset = FIELD(streams_max),
        .default_text = "64",
        .max = 1 << 16,
        .help = "How many streams to groups (BSTREAM) a backend may have under "
                "way on one link.",
    },
    {
        .name = "delivery",
        .syntax = "at_most_once | at_least_once",
        .contexts = CONF_BACKEND,
        .arity = ARGS_1,
        .set = backend_set_delivery,
        .default_text = "at_most_once",
        .help = "What becomes of a message whose backend dies: it is lost, or "
                "kept until it is acknowledged and given to the next.",
    },
    {
        .name = "on_backend_loss",
        .syntax = "hold TIME [any] | close [CODE] | reassign",
        .contexts = CONF_BACKEND,
        .arity = ARGS_1 | ARGS_2 | ARGS_3,
        .set = backend_set_on_loss,
        .default_text = "hold 10s",
        .help = "What becomes of the sessions of a lost backend: hold TIME "
                "for the one that replaces it (any: or for any other), close "
                "[CODE], reassign to another now.",
    },
    {
        .name = "state_max",
        .contexts = CONF_BACKEND,
        .arity = ARGS_1,
        .set = conf_set_size,
        .offset = FIELD(state_max),
        .default_text = "64k",
        .max = SLUICE_MAX_FRAME_MAX / 2,
        .help = "Largest state that a backend may leave with a session.",
    },
    {
        .name = "client_window",
        .contexts = CONF_BACKEND,
        .arity = ARGS_1,
        .set = conf_set_size,
        .offset = FIELD(client_window),
        .default_text = "64k",
        .min = 1024,
        .max = 1u << 30,
        .help = "Bytes of one client that a backend may leave unanswered "
                "before the client is read no more; the backend may ask for "
                "less.",
    },
    {
        .name = "reply_window",
        .contexts = CONF_BACKEND,
        .arity = ARGS_1,
        .set = conf_set_size,
        .offset = FIELD(reply_window),
        .default_text = "256k",
        .min = 1024,
        .max = 1u << 30,
        .help = "Bytes a backend may send ahead to one client.",
    },
    {
        .name = "link_window",
        .syntax = "SIZE SIZE",
        .contexts = CONF_BACKEND,
        .arity = ARGS_2,
        .set = backend_set_link_window,
        .default_text = "16m 64m",
        .help = "The same for all clients of a link together: to the "
                "backend, and from it.",
    },
    {
        .name = "max_frame",
        .contexts = CONF_BACKEND,
        .arity = ARGS_1,
        .set = conf_set_size,
        .offset = FIELD(max_frame),
        .default_text = "256k",
        .min = SLUICE_MAX_FRAME_MIN,
        .max = SLUICE_MAX_FRAME_MAX,
        .help = "Largest frame a backend may send.",
    },
    {
        .name = "link_keepalive",
        .syntax = "TIME [timeout=TIME]",
        .contexts = CONF_BACKEND,
        .arity = ARGS_1 | ARGS_2,
        .set = backend_set_keepalive,
        .default_text = "10s timeout=30s",
        .help = "How often a silent link is probed, and after how long a "
                "silence it is given up.",
    },
    {
        .name = "accept_timeout",
        .contexts = CONF_BACKEND,
        .arity = ARGS_1,
        .set = conf_set_ms,
        .offset = FIELD(accept_timeout_ms),
        .default_text = "10s",
        .min = 1,
        .help = "How long a backend may think about a new client; then 504.",
    },
    {
        .name = "connect_timeout",
        .contexts = CONF_BACKEND,
        .arity = ARGS_1,
        .set = conf_set_ms,
        .offset = FIELD(connect_timeout_ms),
        .default_text = "10s",
        .min = 1,
        .help = "How long to wait for the greeting of a dialled backend.",
    },
    {
        .name = "drain_timeout",
        .contexts = CONF_BACKEND,
        .arity = ARGS_1,
        .set = conf_set_ms,
        .offset = FIELD(drain_timeout_ms),
        .default_text = "60s",
        .help = "How long sessions of a backend that the configuration no "
                "longer names may go on.",
    },
    {
        .name = "websocket_drain",
        .syntax = "[rate=N/s] [jitter=TIME] [code=CODE]",
        .contexts = CONF_HTTP | CONF_BACKEND,
        .arity = ARGS_1 | ARGS_2 | ARGS_3,
        .set = backend_set_drain,
        .default_text = "rate=1000/s jitter=0 code=1001",
        .help = "How a worker that retires closes the sessions of a pool: so "
                "many in a second (0: all at once), each up to TIME later, "
                "with this code.  worker_shutdown_timeout bounds it.",
    },
    {
        .name = "allow_uid",
        .syntax = "USER ...",
        .contexts = CONF_BACKEND,
        .arity = ARGS_1_MORE,
        .set = backend_set_allow_uid,
        .help = "Users that may listen on the pool's sockets; names or "
                "numbers.  Default: anybody.",
    },
    {
        .name = "max_clients",
        .syntax = "NUMBER [overflow=reject|evict_oldest]",
        .contexts = CONF_BACKEND,
        .arity = ARGS_1 | ARGS_2,
        .set = backend_set_max_clients,
        .offset = FIELD(max_clients),
        .default_text = "0",
        .help = "Clients of the pool in one worker; further ones get 503, or "
                "with evict_oldest a session that is to be closes the oldest "
                "one with 1013.  0: no limit.",
    },
    {
        .name = "log_rate",
        .contexts = CONF_BACKEND,
        .arity = ARGS_1,
        .set = conf_set_number,
        .offset = FIELD(log_rate),
        .default_text = "1000",
        .max = 1000000,
        .help = "Lines a second that each link may write into the error log, "
                "and that it is told (SETLOG); further ones are counted.",
    },
    {
        .name = "stats_rate",
        .contexts = CONF_BACKEND,
        .arity = ARGS_1,
        .set = conf_set_number,
        .offset = FIELD(stats_rate),
        .default_text = "50",
        .max = 1000000,
        .help = "How often in a second each link may ask for figures of all "
                "processes (STATS_REQ, instance), which each has to answer.",
    },
    {
        .name = "debug",
        .contexts = CONF_BACKEND,
        .arity = ARGS_FLAG,
        .set = conf_set_flag,
        .offset = FIELD(debug),
        .default_text = "off",
        .help = "May a backend ask for debugging lines (SETLOG, OPT DEBUG), "
                "and do the reasons of its refusals (REJECT) go into the "
                "response.",
    },
    {
        .name = "conn_events",
        .contexts = CONF_BACKEND,
        .arity = ARGS_FLAG,
        .set = conf_set_flag,
        .offset = FIELD(conn_events),
        .default_text = "off",
        .help = "Is a backend with an app that asks for it (CONN) told of "
                "every connection to this server, whatever it is for.",
    },
    {
        .name = "allow_raw",
        .contexts = CONF_BACKEND,
        .arity = ARGS_FLAG,
        .set = conf_set_flag,
        .offset = FIELD(allow_raw),
        .default_text = "off",
        .help = "May a backend write WebSocket frames to its clients itself "
                "(RAW).",
    },
    {
        .name = "allow_tunnel",
        .contexts = CONF_BACKEND,
        .arity = ARGS_FLAG,
        .set = conf_set_flag,
        .offset = FIELD(allow_tunnel),
        .default_text = "off",
        .help = "May a backend take the connections of clients that ask for "
                "another protocol and speak with them itself, byte by byte "
                "(TUNNEL).  What Penstock does for WebSockets it does not do "
                "there.",
    },
    {
        .name = "cross_backend",
        .contexts = CONF_BACKEND,
        .arity = ARGS_FLAG,
        .set = conf_set_flag,
        .offset = FIELD(cross_backend),
        .default_text = "on",
        .help =
            "May a backend reach clients of the pool's other backends: with "
            "messages to groups, and by their ids.",
    },
    {0},
};

static void backend_defaults(void *conf)
{
    struct backend_conf *c = conf;
    c->set = (struct pool_settings){
        .client_window = 64 << 10,
        .reply_window = 256 << 10,
        .link_window_in = 16 << 20,
        .link_window_out = 64 << 20,
        .max_frame = SLUICE_MAX_FRAME_DEFAULT,
        .keepalive_ms = 10000,
        .keepalive_timeout_ms = 30000,
        .accept_timeout_ms = 10000,
        .connect_timeout_ms = 10000,
        .drain_timeout_ms = 60000,
        .loss_mode = LOSS_HOLD,
        .hold_ms = 10000,
        .loss_code = WS_CLOSE_RESTART,
        .state_max = 64 << 10,
        .drain_rate = 1000,
        .drain_code = WS_CLOSE_GOING_AWAY,
        .cross_backend = true,
        .channels_max = 256,
        .log_rate = 1000,
        .stats_rate = 50,
        .streams_max = 64,
        .method = &balance_least_conn,
    };
}

static int set_backend(struct conf *conf, struct conf_scope *scope,
                       const struct directive *row,
                       const struct conf_node *node, void *field)
{
    struct generation *g = generation_of(conf);
    struct pool_conf *p = arena_calloc(conf->arena, sizeof *p);
    struct conf_scope *made;
    (void)row;
    (void)field;

    p->name = conf_arg(node, 1);
    p->node = node;
    /* The name is part of a socket's path. */
    bool legal = p->name.n && p->name.n <= 64;
    for (size_t i = 0; i < p->name.n; i++)
        legal &= ascii_is_token(p->name.p[i]);
    if (!legal)
        return conf_fail(conf,
                         "invalid backend name \"%.*s\", expected 1 to 64 "
                         "letters, digits, \"-\", \"_\" or \".\"",
                         STR_ARG(p->name));
    if (!map_add(&g->backends, p->name, p))
        return conf_fail(conf, "duplicate backend \"%.*s\"", STR_ARG(p->name));
    if (conf_block(conf, scope, CONF_BACKEND, node, p, &made) == -1)
        return -1;
    p->scope = made;
    p->set = ((struct backend_conf *)conf_get(made, &backend_module))->set;
    if (!p->servers_n && !p->spawns_n)
        return conf_fail_at(conf, node,
                            "no servers and no spawn are inside backend "
                            "\"%.*s\"",
                            STR_ARG(p->name));
    return method_check(conf, p);
}

bool backend_word_is(struct str word, struct str name, struct str *value)
{
    if (!str_starts(word, name) || word.n == name.n || word.p[name.n] != '=')
        return false;
    *value = str_slice(word, name.n + 1, word.n);
    return true;
}

/* The directory is known only now: backend{} is applied before its siblings,
 * of which backend_socket_dir may be one. */
static int name_spawned(struct conf *conf, struct pool_conf *p)
{
    struct backend_conf *c = conf_get(p->scope->parent, &backend_module);
    const char *dir = c->set.socket_dir
                          ? c->set.socket_dir
                          : conf_full_path(conf, STR("run"), false);

    p->set.socket_dir = dir;
    for (size_t i = 0; i < p->servers_n; i++) {
        struct pool_server *s = &p->servers[i];
        if (s->spawn == -1)
            continue;
        s->path = arena_printf(conf->arena, "%s/%.*s.%d.%u.sock", dir,
                               STR_ARG(p->name), s->spawn, s->instance)
                      .p;
        if (backend_check_path(conf, s->path) == -1)
            return -1;
    }
    return 0;
}

/* A backend is known by its path, now and after a reload. */
static int check_paths(struct conf *conf, const struct pool_conf *p)
{
    for (size_t i = 0; i < p->servers_n; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(p->servers[i].path, p->servers[k].path) == 0)
                return conf_fail_at(conf, p->node, "duplicate server \"%s\"",
                                    p->servers[i].path);
    return 0;
}

static int backend_end(struct conf *conf)
{
    size_t it = 0;
    struct pool_conf *p;
    while ((p = pool_conf_next(generation_of(conf), &it))) {
        backend_inherit_drain(p);
        if (name_spawned(conf, p) == -1 || check_paths(conf, p) == -1)
            return -1;
    }
    return 0;
}

struct conf_module backend_module = {
    .name = "backend",
    .size = sizeof(struct backend_conf),
    .defaults = backend_defaults,
    .directives = backend_directives,
    .on_end = backend_end,
};

struct pool_conf *pool_conf_next(const struct generation *g, size_t *it)
{
    const struct map_entry *entry = map_next(&g->backends, it);
    return entry ? entry->value : NULL;
}

struct pool_conf *pool_conf_find(const struct generation *g, struct str name)
{
    return map_find(&g->backends, name);
}

const char *pool_conf_spawn_path(const struct pool_conf *p, size_t spawn,
                                 unsigned instance)
{
    for (size_t i = 0; i < p->servers_n; i++)
        if (p->servers[i].spawn == (int)spawn &&
            p->servers[i].instance == instance)
            return p->servers[i].path;
    return NULL;
}
