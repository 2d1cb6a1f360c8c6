/* SPDX-License-Identifier: BSD-2-Clause */
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "serve/access_log.h"
#include "serve/core.h"
#include "serve/real_ip.h"
#include "ws/frame.h"

struct world world;

/* ---- what serve/ would do ---- */

struct access_kept *access_log_keep(struct request *r)
{
    (void)r;
    return NULL;
}

void access_log_write_kept(struct access_kept *k, struct loop *loop,
                           const struct handler *handler, void *state,
                           uint64_t sent)
{
    (void)k, (void)loop, (void)handler, (void)state, (void)sent;
}

struct conf_module core_module = {.name = "core", .index = 2};
struct conf_module access_log_module = {.name = "access_log", .index = 1};

static struct access_log_conf no_log = {.is_set = true};
static struct core_conf core;
static void *module_confs[4];
static struct conf_scope scope = {.modules = module_confs};
static struct location location = {.scope = &scope, .text = STR_INIT("/ws")};

static struct paper *paper_of(const struct request *r)
{
    return CONTAINER(r, struct paper, r);
}

struct generation *generation_ref(struct generation *g)
{
    g->references++;
    return g;
}

void generation_unref(struct generation *g)
{
    assert_true(g->references > 0);
    g->references--;
}

uint64_t request_connection(const struct request *r)
{
    (void)r;
    return 7;
}

const struct address *request_remote(const struct request *r)
{
    static struct address a;
    (void)r;
    address_from_ip(&a, STR("203.0.113.9"), 51234);
    return &a;
}

const struct address *request_local(const struct request *r)
{
    static struct address a;
    (void)r;
    address_from_ip(&a, STR("192.0.2.1"), 8080);
    return &a;
}

bool request_is_tls(const struct request *r)
{
    (void)r;
    return false;
}

void request_finish(struct request *r, int verdict)
{
    paper_of(r)->finished = verdict;
}

void request_reset(struct request *r)
{
    paper_of(r)->finished = 444;
}

int request_respond(struct request *r, unsigned status, struct str type,
                    struct str body)
{
    struct paper *p = paper_of(r);
    p->status = status;
    buf_printf(&p->fields, "type=%.*s;", STR_ARG(type));
    buf_put_str(&p->body, body);
    return VERDICT_DONE;
}

struct location *location_of_scope(const struct conf_scope *s)
{
    (void)s;
    return &location;
}

bool request_send_body(struct request *r, const struct iovec *iov, int n,
                       bool last)
{
    r->response.ended = last;
    r->response.head_sent = true;
    for (int i = 0; i < n; i++)
        buf_put(&paper_of(r)->body, iov[i].iov_base, iov[i].iov_len);
    r->blocked = paper_of(r)->full && !last;
    return !r->blocked;
}

void request_pause_body(struct request *r)
{
    r->body_paused = true;
}

void request_resume_body(struct request *r)
{
    r->body_paused = false;
}

bool request_is_leaving(const struct request *r)
{
    return CONTAINER(r, const struct paper, r)->full;
}

void request_send_continue(struct request *r)
{
    r->continue_sent = true;
}

void request_send_interim(struct request *r, unsigned status,
                          const struct http_field *fields, size_t n)
{
    (void)fields;
    (void)n;
    paper_of(r)->status = status;
}

void response_add(struct request *r, struct str name, struct str value)
{
    buf_printf(&paper_of(r)->fields, "%.*s=%.*s;", STR_ARG(name),
               STR_ARG(value));
}

void response_add_trailer(struct request *r, struct str name, struct str value)
{
    response_add(r, name, value);
}

size_t response_remove(struct request *r, struct str name)
{
    (void)r;
    (void)name;
    return 0;
}

void response_reset(struct request *r)
{
    buf_clear(&paper_of(r)->fields);
}

bool real_ip_trusts_peer(const struct request *r)
{
    (void)r;
    return world.trusts_peer;
}

void request_expect_raw(struct request *r, size_t n)
{
    r->raw_left = n;
    r->body_complete = false;
}

struct stream *request_take_stream(struct request *r)
{
    r->taken = true;
    return paper_of(r)->stream;
}

void request_end_taken(struct request *r, unsigned status, uint64_t sent)
{
    (void)sent;
    paper_of(r)->ended = status;
}

/* ---- the world ---- */

int world_begin(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    clock_update();
    log_process.target = NULL;
    world.loop = loop_create();
    world.arena = arena_create(4096);
    map_init(&world.generation.backends, world.arena, false);
    strcpy(world.dir, "/tmp/penstock-bridge-XXXXXX");
    assert_non_null(mkdtemp(world.dir));

    websocket_module.index = 0;
    world.conf = (struct websocket_conf){
        .pool = &world.pool,
        .origin = origin_rules_create(world.arena),
        .versions = ~0u,
        .auto_pong = true,
        .limits = {1 << 20, 1 << 20, 1000},
        .max_message = 1 << 20,
        .close_timeout_ms = 2000,
        .send_timeout_ms = 60000,
        .send_buffer = 1 << 20,
    };
    struct err err;
    origin_rules_add(world.conf.origin, STR("same"), &err);
    module_confs[0] = &world.conf;
    module_confs[1] = &no_log;
    module_confs[2] = &core;
    backend_pass_module.index = 3;
    world.pass = (struct backend_pass_conf){.pool = &world.pool,
                                            .read_timeout_ms = 60000};
    module_confs[3] = &world.pass;
    world.pool = (struct pool_conf){
        .name = STR_INIT("test"),
        .set = {.client_window = 65536,
                .reply_window = 65536,
                .channels_max = 4,
                .streams_max = 3,
                .link_window_in = 1 << 20,
                .link_window_out = 1 << 20,
                .max_frame = 65536,
                .keepalive_ms = 5000,
                .keepalive_timeout_ms = 10000,
                .accept_timeout_ms = 5000,
                .connect_timeout_ms = 5000,
                .drain_timeout_ms = 5000,
                .loss_mode = LOSS_HOLD,
                .hold_ms = 10000,
                .loss_code = 1012,
                .state_max = 65536,
                .drain_code = 1001,
                .cross_backend = true,
                .method = &balance_least_conn},
        .servers = world.servers,
    };
    world.skips_acks = world.own_boot_ids = false;
    world.hello = (struct sluice_hello){
        .version_min = 1,
        .version_max = 1,
        .role = SLUICE_ROLE_BACKEND,
        .max_frame = 65536,
        .window = 65536,
        .link_window = 1 << 20,
        .features = SLUICE_FEATURE_FRAGMENTS | SLUICE_FEATURE_WIRECOUNT,
        .epoch = 42,
    };
    for (int i = 0; i < WORLD_BACKENDS; i++) {
        struct fake *b = &world.backends[i];
        b->fd = b->listening = -1;
        snprintf(b->path, sizeof b->path, "%s/%d.sock", world.dir, i);
        world.servers[i] =
            (struct pool_server){.path = b->path, .weight = 1, .spawn = -1};
    }
    assert_true(
        map_add(&world.generation.backends, world.pool.name, &world.pool));
    return 0;
}

int world_end(void **state)
{
    (void)state;
    bridge_stop();
    for (int i = 0; i < WORLD_BACKENDS; i++) {
        struct fake *b = &world.backends[i];
        fake_close(b);
        if (b->listening != -1)
            close(b->listening);
        unlink(b->path);
        buf_fini(&b->in);
        buf_fini(&b->out);
    }
    rmdir(world.dir);
    loop_destroy(world.loop);
    arena_destroy(world.arena);
    /* Whoever held the configuration has let go of it. */
    assert_int_equal(world.generation.references, 0);
    assert_int_equal(bridge_live(), 0);
    return 0;
}

void world_turn(void)
{
    loop_turn(world.loop, false);
    usleep(100);
}

void world_adopt(void)
{
    bridge_adopt(world.loop, &world.generation, 3, 99);
}

void world_start(size_t backends)
{
    world.pool.servers_n = backends;
    for (size_t i = 0; i < backends; i++)
        fake_listen(fake_of(i));
    world_adopt();
    for (size_t i = 0; i < backends; i++) {
        fake_accept(fake_of(i));
        fake_greet(fake_of(i));
        fake_expect(fake_of(i), SLUICE_HELLO);
        fake_ready(fake_of(i));
    }
}

/* ---- the backend ---- */

struct fake *fake_of(size_t i)
{
    return &world.backends[i];
}

void fake_listen(struct fake *b)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    strcpy(un.sun_path, b->path);
    b->listening = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(b->listening, (struct sockaddr *)&un, sizeof un), 0);
    assert_int_equal(listen(b->listening, 5), 0);
}

void fake_accept(struct fake *b)
{
    int fd;

    WORLD_WAIT((fd = accept4(b->listening, NULL, NULL, SOCK_NONBLOCK)) != -1);
    fake_begin(b, fd);
}

void fake_begin(struct fake *b, int fd)
{
    b->fd = fd;
    sluice_reader_init(&b->reader, SLUICE_ROLE_GATEWAY, 1 << 20);
    b->reader.features = ~UINT64_C(0);
    b->eof = false;
    buf_clear(&b->in);
    buf_clear(&b->out);
    b->used = 0;
}

void fake_greet(struct fake *b)
{
    struct sluice_hello h = world.hello;
    if (world.own_boot_ids)
        h.epoch += (uint64_t)(b - world.backends);
    assert_true(sluice_hello_put(&b->out, &h));
    fake_send(b);
}

void fake_ready(struct fake *b)
{
    sluice_empty_put(&b->out, SLUICE_READY, 0, 0);
    fake_send(b);
    struct pool *p = pool_find(STR("test"));
    size_t i = (size_t)(b - world.backends);
    WORLD_WAIT(!p->balance.peers[i].unready);
}

void fake_send(struct fake *b)
{
    fake_send_raw(b, b->out.p, b->out.n);
    buf_clear(&b->out);
}

void fake_send_raw(struct fake *b, const void *p, size_t n)
{
    size_t at = 0;
    for (int i = 0; at < n; i++) {
        ssize_t sent = send(b->fd, (const char *)p + at, n - at, MSG_NOSIGNAL);
        if (sent > 0)
            at += (size_t)sent;
        else if (errno == EPIPE || errno == ECONNRESET)
            return; /* it is gone already: the test will see */
        if (i > WORLD_TURNS)
            fail_msg("the gateway does not read");
        if (at < n)
            world_turn();
    }
}

void fake_close(struct fake *b)
{
    if (b->fd != -1)
        close(b->fd);
    b->fd = -1;
}

static bool read_some(int fd, struct buf *in, bool *eof)
{
    uint8_t *at = buf_reserve(in, 65536);
    ssize_t got = recv(fd, at, 65536, 0);
    if (got > 0)
        in->n += (size_t)got;
    else if (got == 0 || errno != EAGAIN)
        *eof = true;
    return got > 0;
}

int fake_try(struct fake *b, struct sluice_frame *f)
{
    buf_drop(&b->in, b->used);
    b->used = 0;
    for (;;) {
        buf_reserve(&b->in, 1);
        struct span in = {b->in.p + b->used, b->in.n - b->used};
        int got = sluice_reader_next(&b->reader, &in, f);
        if (got < 0)
            fail_msg("the gateway sent a malformed frame: %d", got);
        b->used = (size_t)(in.p - b->in.p);
        if (got == 1 && (f->header.type == SLUICE_KEEPALIVE ||
                         (world.skips_acks && f->header.type == SLUICE_ACK)))
            continue;
        if (got == 1)
            return 1;
        if (b->used) {
            buf_drop(&b->in, b->used);
            b->used = 0;
        }
        if (!read_some(b->fd, &b->in, &b->eof))
            return b->eof ? -1 : 0;
    }
}

bool fake_next(struct fake *b, struct sluice_frame *f)
{
    int got = 0;
    WORLD_WAIT((got = fake_try(b, f)) != 0);
    return got == 1;
}

struct sluice_frame fake_expect(struct fake *b, enum sluice_type type)
{
    struct sluice_frame f;
    if (!fake_next(b, &f))
        fail_msg("the link ended before %s", sluice_type_name(type));
    if (f.header.type != type)
        fail_msg("got %s, expected %s", sluice_type_name(f.header.type),
                 sluice_type_name(type));
    return f;
}

struct sluice_closed fake_expect_closed(struct fake *b, unsigned cause,
                                        unsigned code)
{
    struct sluice_closed c;
    struct sluice_frame f = fake_expect(b, SLUICE_CLOSED);
    assert_int_equal(sluice_closed_get(&c, &f), 0);
    if (c.cause != cause || c.code != code)
        fail_msg("closed with %u, \"%s\"", c.code, sluice_cause_name(c.cause));
    return c;
}

bool fake_is_silent(struct fake *b)
{
    struct sluice_frame f;
    for (int i = 0; i < 20; i++) {
        world_turn();
        if (fake_try(b, &f))
            return false;
    }
    return true;
}

void fake_put_empty(struct fake *b, enum sluice_type type, uint64_t cid)
{
    sluice_empty_put(&b->out, type, 0, cid);
}

void fake_put_data(struct fake *b, enum sluice_type type, unsigned flags,
                   uint64_t cid, const void *p, size_t n)
{
    struct sluice_header h = {
        .type = (uint8_t)type, .flags = (uint8_t)flags, .cid = cid};
    assert_true(sluice_frame_put(&b->out, &h, str_n(p, n)));
}

void fake_accept_client(struct fake *b, uint64_t cid, const char *protocol)
{
    struct buf tlvs = {0};
    if (protocol)
        sluice_tlv_put(&tlvs, SLUICE_TAG_SUBPROTOCOL, str_c(protocol));
    struct sluice_accept a = {.cid = cid, .tlvs = buf_str(&tlvs)};
    sluice_accept_put(&b->out, &a);
    fake_send(b);
    buf_fini(&tlvs);
}

/* ---- the client ---- */

static void fill_fields(struct paper *p, const char *more, bool old)
{
    struct buf text = {0};
    buf_printf(&text,
               "Host: example.com\n"
               "Upgrade: websocket\n"
               "Connection: Upgrade\n"
               "%s%s",
               old ? "" : "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n",
               more);
    if (!old && !strstr(more, "Sec-WebSocket-Version"))
        buf_printf(&text, "Sec-WebSocket-Version: 13\n");
    struct str rest = arena_str(p->r.arena, buf_str(&text));
    buf_fini(&text);
    p->r.head.fields = arena_calloc(p->r.arena, 32 * sizeof(struct http_field));
    while (rest.n) {
        struct str line = str_cut(&rest, '\n');
        struct str name = str_cut(&line, ':');
        if (name.n)
            p->r.head.fields[p->r.head.fields_n++] =
                (struct http_field){name, str_trim(line)};
    }
}

struct paper *paper_create(const char *fields, bool old)
{
    struct paper *p = xcalloc(1, sizeof *p);

    p->fd = -1;
    p->finished = -100;
    p->r.main = &p->r;
    p->r.arena = arena_create(4096);
    p->r.generation = &world.generation;
    p->r.location = &location;
    p->r.eval.arena = p->r.arena;
    p->r.uri = STR("/ws");
    p->r.host = STR("example.com");
    p->r.body_complete = true;
    p->r.head.method = METHOD_GET;
    p->r.head.method_text = STR("GET");
    p->r.head.target = STR("/ws?x=1");
    p->r.head.path = STR("/ws?x=1");
    p->r.head.authority = STR("example.com");
    p->r.head.version = 11;
    fill_fields(p, fields, old);
    return p;
}

static void connect_paper(struct paper *p)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair),
                     0);
    p->fd = pair[0];
    p->stream = stream_open(world.loop, pair[1], &session_events, NULL);
    stream_pause(p->stream);
}

struct paper *paper_stand(const char *fields)
{
    struct paper *p = paper_create(fields, false);
    connect_paper(p);
    return p;
}

static struct paper *ask(const char *fields, bool old)
{
    struct paper *p = paper_create(fields, old);
    connect_paper(p);
    p->verdict = bridge_upgrade(&p->r);
    return p;
}

struct paper *paper_ask(const char *fields)
{
    return ask(fields, false);
}

struct paper *paper_ask_old(const char *fields)
{
    return ask(fields, true);
}

void paper_behind(struct paper *p, const void *bytes, size_t n)
{
    struct request *r = &p->r;

    assert_true(r->raw_left >= n);
    r->raw_left -= n;
    r->handler->on_body(r, bytes, n, false);
    if (r->raw_left)
        return;
    r->body_complete = true;
    r->handler->on_body(r, NULL, 0, true);
}

void paper_free(struct paper *p)
{
    close(p->fd);
    if (!p->r.taken) {
        /* What serve does when the request ends. */
        if (p->r.handler && p->r.handler->on_done)
            p->r.handler->on_done(&p->r);
        stream_close(p->stream);
    }
    for (int i = 0; i < 10; i++)
        world_turn();
    paper_burn(p);
}

void paper_burn(struct paper *p)
{
    buf_fini(&p->in);
    buf_fini(&p->body);
    buf_fini(&p->fields);
    arena_destroy(p->r.arena);
    free(p);
}

void paper_send(struct paper *p, const void *bytes, size_t n)
{
    size_t at = 0;
    for (int i = 0; at < n; i++) {
        ssize_t sent =
            send(p->fd, (const char *)bytes + at, n - at, MSG_NOSIGNAL);
        if (sent > 0)
            at += (size_t)sent;
        if (i > WORLD_TURNS)
            fail_msg("the gateway does not read the client");
        if (at < n)
            world_turn();
    }
}

void paper_frame(struct paper *p, unsigned first_byte, const void *payload,
                 size_t n)
{
    struct ws_header h = {
        .opcode = (enum ws_opcode)(first_byte & 0xf),
        .fin = first_byte & 0x80,
        .masked = true,
        .key = {1, 2, 3, 4},
        .length = n,
    };
    uint8_t *frame = xmalloc(WS_HEADER_MAX + n);
    size_t head = ws_header_encode(frame, &h);
    for (size_t i = 0; i < n; i++)
        frame[head + i] = ((const uint8_t *)payload)[i] ^ h.key[i % 4];
    paper_send(p, frame, head + n);
    free(frame);
}

bool paper_want(struct paper *p, size_t n)
{
    for (int i = 0; p->in.n < n && !p->eof; i++) {
        if (i > WORLD_TURNS)
            fail_msg("only %zu of %zu bytes came", p->in.n, n);
        if (!read_some(p->fd, &p->in, &p->eof))
            world_turn();
    }
    return p->in.n >= n;
}

void paper_expect(struct paper *p, const void *bytes, size_t n)
{
    if (!paper_want(p, n))
        fail_msg("the connection ended after %zu of %zu bytes", p->in.n, n);
    assert_memory_equal(p->in.p, bytes, n);
    buf_drop(&p->in, n);
}

void paper_expect_101(struct paper *p)
{
    uint8_t *end = NULL;
    for (int i = 0; !end; i++) {
        if (i > WORLD_TURNS || p->eof)
            fail_msg("no 101 came");
        if (!read_some(p->fd, &p->in, &p->eof))
            world_turn();
        end = p->in.n ? memmem(p->in.p, p->in.n, "\r\n\r\n", 4) : NULL;
    }
    struct str head = str_n(p->in.p, (size_t)(end - p->in.p));
    assert_true(str_starts(head, STR("HTTP/1.1 101 ")));
    assert_non_null(memmem(head.p, head.n, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", 28));
    buf_drop(&p->in, (size_t)(end - p->in.p) + 4);
}

void paper_expect_end(struct paper *p)
{
    while (!p->eof) {
        buf_clear(&p->in);
        paper_want(p, 1);
    }
}

struct paper *paper_open(struct fake *b, uint64_t *cid)
{
    struct paper *p = paper_ask("");
    assert_int_equal(p->verdict, VERDICT_PENDING);
    *cid = fake_expect(b, SLUICE_OPEN).header.cid;
    fake_accept_client(b, *cid, NULL);
    paper_expect_101(p);
    assert_int_equal(fake_expect(b, SLUICE_OPENED).header.cid, *cid);
    return p;
}
