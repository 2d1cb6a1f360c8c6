/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/limits.h"

#include <stdlib.h>

#include "base/check.h"
#include "serve/limit.h"

enum {
    KEY_MAX = 255, /* bytes */
    CONN_MAX = 65535,
    WAIT_MAX_MS = 60000, /* at a time; then it is looked at again */
};

struct conn_rule {
    struct zone *zone;
    uint64_t max;
};

struct rate_rule {
    struct zone *zone;
    struct limit_rate rate;
    bool bytes; /* instead of messages */
    bool close;
};

struct limits_conf {
    struct conf_list conns; /* struct conn_rule */
    struct conf_list rates; /* struct rate_rule */
};

/* One rule for one session. */
struct bucket {
    const struct rate_rule *rule;
    struct str key;
};

/* All of a session, which outlives its configuration's other uses. */
struct session_limits {
    struct session *session;
    struct generation *generation;
    struct timer timer; /* set: it may not read */
    struct limit_hold *holds;
    size_t holds_n;
    struct bucket *buckets;
    size_t buckets_n;
    char *keys;
};

/* ---- sessions ---- */

static bool take_conns(struct session *s, const struct limits_conf *c)
{
    struct session_limits *l = s->limits;
    struct str key;

    for (size_t i = 0; i < c->conns.n; i++) {
        const struct conn_rule *rule = c->conns.items[i];
        if (!limit_key(s->request, rule->zone, KEY_MAX, &key))
            continue;
        if (limit_hold(&l->holds[l->holds_n], rule->zone, LIMIT_SESSIONS, key,
                       rule->max))
            l->holds_n++;
        else if (!limit_conn_is_dry(s->request, rule->zone))
            return false;
    }
    return true;
}

/* Keys live as long as the session; the request does not. */
static void take_buckets(struct session *s, const struct limits_conf *c)
{
    struct session_limits *l = s->limits;
    struct buf keys = {0};

    for (size_t i = 0; i < c->rates.n; i++) {
        const struct rate_rule *rule = c->rates.items[i];
        struct bucket *b = &l->buckets[l->buckets_n];
        if (!limit_key(s->request, rule->zone, KEY_MAX, &b->key))
            continue;
        b->rule = rule;
        buf_put_str(&keys, b->key);
        l->buckets_n++;
    }
    if (keys.n) {
        l->keys = xmalloc(keys.n);
        memcpy(l->keys, keys.p, keys.n);
    }
    size_t at = 0;
    for (size_t i = 0; i < l->buckets_n; i++) {
        l->buckets[i].key.p = l->keys + at;
        at += l->buckets[i].key.n;
    }
    buf_fini(&keys);
}

static void go_on(struct timer *timer)
{
    struct session_limits *l = CONTAINER(timer, struct session_limits, timer);
    session_wake(l->session);
}

unsigned limits_open(struct session *s)
{
    const struct limits_conf *c =
        request_conf(s->request, &websocket_limits_module);

    if (!c->conns.n && !c->rates.n)
        return 0;
    struct session_limits *l = s->limits = xcalloc(1, sizeof *l);
    l->session = s;
    l->generation = generation_ref(s->request->generation);
    timer_init(&l->timer, go_on);
    l->holds = xcalloc(c->conns.n + 1, sizeof *l->holds);
    l->buckets = xcalloc(c->rates.n + 1, sizeof *l->buckets);
    if (!take_conns(s, c))
        return limit_conn_status(s->request);
    take_buckets(s, c);
    return 0;
}

void limits_close(struct session *s)
{
    struct session_limits *l = s->limits;

    if (!l)
        return;
    s->limits = NULL;
    timer_clear(&l->timer);
    for (size_t i = 0; i < l->holds_n; i++)
        limit_release(&l->holds[i]);
    generation_unref(l->generation);
    free(l->holds);
    free(l->buckets);
    free(l->keys);
    free(l);
}

/* ---- messages ---- */

bool limits_hold_back(const struct session *s)
{
    return s->limits && timer_is_set(&s->limits->timer);
}

/* How long until what is over has leaked, in ms; 0: nothing is. */
static uint64_t over(const struct bucket *b, uint64_t n)
{
    const struct limit_rate *rate = &b->rule->rate;
    uint64_t excess;

    if (limit_rate_put(b->rule->zone,
                       b->rule->bytes ? LIMIT_BYTE_RATE : LIMIT_MESSAGE_RATE,
                       b->key, rate, n, true, &excess) != RATE_OVER)
        return 0;
    uint64_t ms = (excess - rate->burst * 1000) * 1000 / rate->rate + 1;
    return ms < WAIT_MAX_MS ? ms : WAIT_MAX_MS;
}

void limits_count(struct session *s, size_t n, bool first)
{
    struct session_limits *l = s->limits;
    uint64_t wait_ms = 0;

    if (!l)
        return;
    for (size_t i = 0; i < l->buckets_n; i++) {
        const struct bucket *b = &l->buckets[i];
        uint64_t things = b->rule->bytes ? n : first;
        uint64_t ms = things ? over(b, things) : 0;
        if (ms && b->rule->close) {
            log_err(session_log(s), "limiting messages by zone \"%.*s\"",
                    STR_ARG(b->rule->zone->name));
            session_fail(s, ENDING_MESSAGE_LIMIT);
            return;
        }
        if (ms > wait_ms)
            wait_ms = ms;
    }
    if (wait_ms)
        timer_set(bridge.loop, &l->timer, wait_ms);
}

/* ---- configuration ---- */

static int set_conn(struct conf *conf, struct conf_scope *scope,
                    const struct directive *row, const struct conf_node *node,
                    void *field)
{
    struct limits_conf *c = field;
    struct conn_rule *rule = arena_calloc(conf->arena, sizeof *rule);
    (void)row;

    rule->zone = limit_zone_named(conf, conf_arg(node, 1));
    if (!rule->zone)
        return -1;
    if (!str_to_u64(conf_arg(node, 2), CONN_MAX, &rule->max) || !rule->max)
        return conf_fail(conf,
                         "invalid number of sessions \"%.*s\", expected 1 to "
                         "65535",
                         STR_ARG(conf_arg(node, 2)));
    conf_list_add(conf, scope, &c->conns, rule);
    return 0;
}

/* "20r/s" and "90r/m" are messages, "64k/s" is bytes. */
static bool read_rate(struct str text, struct rate_rule *rule)
{
    uint64_t size;
    if (limit_rate_read(text, &rule->rate.rate))
        return true;
    if (!str_ends(text, STR("/s")) ||
        !conf_parse_size(str_slice(text, 0, text.n - 2), &size) || !size ||
        size > UINT32_MAX)
        return false;
    rule->bytes = true;
    rule->rate.rate = size * 1000;
    return true;
}

static int read_word(struct conf *conf, struct rate_rule *rule, struct str word,
                     struct str *burst)
{
    if (str_eq(word, STR("close"))) {
        rule->close = true;
    } else if (str_starts(word, STR("rate="))) {
        if (!read_rate(str_slice(word, 5, word.n), rule))
            return conf_fail(conf,
                             "invalid rate \"%.*s\", expected messages such "
                             "as 20r/s or bytes such as 64k/s",
                             STR_ARG(word));
    } else if (str_starts(word, STR("burst="))) {
        *burst = str_slice(word, 6, word.n);
    } else {
        return conf_fail(conf, "invalid parameter \"%.*s\"", STR_ARG(word));
    }
    return 0;
}

static int set_msg(struct conf *conf, struct conf_scope *scope,
                   const struct directive *row, const struct conf_node *node,
                   void *field)
{
    struct limits_conf *c = field;
    struct rate_rule *rule = arena_calloc(conf->arena, sizeof *rule);
    struct str burst = {NULL, 0};

    rule->zone = limit_zone_named(conf, conf_arg(node, 1));
    if (!rule->zone)
        return -1;
    for (size_t i = 2; i < node->words_n; i++)
        if (read_word(conf, rule, conf_arg(node, i), &burst) == -1)
            return -1;
    if (!rule->rate.rate)
        return conf_fail(conf, "\"%s\" must have \"rate\" parameter",
                         row->name);
    if (burst.p &&
        (!conf_parse_size(burst, &rule->rate.burst) ||
         rule->rate.burst > UINT32_MAX ||
         (!rule->bytes && !str_to_u64(burst, UINT32_MAX, &rule->rate.burst))))
        return conf_fail(conf, "invalid burst value \"%.*s\"", STR_ARG(burst));
    conf_list_add(conf, scope, &c->rates, rule);
    return 0;
}

enum {
    ANYWHERE = CONF_HTTP | CONF_SERVER | CONF_LOCATION,
};

static const struct directive directives[] = {
    {.name = "limit_websocket_conn",
     .contexts = ANYWHERE,
     .arity = ARGS_2,
     .flags = CONF_REPEATABLE,
     .set = set_conn,
     .syntax = "ZONE NUMBER",
     .help = "How many sessions one key of the zone may have; further "
             "handshakes get limit_conn_status."},
    {.name = "limit_websocket_msg",
     .contexts = ANYWHERE,
     .arity = ARGS_2_MORE,
     .flags = CONF_REPEATABLE,
     .set = set_msg,
     .syntax = "ZONE rate=NUMBER(r/s|r/m)|SIZE/s [burst=NUMBER|SIZE] [close]",
     .help = "How many messages, or bytes of them, the sessions of one key "
             "may send; what comes beyond is read later, or ends the session "
             "with 1008 (close)."},
    {.name = NULL},
};

struct conf_module websocket_limits_module = {
    .name = "websocket_limits",
    .size = sizeof(struct limits_conf),
    .directives = directives,
};
