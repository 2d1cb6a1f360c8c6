/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/check.h"
#include "bridge/conf.h"
#include "pass.h"
#include "serve/core.h"
#include "ws/framing.h"

static conf_setter set_pass, set_origin, set_protocol, set_versions, set_ping,
    set_send_buffer, set_param;

static const struct conf_enum origin_modes[] = {
    {"enforce", false}, {"report", true}, {NULL, 0}};
static const struct conf_enum accept_modes[] = {
    {"backend", false}, {"auto", true}, {NULL, 0}};

#define FIELD(name) offsetof(struct websocket_conf, name)
#define ANYWHERE (CONF_HTTP | CONF_SERVER | CONF_LOCATION)

static const struct directive websocket_directives[] = {
    {
        .name = "websocket_pass",
        .syntax = "NAME [app=NAME]",
        .contexts = CONF_LOCATION | CONF_LOCATION_IF,
        .arity = ARGS_1 | ARGS_2,
        .set = set_pass,
        .help = "WebSocket handshakes here become sessions of this backend: "
                "NAME [app=NAME].",
    },
    {
        .name = "websocket_origin",
        .syntax = "same | any | none | null | ORIGIN | ~REGEX | ~*REGEX ...",
        .contexts = ANYWHERE,
        .arity = ARGS_1_MORE,
        .set = set_origin,
        .default_text = "same",
        .help = "Pages that may connect: same, any, none, an origin, one "
                "with a host *.NAME, ~REGEX, ~*REGEX; alternatives.",
    },
    {
        .name = "websocket_origin_mode",
        .contexts = ANYWHERE,
        .arity = ARGS_1,
        .set = conf_set_enum,
        .offset = FIELD(origin_report),
        .data = origin_modes,
        .default_text = "enforce",
        .help = "report only logs what websocket_origin would refuse.",
    },
    {
        .name = "websocket_protocol",
        .syntax = "any | NAME ... [required]",
        .contexts = ANYWHERE,
        .arity = ARGS_1_MORE,
        .set = set_protocol,
        .default_text = "any",
        .help = "Subprotocols that may be offered to the backend, the best "
                "one first.  With required as the last word a client that "
                "offers none of them gets 400, and where the backend "
                "chooses none the best one is.",
    },
    {
        .name = "websocket_accept",
        .contexts = ANYWHERE,
        .arity = ARGS_1,
        .set = conf_set_enum,
        .offset = FIELD(accept_auto),
        .data = accept_modes,
        .default_text = "backend",
        .help = "Who accepts a handshake: the backend, or auto, which "
                "answers before the backend is asked.",
    },
    {
        .name = "websocket_versions",
        .syntax = "13 | 8 | 7 | 76 | 75 ...",
        .contexts = ANYWHERE,
        .arity = ARGS_1_MORE,
        .set = set_versions,
        .default_text = "13 8",
        .help = "Protocol versions that are accepted: 13 is RFC 6455, 8 and "
                "7 the drafts before it, 76 and 75 the first ones.",
    },
    {
        .name = "websocket_max_message",
        .contexts = ANYWHERE,
        .arity = ARGS_1,
        .set = conf_set_size,
        .offset = FIELD(max_message),
        .default_text = "1m",
        .min = 125,
        .max = UINT64_C(1) << 40,
        .help = "Largest message a client may send; a longer one closes "
                "the session with 1009.",
    },
    {
        .name = "websocket_max_frame",
        .contexts = ANYWHERE,
        .arity = ARGS_1,
        .set = conf_set_size,
        .offset = FIELD(max_frame),
        .min = 125,
        .max = UINT64_C(1) << 40,
        .help = "Largest frame of a message; default: as "
                "websocket_max_message.",
    },
    {
        .name = "websocket_max_fragments",
        .contexts = ANYWHERE,
        .arity = ARGS_1,
        .set = conf_set_number,
        .offset = FIELD(max_fragments),
        .default_text = "131072",
        .min = 1,
        .max = UINT32_MAX,
        .help = "Most frames one message may have; more close the session "
                "with 1008.",
    },
    {
        .name = "websocket_stream_threshold",
        .contexts = ANYWHERE,
        .arity = ARGS_1,
        .set = conf_set_size,
        .offset = FIELD(stream_threshold),
        .default_text = "16k",
        .max = 16 << 20,
        .help = "A backend that takes fragments gets messages of this size "
                "and more, and those in several frames, as they arrive; "
                "shorter ones come whole.",
    },
    {
        .name = "websocket_idle_timeout",
        .contexts = ANYWHERE,
        .arity = ARGS_1,
        .set = conf_set_ms,
        .offset = FIELD(idle_timeout_ms),
        .default_text = "600s",
        .help = "A session on which nothing was read or written for so long "
                "is closed with 1001; our pings do not count, pongs do.  0: "
                "never.",
    },
    {
        .name = "websocket_ping",
        .syntax = "off | TIME [timeout=TIME]",
        .contexts = ANYWHERE,
        .arity = ARGS_1 | ARGS_2,
        .set = set_ping,
        .default_text = "30s timeout=20s",
        .help = "Ping a client that was silent for so long, and give it up "
                "when it stays silent: off, or TIME [timeout=TIME].",
    },
    {
        .name = "websocket_auto_pong",
        .contexts = ANYWHERE,
        .arity = ARGS_FLAG,
        .set = conf_set_flag,
        .offset = FIELD(auto_pong),
        .default_text = "on",
        .help = "Answer pings here; off leaves it to the backend.",
    },
    {
        .name = "websocket_close_timeout",
        .contexts = ANYWHERE,
        .arity = ARGS_1,
        .set = conf_set_ms,
        .offset = FIELD(close_timeout_ms),
        .default_text = "30s",
        .min = 1,
        .help = "How long a client may take to answer a close frame.",
    },
    {
        .name = "websocket_send_timeout",
        .contexts = ANYWHERE,
        .arity = ARGS_1,
        .set = conf_set_ms,
        .offset = FIELD(own_send_timeout_ms),
        .min = 1,
        .help = "How long a client may take nothing while something waits "
                "for it; then it is dropped.  Default: that of "
                "send_timeout.",
    },
    {
        .name = "websocket_send_buffer",
        .syntax = "SIZE [overflow=close|drop_new|drop_old]",
        .contexts = ANYWHERE,
        .arity = ARGS_1 | ARGS_2,
        .set = set_send_buffer,
        .default_text = "1m overflow=close",
        .help = "How many bytes may wait for a client when a message to a "
                "group comes.  Beyond it overflow=close closes it with 1013, "
                "drop_new leaves the message out, drop_old the oldest ones "
                "to groups that still wait.",
    },
    {
        .name = "websocket_deflate",
        .syntax = "off | on [level=1..9] [window=8..15] [min=SIZE] "
                  "[takeover=off|client|server|client,server]",
        .contexts = ANYWHERE,
        .arity = ARGS_1_MORE,
        .set = deflate_conf_set,
        .offset = FIELD(deflate),
        .default_text = "off",
        .help = "Compress messages with clients that offer "
                "permessage-deflate.  level=1 is zlib's, window=15 the "
                "largest window in bits, min=256 the least size that is "
                "compressed; takeover=off: who may go on with the window of "
                "the message before, which costs memory for each session.",
    },
    {
        .name = "backend_param",
        .syntax = "NAME VALUE",
        .contexts = ANYWHERE,
        .arity = ARGS_2,
        .flags = CONF_REPEATABLE,
        .set = set_param,
        .help = "A name and a value that the backend is told of each client.",
    },
    {
        .name = "backend_resume_headers",
        .contexts = ANYWHERE,
        .arity = ARGS_FLAG,
        .set = conf_set_flag,
        .offset = offsetof(struct websocket_conf, resume_headers),
        .default_text = "off",
        .help = "Keep the fields of the handshake, for the backend that takes "
                "over a session; about 1 KiB for each.",
    },
    {
        .name = "backend_server_certificate",
        .contexts = ANYWHERE,
        .arity = ARGS_FLAG,
        .set = conf_set_flag,
        .offset = offsetof(struct websocket_conf, server_certificate),
        .default_text = "off",
        .help = "Show backends the certificate that the client was shown.",
    },
    {0},
};

static void websocket_defaults(void *conf)
{
    *(struct websocket_conf *)conf = (struct websocket_conf){
        .versions =
            ws_framing_bit(&ws_framing_13) | ws_framing_bit(&ws_framing_8),
        .auto_pong = true,
        .max_message = 1 << 20,
        .max_fragments = 131072,
        .stream_threshold = 16384,
        .idle_timeout_ms = 600000,
        .ping_ms = 30000,
        .ping_timeout_ms = 20000,
        .close_timeout_ms = 30000,
        .send_buffer = 1 << 20,
        .deflate = deflate_defaults,
    };
}

static int set_pass(struct conf *conf, struct conf_scope *scope,
                    const struct directive *row, const struct conf_node *node,
                    void *field)
{
    struct websocket_conf *c = conf_get(scope, &websocket_module);
    (void)row;
    (void)field;

    c->pass_scope = scope;
    return pass_read(conf, scope, node, &c->pool, &c->app, &c->pattern);
}

static int set_origin(struct conf *conf, struct conf_scope *scope,
                      const struct directive *row, const struct conf_node *node,
                      void *field)
{
    struct websocket_conf *c = conf_get(scope, &websocket_module);
    (void)row;
    (void)field;

    c->origin = origin_rules_create(conf->arena);
    for (size_t i = 1; i < node->words_n; i++)
        if (origin_rules_add(c->origin, conf_arg(node, i), conf->err) == -1)
            return -1;
    return 0;
}

static int set_protocol(struct conf *conf, struct conf_scope *scope,
                        const struct directive *row,
                        const struct conf_node *node, void *field)
{
    struct websocket_conf *c = conf_get(scope, &websocket_module);
    (void)row;
    (void)field;

    size_t n = node->words_n;
    c->protocol_required =
        n > 2 && str_eq(conf_arg(node, n - 1), STR("required"));
    n -= c->protocol_required;
    conf_list_clear(scope, &c->protocols);
    if (n == 2 && str_eq(conf_arg(node, 1), STR("any")))
        return 0;
    for (size_t i = 1; i < n; i++) {
        struct str word = conf_arg(node, i);
        bool legal = word.n > 0;
        for (size_t k = 0; k < word.n; k++)
            legal &= ascii_is_token(word.p[k]);
        if (!legal)
            return conf_fail(conf, "invalid subprotocol \"%.*s\"",
                             STR_ARG(word));
        conf_list_add(conf, scope, &c->protocols,
                      arena_copy(conf->arena, &word, sizeof word));
    }
    return 0;
}

static int set_versions(struct conf *conf, struct conf_scope *scope,
                        const struct directive *row,
                        const struct conf_node *node, void *field)
{
    struct websocket_conf *c = conf_get(scope, &websocket_module);
    uint64_t number;
    (void)row;
    (void)field;

    c->versions = 0;
    for (size_t i = 1; i < node->words_n; i++) {
        struct str word = conf_arg(node, i);
        const struct ws_framing *f = NULL;
        if (str_to_u64(word, UINT16_MAX, &number))
            f = ws_framing_find((unsigned)number);
        if (!f)
            return conf_fail(conf,
                             "invalid version \"%.*s\", expected 13, 8, 7, 76 "
                             "or 75",
                             STR_ARG(word));
        c->versions |= ws_framing_bit(f);
    }
    return 0;
}

static int set_ping(struct conf *conf, struct conf_scope *scope,
                    const struct directive *row, const struct conf_node *node,
                    void *field)
{
    struct websocket_conf *c = conf_get(scope, &websocket_module);
    struct str word = conf_arg(node, 1);
    (void)row;
    (void)field;

    if (node->words_n == 2 && str_eq(word, STR("off"))) {
        c->ping_ms = 0;
        return 0;
    }
    if (!conf_parse_ms(word, &c->ping_ms) || !c->ping_ms)
        return conf_fail(conf,
                         "invalid value \"%.*s\" in \"websocket_ping\" "
                         "directive, expected \"off\" or a time",
                         STR_ARG(word));
    if (node->words_n == 2)
        return 0;
    word = conf_arg(node, 2);
    if (!str_starts(word, STR("timeout=")) ||
        !conf_parse_ms(str_slice(word, 8, word.n), &c->ping_timeout_ms) ||
        !c->ping_timeout_ms)
        return conf_fail(conf,
                         "invalid parameter \"%.*s\", expected "
                         "\"timeout=TIME\"",
                         STR_ARG(word));
    return 0;
}

static int set_send_buffer(struct conf *conf, struct conf_scope *scope,
                           const struct directive *row,
                           const struct conf_node *node, void *field)
{
    struct websocket_conf *c = conf_get(scope, &websocket_module);
    struct str word = conf_arg(node, 1);
    (void)row;
    (void)field;

    if (!conf_parse_size(word, &c->send_buffer) || c->send_buffer < 1024 ||
        c->send_buffer > 1u << 30)
        return conf_fail(conf,
                         "invalid value \"%.*s\" in "
                         "\"websocket_send_buffer\" directive, expected a "
                         "size from 1k to 1g",
                         STR_ARG(word));
    if (node->words_n == 2)
        return 0;
    static const char *const names[] = {"overflow=close", "overflow=drop_new",
                                        "overflow=drop_old"};
    word = conf_arg(node, 2);
    for (unsigned i = 0; i < COUNT(names); i++)
        if (str_eq(word, str_c(names[i]))) {
            c->overflow = i;
            return 0;
        }
    return conf_fail(conf,
                     "invalid parameter \"%.*s\", expected \"overflow=close\", "
                     "\"overflow=drop_new\" or \"overflow=drop_old\"",
                     STR_ARG(word));
}

static int set_param(struct conf *conf, struct conf_scope *scope,
                     const struct directive *row, const struct conf_node *node,
                     void *field)
{
    struct websocket_conf *c = conf_get(scope, &websocket_module);
    struct websocket_param *p = arena_calloc(conf->arena, sizeof *p);
    (void)row;
    (void)field;

    p->name = conf_arg(node, 1);
    if (!p->name.n || p->name.n > 255)
        return conf_fail(conf,
                         "invalid name \"%.*s\" in \"backend_param\" "
                         "directive, expected 1 to 255 bytes",
                         STR_ARG(p->name));
    p->value =
        value_compile(conf, &generation_of(conf)->variables, conf_arg(node, 2));
    if (!p->value)
        return -1;
    conf_list_add(conf, scope, &c->params, p);
    return 0;
}

/* ---- the same place in another generation ---- */

static void put_place(struct buf *out, const struct conf_scope *scope)
{
    if (scope->context == CONF_SERVER) {
        const struct server *server = scope->object;
        buf_put_str(out, server->name);
        return;
    }
    if (!scope->parent)
        return;
    put_place(out, scope->parent);
    for (size_t i = 0; scope->node && i < scope->node->words_n; i++) {
        buf_put_u8(out, ' ');
        buf_put_str(out, conf_arg(scope->node, i));
    }
}

/* Servers may share a name: then they are told apart by their order. */
static void remember(struct conf *conf, struct conf_scope *scope,
                     struct websocket_conf *c)
{
    const struct conf_scope *top = scope;
    struct buf place = {0};

    while (top->parent)
        top = top->parent;
    struct websocket_conf *root = conf_get(top, &websocket_module);
    if (!root->passes) {
        root->passes = arena_alloc(conf->arena, sizeof *root->passes);
        map_init(root->passes, conf->arena, false);
    }
    put_place(&place, scope);
    for (;;) {
        c->place = arena_str(conf->arena, buf_str(&place));
        if (map_add(root->passes, c->place, c))
            break;
        buf_put_u8(&place, '+');
    }
    buf_fini(&place);
}

const struct websocket_conf *
websocket_conf_in(const struct generation *g, const struct websocket_conf *conf)
{
    const struct websocket_conf *root =
        conf_get(g->conf.main, &websocket_module);
    const struct websocket_conf *same =
        root->passes ? map_find(root->passes, conf->place) : NULL;
    return same && str_eq(same->pool->name, conf->pool->name) ? same : NULL;
}

static int websocket_scope(struct conf *conf, struct conf_scope *scope,
                           void *module_conf)
{
    struct websocket_conf *c = module_conf;

    /* What answers in a location is not inherited by those nested in it. */
    if (scope->context == CONF_LOCATION && c->pass_scope != scope)
        c->pool = NULL;
    if (!c->origin) {
        c->origin = origin_rules_create(conf->arena);
        if (origin_rules_add(c->origin, STR("same"), conf->err) == -1)
            return -1;
    }
    c->limits = (struct ws_limits){
        .max_message = c->max_message,
        .max_frame = c->max_frame ? c->max_frame : c->max_message,
        .max_fragments = (uint32_t)c->max_fragments,
    };
    const struct core_conf *core = conf_get(scope, &core_module);
    c->send_timeout_ms =
        c->own_send_timeout_ms ? c->own_send_timeout_ms : core->send_timeout_ms;
    if (!c->send_timeout_ms) /* send_timeout 0 */
        c->send_timeout_ms = UINT32_MAX;
    if (c->pool && c->pass_scope == scope)
        remember(conf, scope, c);
    return 0;
}

struct conf_module websocket_module = {
    .name = "websocket",
    .size = sizeof(struct websocket_conf),
    .defaults = websocket_defaults,
    .directives = websocket_directives,
    .on_scope = websocket_scope,
};
