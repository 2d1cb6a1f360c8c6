/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker's bridge between backends and clients that all say what the input
 * says: frames of every type about ids that exist, that are gone or that never
 * were, client bytes, requests, links that are lost and come back.  Nothing of
 * it may break the bridge, what it sends must be well formed, and its accounts
 * must add up after every step.
 */
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "bridge/loss.h"
#include "unit/bridge/world.h"

enum {
    STEPS_MAX = 300,
    CLIENTS_MAX = 24,
    IDS = 16,           /* that are remembered, of each backend */
    REDIAL_TURNS = 200, /* of 50 ms: more than any backoff */
};

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* ---- time ---- */

static uint64_t fake_us = 1000000;
int __real_clock_gettime(clockid_t id, struct timespec *t);
int __wrap_clock_gettime(clockid_t id, struct timespec *t);
int __wrap_usleep(useconds_t us);

int __wrap_clock_gettime(clockid_t id, struct timespec *t)
{
    if (id != CLOCK_MONOTONIC)
        return __real_clock_gettime(id, t);
    *t = (struct timespec){(time_t)(fake_us / 1000000),
                           (long)(fake_us % 1000000) * 1000};
    return 0;
}

int __wrap_usleep(useconds_t us)
{
    fake_us += us;
    return 0;
}

/* ---- the input ---- */

static struct span input;

static uint8_t byte(void)
{
    uint8_t b = input.n ? *input.p : 0;
    if (input.n)
        span_advance(&input, 1);
    return b;
}

static uint16_t word(void)
{
    uint16_t low = byte();
    return (uint16_t)(low | byte() << 8);
}

/* A run of it; sometimes much longer than the input, of one letter. */
static struct str some(void)
{
    static char long_one[70000];
    size_t n = byte();

    if (n >= 250) {
        memset(long_one, 'x', sizeof long_one);
        return str_n(long_one, (n - 249) * 10000);
    }
    if (n > input.n)
        n = input.n;
    struct str s = str_n(input.p, n);
    span_advance(&input, n);
    return s;
}

/* ---- the accounts ---- */

static void check_sum(struct list *clients, uint64_t *in, uint64_t *out,
                      size_t *n)
{
    LIST_EACH(item, after, clients)
    {
        struct link_client *c = CONTAINER(item, struct link_client, on_link);
        check(c->cid != 0);
        check(c->flushed_out <= c->outstanding_out);
        *in += c->outstanding_in;
        *out += c->outstanding_out;
        ++*n;
    }
}

static void check_link(struct link *l)
{
    uint64_t in = 0, out = 0;
    size_t n = 0;

    check_sum(&l->sessions, &in, &out, &n);
    check_sum(&l->exchanges, &in, &out, &n);
    check(in == l->outstanding_in);
    check(out == l->outstanding_out);
    check(n == l->clients_n);
    size_t streams = 0;
    LIST_EACH(stream, later, &l->streams)
    {
        streams++;
    }
    check(streams == l->streams_n && streams <= world.pool.set.streams_max);
    size_t of_apps = 0, with_app = 0;
    for (size_t i = 0; i < l->apps_n; i++)
        of_apps += l->apps[i].clients;
    LIST_EACH(item, after, &l->sessions)
    {
        struct session *s = CONTAINER(item, struct session, on_link);
        with_app += s->app != NULL;
    }
    LIST_EACH(item, next, &l->exchanges)
    {
        struct link_client *c = CONTAINER(item, struct link_client, on_link);
        with_app += c->app != NULL;
    }
    check(of_apps == with_app);
}

static void check_accounts(void)
{
    struct pool *p = pool_find(STR("test"));

    check(p->clients == bridge.slots.used);
    LIST_EACH(item, after, &p->backends)
    {
        struct link *l = CONTAINER(item, struct backend, in_pool)->link;
        if (l)
            check_link(l);
    }
    LIST_EACH(item, next, &p->losses)
    {
        struct loss *x = CONTAINER(item, struct loss, in_pool);
        size_t n = 0;
        LIST_EACH(one, another, &x->sessions)
        {
            n++;
        }
        check(n == x->n);
    }
}

/* ---- backends ---- */

static struct {
    uint64_t id[IDS];
    size_t n;
} ids[WORLD_BACKENDS];
static struct paper *clients[CLIENTS_MAX];
static size_t clients_n;

static bool is_up(struct fake *b)
{
    return b->fd != -1;
}

/* What the gateway sent. */
static void hear(struct fake *b)
{
    struct sluice_frame f;
    size_t at = (size_t)(b - world.backends);
    int got = 0;

    while (is_up(b) && (got = fake_try(b, &f)) == 1) {
        enum sluice_type type = f.header.type;
        if (type == SLUICE_OPEN || type == SLUICE_RESUME ||
            type == SLUICE_HTTP_REQ)
            ids[at].id[ids[at].n++ % IDS] = f.header.cid;
    }
    if (got == -1)
        fake_close(b);
}

static void turn(void)
{
    world_turn();
    for (size_t i = 0; i < WORLD_BACKENDS; i++)
        hear(fake_of(i));
}

static void say(struct fake *b, const void *p, size_t n)
{
    if (is_up(b))
        fake_send_raw(b, p, n);
}

static void flush(struct fake *b)
{
    say(b, b->out.p, b->out.n);
    buf_clear(&b->out);
}

static void put(struct fake *b, enum sluice_type type, unsigned flags,
                unsigned aux, uint64_t cid, struct str payload)
{
    struct sluice_header h = {.type = (uint8_t)type,
                              .flags = (uint8_t)flags,
                              .aux = (uint16_t)aux,
                              .cid = cid};
    check(sluice_frame_put(&b->out, &h, payload));
}

static void register_app(struct fake *b, const char *name, uint32_t mask)
{
    struct buf tlvs = {0};
    sluice_tlv_put(&tlvs, SLUICE_TAG_NAME, str_c(name));
    sluice_tlv_put_opt(&tlvs, SLUICE_OPT_EVENT_MASK, mask);
    put(b, SLUICE_REGISTER, 0, 1, 0, buf_str(&tlvs));
    buf_fini(&tlvs);
}

static void greet(struct fake *b, unsigned how)
{
    struct sluice_hello h = world.hello;
    struct buf tlvs = {0};
    size_t at = (size_t)(b - world.backends);

    h.epoch = how & 1 ? world.hello.epoch + at : ++world.hello.epoch * 16 + at;
    h.flags = how & 2 ? SLUICE_HELLO_WANTS_RESUME : 0;
    if (how & 4)
        h.features &= how << 3 | 0x187;
    if (how & 8)
        h.window = 300;
    sluice_tlv_put_u64(&tlvs, SLUICE_TAG_RESUME_OF, world.hello.epoch);
    h.tlvs = buf_str(&tlvs);
    sluice_hello_put(&b->out, &h);
    buf_fini(&tlvs);
    if (how & 16)
        register_app(b, "a", how * 0x01010101u);
    if (how & 32)
        register_app(b, "b", ~0u);
    if (!(how & 64))
        put(b, SLUICE_READY, 0, 0, 0, STR(""));
    flush(b);
}

static void come_back(struct fake *b, unsigned how)
{
    for (int i = 0; !is_up(b) && i < REDIAL_TURNS; i++) {
        int fd = accept4(b->listening, NULL, NULL, SOCK_NONBLOCK);
        if (fd != -1) {
            fake_begin(b, fd);
            greet(b, how);
            turn();
        } else {
            fake_us += 50000;
            turn();
        }
    }
}

static uint64_t some_id(struct fake *b, unsigned how)
{
    size_t at = (size_t)(b - world.backends);
    uint64_t last = ids[at].id[(how >> 2) % IDS];

    if (how % 4 != 3)
        return last;
    if (how & 4)
        return 0;
    if (how & 8)
        return last ^ UINT64_C(1) << (how >> 4);
    return ids[!at].id[(how >> 4) % IDS];
}

static bool is_about_link(unsigned type)
{
    switch (type) {
#define LINK true
#define CLIENT false
#define ANY false
#define FRAME(name, code, sender, cid, feature, fixed, body)                   \
    case code:                                                                 \
        return cid;
#include "sluice/frames.def"
#undef FRAME
#undef LINK
#undef CLIENT
#undef ANY
    }
    return false;
}

static const uint8_t types[] = {
#define FRAME(name, code, sender, cid, feature, fixed, body) code,
#include "sluice/frames.def"
#undef FRAME
};

/* The legal ones, so that most input gets behind the first checks. */
static const uint8_t likely[] = {
    SLUICE_ACCEPT,      SLUICE_ACCEPT,       SLUICE_REJECT,
    SLUICE_CLOSE,       SLUICE_TERMINATE,    SLUICE_SET_STATE,
    SLUICE_SET_OPTS,    SLUICE_DETACH,       SLUICE_DETACHED,
    SLUICE_TEXT,        SLUICE_TEXT,         SLUICE_BINARY,
    SLUICE_CONT,        SLUICE_PING,         SLUICE_PONG,
    SLUICE_PAUSE,       SLUICE_UNPAUSE,      SLUICE_SUBSCRIBE,
    SLUICE_UNSUBSCRIBE, SLUICE_PUBLISH,      SLUICE_BROADCAST,
    SLUICE_MSEND,       SLUICE_PRESENCE_REQ, SLUICE_HTTP_RES,
    SLUICE_BSTREAM,     SLUICE_BSTREAM,      SLUICE_BSTREAM,
    SLUICE_HTTP_RES,    SLUICE_HTTP_BODY,    SLUICE_HTTP_BODY,
    SLUICE_HTTP_INFO,   SLUICE_HTTP_RESET,   SLUICE_HTTP_TRAILERS,
    SLUICE_CLAIM,       SLUICE_UNCLAIM,      SLUICE_GOAWAY,
    SLUICE_ERROR,       SLUICE_REGISTER,     SLUICE_UNREGISTER,
    SLUICE_KEEPALIVE,   SLUICE_ACK,          SLUICE_ACK,
    SLUICE_NOP,         SLUICE_RAW,          SLUICE_RAW,
};

static void put_name(struct buf *out, uint8_t which)
{
    static const char names[256] = "roomchannel";
    size_t n = which < 250 ? which % 4u + 1 : which < 253 ? 0 : 255;
    sluice_channel_put(out, str_n(names, n));
}

/* Often what is due: an ACK for more ends the link. */
static void put_ack(struct buf *out, uint64_t id)
{
    struct link_client *c = slots_find(&bridge.slots, id);
    uint8_t how = byte();
    uint32_t seq = byte();

    if (c && c->kind == LINK_SESSION && how & 1)
        seq = ((struct session *)c)->seq_in;
    buf_put_le64(out, id);
    buf_put_le32(out, c && how & 2 ? c->outstanding_in : how);
    buf_put_le32(out, seq);
}

/* The beginning that the type wants. */
static void put_fixed(struct buf *out, struct fake *b, enum sluice_type type,
                      unsigned flags)
{
    uint8_t how = byte();

    if (type == SLUICE_ACCEPT) {
        buf_put(out, (uint8_t[8]){0}, 8);
        if (how & 1)
            sluice_tlv_put_opt(out, SLUICE_OPT_EVENT_MASK, how * 0x0101u);
        if (how & 2)
            sluice_tlv_put(out, SLUICE_TAG_CHANNEL, STR("r"));
        if (how & 4)
            sluice_tlv_put_opt(out, SLUICE_OPT_ON_LOSS, how >> 5);
    } else if (type == SLUICE_REJECT || type == SLUICE_HTTP_RES ||
               type == SLUICE_HTTP_INFO) {
        static const uint16_t codes[] = {200, 204, 304, 403, 100, 103, 999, 0};
        buf_put_le16(out, codes[how % 8]);
        buf_put_le16(out, how >> 7);
        if (how & 8)
            sluice_tlv_put_header(out, STR("Content-Length"),
                                  how & 16 ? STR("3") : STR("300"));
        if (how & 32)
            sluice_tlv_put_header(out, STR("X-A"), STR("b"));
    } else if (type == SLUICE_SET_STATE) {
        buf_put_le32(out, how & 127);
    } else if (type == SLUICE_SET_OPTS) {
        sluice_tlv_put_opt(out, how % 14, word());
    } else if (type == SLUICE_SUBSCRIBE || type == SLUICE_UNSUBSCRIBE) {
        for (int i = 0; i <= how % 6; i++)
            put_name(out, byte());
    } else if (type == SLUICE_PUBLISH) {
        buf_put_le16(out, (uint16_t)(how % 8 ? how % 2 + 1u : how));
        put_name(out, how);
    } else if (type == SLUICE_PRESENCE_REQ) {
        put_name(out, how);
    } else if (type == SLUICE_BROADCAST ||
               (type == SLUICE_BSTREAM && flags & SLUICE_FLAG_START)) {
        buf_put_le16(out, (uint16_t)((how % 2 + 1) | (how & 2) << 8));
        buf_put_le16(out, how >> 6);
        buf_put_le16(out, how >> 4 & 1);
        buf_put(out, (uint8_t[6]){0}, 6);
        if (how >> 4 & 1)
            buf_put_le64(out, some_id(b, byte()));
    } else if (type == SLUICE_MSEND) {
        buf_put_le32(out, how % 2 + 1);
        buf_put_le32(out, how % 4u);
        for (int i = 0; i < how % 4; i++)
            buf_put_le64(out, some_id(b, byte()));
    } else if (type == SLUICE_ACK) {
        for (int i = 0; i <= how % 3; i++)
            put_ack(out, some_id(b, byte()));
    } else if (type == SLUICE_CLAIM || type == SLUICE_UNCLAIM) {
        sluice_tlv_put(out, 0x2c, str_n("keys", how % 4u));
    } else if (type == SLUICE_GOAWAY) {
        buf_put_le32(out, how * 100u);
    } else if (type == SLUICE_ERROR) {
        buf_put_le16(out, (uint16_t)(how % 3u << 8));
        buf_put_le16(out, 1000 + how);
    } else if (type == SLUICE_KEEPALIVE) {
        buf_put_le64(out, how);
    } else if (type == SLUICE_REGISTER) {
        sluice_tlv_put(out, SLUICE_TAG_NAME, str_n(&"abc"[how % 3], 1));
        sluice_tlv_put_opt(out, how % 14, word());
    }
}

static void put_frame(struct fake *b, unsigned op)
{
    uint8_t which = byte();
    enum sluice_type type = which < 200   ? likely[which % sizeof likely]
                            : which < 250 ? types[which % sizeof types]
                                          : which;
    uint8_t how = byte();
    unsigned flags = how & (type == SLUICE_BSTREAM ? 0x17u : 0x1du);
    struct buf payload = {0};

    if (!(op & 1))
        put_fixed(&payload, b, type, flags);
    if (how & 0x40)
        buf_put_str(&payload, some());
    uint64_t cid = some_id(b, byte());
    if (!(how & 0x20) && type < 0x80 && is_about_link(type))
        cid = 0;
    if (type == SLUICE_BSTREAM && !(how & 0x80))
        cid = how >> 3 & 3;
    unsigned aux = type == SLUICE_CLOSE    ? 1000 + how % 16u
                   : type == SLUICE_GOAWAY ? how % 2u
                   : type == SLUICE_ACCEPT
                       ? how >> 1 & how & SLUICE_ACCEPT_TUNNEL
                   : type == SLUICE_RAW ? byte()
                                        : how;
    put(b, type, flags, aux, cid, buf_str(&payload));
    buf_fini(&payload);
}

/* ---- clients ---- */

static void let_go(struct paper *p)
{
    if (p->fd != -1)
        close(p->fd);
    p->fd = -1;
}

static void upgrade_client(unsigned how)
{
    static const char *const fields[] = {
        "",
        "Sec-WebSocket-Extensions: permessage-deflate\n",
        "Sec-WebSocket-Version: 8\n",
        "Sec-WebSocket-Version: 7\n",
        "Sec-WebSocket-Protocol: a, b\n",
        "Sec-WebSocket-Extensions: permessage-deflate; "
        "client_no_context_takeover; server_no_context_takeover\n",
        "Sec-WebSocket-Key1: 18x 6]8vM;54 *(5:  {   U1]8  z [  8\n"
        "Sec-WebSocket-Key2: 1_ tx7X d  <  nw  334J702) 7]o}` 0\n",
        "",
    };
    unsigned at = how % COUNT(fields);
    struct paper *p =
        at < 6 ? paper_ask(fields[at]) : paper_ask_old(fields[at]);

    if (p->r.raw_left == 8)
        paper_behind(p, "Tm[K T2u", 8);
    clients[clients_n++] = p;
}

/* What serve does at once when start is done with it. */
static void request_client(unsigned how)
{
    struct paper *p = how & 8 ? paper_stand("") : paper_create("", false);

    p->r.head.upgrade = how & 8;
    p->r.handler = &backend_handler;
    if (how & 1) {
        p->r.head.method = METHOD_POST;
        p->r.head.method_text = STR("POST");
        p->r.body_complete = false;
    }
    if (how & 2)
        p->r.head.method = METHOD_HEAD;
    p->full = how & 4;
    p->r.response.content_length = -1;
    p->verdict = backend_handler.start(&p->r);
    if (p->verdict != VERDICT_PENDING)
        p->r.done = true;
    clients[clients_n++] = p;
}

static void end_exchange(struct paper *p, bool abort)
{
    if (p->r.done)
        return;
    p->r.done = true;
    p->r.aborted = abort;
    if (abort)
        backend_handler.on_abort(&p->r);
    backend_handler.on_done(&p->r);
}

static void drive_exchange(struct paper *p)
{
    uint8_t how = byte();
    struct str data;

    if (p->r.done)
        return;
    switch (how % 6) {
    case 0:
    case 1:
        data = some();
        if (p->r.body_complete || p->finished != -100)
            return;
        p->r.body_complete = how & 0x80;
        backend_handler.on_body(&p->r, (const uint8_t *)data.p, data.n,
                                p->r.body_complete);
        break;
    case 2:
        p->full = false;
        if (p->r.blocked)
            backend_handler.on_drain(&p->r);
        break;
    case 3:
        p->full = true;
        break;
    case 4:
        if (p->finished == -100)
            backend_handler.on_eof(&p->r);
        break;
    case 5:
        end_exchange(p, p->finished == -100);
        break;
    }
}

static void mask_and_send(struct paper *p, unsigned first, struct str data)
{
    uint8_t head[WS_HEADER_MAX];
    struct ws_header h = {.opcode = (enum ws_opcode)(first & 0xf),
                          .fin = first & 0x80,
                          .rsv = (uint8_t)(first >> 4 & 7),
                          .masked = true,
                          .length = data.n};
    size_t n = ws_header_encode(head, &h);
    (void)!send(p->fd, head, n, MSG_NOSIGNAL | MSG_MORE);
    (void)!send(p->fd, data.p, data.n, MSG_NOSIGNAL);
}

static void drive_session(struct paper *p)
{
    char drain[65536];
    uint8_t how = byte();

    if (p->fd == -1)
        return;
    switch (how % 8) {
    case 0:
    case 1:
    case 2:
        mask_and_send(p, byte(), some());
        break;
    case 3:
        mask_and_send(p, 0x81 + (how >> 3) % 2u, some());
        break;
    case 4: {
        struct str raw = some();
        (void)!send(p->fd, raw.p, raw.n, MSG_NOSIGNAL);
        break;
    }
    case 5:
        while (recv(p->fd, drain, sizeof drain, 0) > 0)
            ;
        break;
    case 6:
        shutdown(p->fd, SHUT_WR);
        break;
    case 7:
        let_go(p);
        if (!p->r.taken && p->r.handler && !p->r.done) {
            p->r.done = p->r.aborted = true;
            if (p->r.handler->on_abort)
                p->r.handler->on_abort(&p->r);
            if (p->r.handler->on_done)
                p->r.handler->on_done(&p->r);
        }
        break;
    }
}

static void drive_client(void)
{
    struct paper *p = clients_n ? clients[byte() % clients_n] : NULL;

    if (p && p->stream && (p->r.taken || p->r.handler != &backend_handler))
        drive_session(p);
    else if (p)
        drive_exchange(p);
}

/* ---- one run ---- */

/* A header whose payload is whatever comes next. */
static size_t half_header(uint8_t *raw)
{
    uint8_t type = byte();
    sluice_data_header(raw, (enum sluice_type)type, 0, 0, 0, byte());
    return SLUICE_HEADER_SIZE;
}

static void step(void)
{
    uint8_t op = byte();
    struct fake *b = fake_of(op >> 4 & 1);
    uint8_t raw[16];

    switch (op & 15) {
    case 0:
        if (clients_n < CLIENTS_MAX)
            upgrade_client(byte());
        break;
    case 1:
        if (clients_n < CLIENTS_MAX)
            request_client(byte());
        break;
    case 2:
    case 3:
    case 4:
    case 5:
        drive_client();
        break;
    case 6:
        fake_close(b);
        break;
    case 7:
        come_back(b, byte());
        break;
    case 8:
        fake_us += 1000u * word();
        break;
    case 9: {
        struct str bytes = some();
        if (op & 0x20)
            say(b, bytes.p, bytes.n);
        else if (op & 0x40)
            say(b, raw, half_header(raw));
        break;
    }
    case 10:
        return; /* no turn: what follows comes in one read */
    default:
        put_frame(b, op >> 7);
        flush(b);
        if (op & 0x40)
            return;
        break;
    }
    turn();
    check_accounts();
}

static void end_clients(void)
{
    for (size_t i = 0; i < clients_n; i++)
        let_go(clients[i]);
    for (int i = 0; i < 5; i++)
        turn();
    check_accounts();
    bridge_stop();
    for (size_t i = 0; i < clients_n; i++) {
        struct paper *p = clients[i];
        if (!p->r.taken && !p->r.done && p->r.handler && p->r.handler->on_done)
            p->r.handler->on_done(&p->r);
        if (p->stream && !p->r.taken)
            stream_close(p->stream);
    }
    loop_turn(world.loop, false);
    for (size_t i = 0; i < clients_n; i++)
        paper_burn(clients[i]);
    clients_n = 0;
}

static void configure(unsigned how)
{
    struct pool_settings *set = &world.pool.set;

    world.hello.features = ~UINT64_C(0);
    world.hello.flags = SLUICE_HELLO_WANTS_RESUME;
    set->at_least_once = how & 1;
    set->cross_backend = !(how & 2);
    set->loss_mode = (enum loss_mode)(how >> 2 & 3);
    set->state_max = 200;
    set->allow_raw = set->allow_tunnel = true;
    set->client_window = set->reply_window = how & 16 ? 500 : 65536;
    set->link_window_in = set->link_window_out = how & 32 ? 1000 : 1 << 20;
    world.conf.deflate = deflate_defaults;
    world.conf.deflate.on = true;
    world.conf.deflate.min = 0;
    world.conf.send_buffer = how & 64 ? 5000 : 1 << 20;
    world.conf.ping_ms = how & 128 ? 1000 : 0;
    world.conf.ping_timeout_ms = 1000;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    void *state = NULL;

    input = (struct span){(uint8_t *)(uintptr_t)p, n};
    memset(ids, 0, sizeof ids);
    world_begin(&state);
    configure(byte());
    world_start(2);
    register_app(fake_of(0), "a", ~0u);
    flush(fake_of(0));
    for (int i = 0; input.n && i < STEPS_MAX; i++)
        step();
    end_clients();
    world_end(&state);
    return 0;
}
