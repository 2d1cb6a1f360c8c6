/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/publish.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/utf8.h"
#include "bridge/conf.h"
#include "bridge/session.h"
#include "inquiry.h"
#include "relay.h"
#include "serve/core.h"

enum {
    HEAD_SIZE = 4, /* of a relayed publication: opcode, 0, two lengths below */
    NAMES_SIZE = 4 /* u16 of the pool's name, u16 of the channel's */
};

/* ---- to the members here ---- */

static struct sluice_delivered share(struct str pool, struct str channel,
                                     unsigned opcode, struct str data)
{
    struct pool *p = pool_find(pool);
    struct channel *c = p ? channel_find(&p->channels, channel) : NULL;
    struct sharing m = {.opcode = opcode, .data = data};
    struct sluice_delivered d = {0};

    if (!c)
        return d;
    channel_share(c, &m, NULL, 0, &d);
    sharing_fini(&m);
    return d;
}

/* ---- to the other workers ---- */

static void put_head(char head[HEAD_SIZE + NAMES_SIZE], struct str pool,
                     struct str channel, unsigned opcode)
{
    head[0] = (char)opcode;
    le16_put(head + HEAD_SIZE, (uint16_t)pool.n);
    le16_put(head + HEAD_SIZE + 2, (uint16_t)channel.n);
}

static bool send_on(struct str pool, struct str channel, unsigned opcode,
                    struct str data)
{
    char head[HEAD_SIZE + NAMES_SIZE] = {0};
    struct str parts[] = {str_n(head, sizeof head), pool, channel, data};

    put_head(head, pool, channel, opcode);
    return relay_send(parts, COUNT(parts));
}

static struct sluice_delivered take(struct str all)
{
    struct sluice_delivered none = {0};

    if (all.n < HEAD_SIZE + NAMES_SIZE)
        return none;
    unsigned opcode = (unsigned char)all.p[0];
    size_t pool_n = le16_get(all.p + HEAD_SIZE);
    size_t channel_n = le16_get(all.p + HEAD_SIZE + 2);
    struct str rest = str_slice(all, HEAD_SIZE + NAMES_SIZE, all.n);
    if (pool_n + channel_n > rest.n ||
        (opcode != WS_TEXT && opcode != WS_BINARY))
        return none;
    return share(str_slice(rest, 0, pool_n),
                 str_slice(rest, pool_n, pool_n + channel_n), opcode,
                 str_slice(rest, pool_n + channel_n, rest.n));
}

void publish_take(struct str all)
{
    take(all);
}

void publish_answer(struct str all, struct buf *out)
{
    struct sluice_delivered d = take(all);

    buf_put_le32(out, d.matched);
    buf_put_le32(out, d.queued);
    buf_put_le32(out, d.skipped);
    buf_put_le32(out, d.dropped);
}

/* ---- the request ---- */

struct publication {
    struct buf body;
    struct str pool, channel;
    struct request *request;
    struct inquiry *inquiry;   /* while the workers are asked, or NULL */
    struct sluice_delivered d; /* what they said so far */
};

/* ---- what became of it, for who asks for JSON ---- */

static bool wants_report(struct request *r)
{
    struct str accept = http_head_find(&r->head, STR("Accept"));
    return accept.p && memmem(accept.p, accept.n, "application/json", 16);
}

static void each_worker(void *arg, struct str answer)
{
    struct publication *x = arg;

    if (answer.n != 16)
        return;
    x->d.matched += le32_get(answer.p);
    x->d.queued += le32_get(answer.p + 4);
    x->d.skipped += le32_get(answer.p + 8);
    x->d.dropped += le32_get(answer.p + 12);
}

static void all_workers(void *arg, unsigned missing)
{
    struct publication *x = arg;
    struct request *r = x->request;
    struct buf json = {0};

    x->inquiry = NULL;
    buf_printf(&json,
               "{\"matched\":%u,\"queued\":%u,\"skipped\":%u,"
               "\"dropped\":%u,\"missing\":%u}\n",
               x->d.matched, x->d.queued, x->d.skipped, x->d.dropped, missing);
    request_respond(r, 200, STR("application/json"),
                    arena_str(r->arena, buf_str(&json)));
    buf_fini(&json);
    request_finish(r, VERDICT_DONE);
}

static int publish_and_ask(struct request *r, unsigned opcode)
{
    struct publication *x = r->handler_state;
    char head[HEAD_SIZE + NAMES_SIZE] = {0};
    struct buf all = {0};

    put_head(head, x->pool, x->channel, opcode);
    buf_put(&all, head, sizeof head);
    buf_put_str(&all, x->pool);
    buf_put_str(&all, x->channel);
    buf_put_str(&all, buf_str(&x->body));
    x->request = r;
    x->inquiry = inquiry_ask(INQUIRY_PUBLISH, buf_str(&all), each_worker,
                             all_workers, x);
    buf_fini(&all);
    return x->inquiry ? VERDICT_PENDING : 503;
}

static void on_gone(struct request *r)
{
    struct publication *x = r->handler_state;

    if (x && x->inquiry)
        inquiry_cancel(x->inquiry);
    if (x)
        x->inquiry = NULL;
}

/* Binary only when it says so; everything else is text. */
static unsigned opcode_of(struct request *r)
{
    struct str type = http_head_find(&r->head, STR("Content-Type"));
    return str_starts_nocase(type, STR("application/octet-stream")) ? WS_BINARY
                                                                    : WS_TEXT;
}

static int publish(struct request *r)
{
    struct publication *x = r->handler_state;
    struct str data = buf_str(&x->body);
    unsigned opcode = opcode_of(r);

    if (opcode == WS_TEXT && !utf8_is_valid(data.p, data.n)) {
        log_info(&r->log, "client published text that is not UTF-8");
        return 400;
    }
    if (wants_report(r))
        return publish_and_ask(r, opcode);
    /* The others first: what they can not be told is told nobody, and may be
     * published again. */
    if (!send_on(x->pool, x->channel, opcode, data)) {
        log_err(&r->log, "other workers can not be told of a publication");
        return 503;
    }
    share(x->pool, x->channel, opcode, data);
    r->response.status = 202;
    r->response.content_length = 0;
    request_send_body(r, NULL, 0, true);
    return VERDICT_DONE;
}

static void free_body(void *arg)
{
    buf_fini(&((struct publication *)arg)->body);
}

static int on_start(struct request *r)
{
    const struct publish_conf *conf = request_conf(r, &publish_module);
    const struct websocket_conf *limits = request_conf(r, &websocket_module);

    if (r->head.method != METHOD_POST) {
        response_add(r, STR("Allow"), STR("POST"));
        return 405;
    }
    struct publication *x = arena_calloc(r->arena, sizeof *x);
    x->pool = conf->pool->name;
    x->channel = value_eval(conf->channel, &r->eval);
    if (!x->channel.n || x->channel.n > SLUICE_CHANNEL_MAX) {
        log_info(&r->log, "channel name \"%.*s\" has not 1 to %d bytes",
                 STR_ARG(x->channel), SLUICE_CHANNEL_MAX);
        return 400;
    }
    buf_init(&x->body, (size_t)limits->max_message);
    arena_on_destroy(r->arena, free_body, x);
    r->handler_state = x;
    if (r->body_complete)
        return publish(r);
    request_send_continue(r);
    return VERDICT_PENDING;
}

static void on_body(struct request *r, const uint8_t *p, size_t n, bool last)
{
    struct publication *x = r->handler_state;

    if (!x)
        return;
    if (!buf_put(&x->body, p, n)) {
        log_err(&r->log, "published message is longer than "
                         "websocket_max_message");
        r->handler_state = NULL;
        r->body_discarded = true;
        request_finish(r, 413);
    } else if (last) {
        int verdict = publish(r);
        if (verdict == VERDICT_PENDING)
            return;
        r->handler_state = NULL;
        request_finish(r, verdict);
    }
}

const struct handler publish_handler = {
    .name = "publish",
    .start = on_start,
    .on_body = on_body,
    .on_abort = on_gone,
    .on_done = on_gone,
};

/* ---- configuration ---- */

static int set_publish(struct conf *conf, struct conf_scope *scope,
                       const struct directive *row,
                       const struct conf_node *node, void *field)
{
    struct publish_conf *c = conf_get(scope, &publish_module);
    struct str name = conf_arg(node, 1);
    (void)row;
    (void)field;

    c->pool = pool_conf_find(generation_of(conf), name);
    if (!c->pool)
        return conf_fail(conf, "backend \"%.*s\" is not defined",
                         STR_ARG(name));
    c->channel =
        value_compile(conf, &generation_of(conf)->variables, conf_arg(node, 2));
    location_of_scope(scope)->handler = &publish_handler;
    return c->channel ? 0 : -1;
}

static const struct directive publish_directives[] = {
    {
        .name = "websocket_publish",
        .syntax = "NAME CHANNEL",
        .contexts = CONF_LOCATION | CONF_LOCATION_IF,
        .arity = ARGS_2,
        .set = set_publish,
        .help = "The body of a POST here is a message for the members of a "
                "channel of this backend; binary when its type is "
                "application/octet-stream, else text. The answer is 202, or "
                "to who accepts application/json 200 with how many there are "
                "and got it, when all workers have said so.",
    },
    {0},
};

struct conf_module publish_module = {
    .name = "publish",
    .size = sizeof(struct publish_conf),
    .directives = publish_directives,
};
