/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/unit/backend/gateway.h - the other end of a link, played by the test.
 */
#ifndef PENSTOCK_TESTS_BACKEND_GATEWAY_H
#define PENSTOCK_TESTS_BACKEND_GATEWAY_H

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "penstock_backend.h"
#include "sluice/ack.h"
#include "sluice/app.h"
#include "sluice/client.h"
#include "sluice/close.h"
#include "sluice/group.h"
#include "sluice/hello.h"
#include "sluice/link.h"
#include "sluice/open.h"
#include "sluice/reader.h"
#include "support/test.h"

struct gateway {
    int fd;
    struct sluice_reader reader;
    struct buf out, in;
    size_t in_at;
    uint32_t window, link_window, max_frame; /* what its HELLO says */
    uint64_t features;                       /* besides FRAGMENTS */
};

/* A link between b and g, as far as connect and accept. */
static inline void gateway_connect(struct gateway *g, psb_t *b)
{
    int fds[2];
    int size = 8 << 20;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    *g = (struct gateway){.fd = fds[0],
                          .window = 1000,
                          .link_window = 1 << 20,
                          .max_frame = SLUICE_MAX_FRAME_MIN};
    sluice_reader_init(&g->reader, SLUICE_ROLE_BACKEND,
                       SLUICE_MAX_FRAME_DEFAULT);
    g->reader.features = SLUICE_FEATURE_FRAGMENTS;
    assert_int_equal(psb_adopt(b, fds[1]), 0);
}

static inline void gateway_say(struct gateway *g)
{
    assert_int_equal(send(g->fd, g->out.p, g->out.n, MSG_NOSIGNAL),
                     (ssize_t)g->out.n);
    buf_clear(&g->out);
}

/* Let the backend do what there is to do now. */
static inline void turn(psb_t *b)
{
    struct pollfd fds[16];
    for (int i = 0; i < 3; i++) {
        size_t n = psb_pollfds(b, fds, 16);
        assert_true(n <= 16);
        int got = poll(fds, n, 0);
        psb_process(b, fds, got > 0 ? n : 0);
    }
}

static inline void gateway_read(struct gateway *g)
{
    uint8_t bytes[65536];
    ssize_t n;
    buf_drop(&g->in, g->in_at);
    g->in_at = 0;
    while ((n = recv(g->fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
        buf_put(&g->in, bytes, (size_t)n);
}

/* The next frame of the backend; its type, 0 when there is none. */
static inline unsigned gateway_hear(struct gateway *g, struct sluice_frame *f)
{
    if (g->in_at == g->in.n)
        gateway_read(g);
    struct span in = {g->in.p + g->in_at, g->in.n - g->in_at};
    int got = sluice_reader_next(&g->reader, &in, f);
    assert_true(got >= 0);
    g->in_at = g->in.n - in.n;
    return got ? f->header.type : 0;
}

static inline void assert_heard(struct gateway *g, unsigned type,
                                struct sluice_frame *f)
{
    unsigned got = gateway_hear(g, f);
    if (got != type)
        fail_msg("heard %s, expected %s", sluice_type_name(got),
                 sluice_type_name(type));
}

static inline void gateway_hello(struct gateway *g)
{
    struct sluice_hello h = {.version_min = 1,
                             .version_max = 1,
                             .role = SLUICE_ROLE_GATEWAY,
                             .process = 3,
                             .max_frame = g->max_frame,
                             .window = g->window,
                             .link_window = g->link_window,
                             .features =
                                 SLUICE_FEATURE_FRAGMENTS | g->features};
    g->reader.features = h.features;
    sluice_hello_put(&g->out, &h);
    gateway_say(g);
}

/* The handshake, for a backend with one app: its id is 1. */
static inline void gateway_greet(struct gateway *g, psb_t *b)
{
    struct sluice_frame f;
    struct sluice_registered r = {1, STR("")};

    gateway_hello(g);
    turn(b);
    assert_heard(g, SLUICE_HELLO, &f);
    assert_heard(g, SLUICE_REGISTER, &f);
    assert_heard(g, SLUICE_READY, &f);
    sluice_registered_put(&g->out, &r);
    gateway_say(g);
    turn(b);
}

static inline uint64_t cid_of(unsigned slot)
{
    return sluice_cid_make(slot, 1, 3);
}

static inline void gateway_open(struct gateway *g, unsigned slot)
{
    struct sluice_open o = {.type = SLUICE_OPEN,
                            .cid = cid_of(slot),
                            .ws_version = 13,
                            .http_version = 11,
                            .flags = SLUICE_OPEN_BINARY_OK,
                            .app_id = 1,
                            .window_out = g->window,
                            .window_in = 1000,
                            .max_message = 5000};
    size_t at;
    bool ok = sluice_open_begin(&g->out, &o, &at) &&
              sluice_tlv_put(&g->out, SLUICE_TAG_METHOD, STR("GET")) &&
              sluice_tlv_put(&g->out, SLUICE_TAG_TARGET, STR("/a?x=1")) &&
              sluice_tlv_put(&g->out, SLUICE_TAG_ORIGIN, STR("http://o")) &&
              sluice_tlv_put_named(&g->out, SLUICE_TAG_CAPTURE, STR("room"),
                                   STR("7")) &&
              sluice_tlv_put_named(&g->out, SLUICE_TAG_VAR, STR("tenant"),
                                   STR("t")) &&
              sluice_tlv_put(&g->out, SLUICE_TAG_SUBPROTOCOL, STR("v2")) &&
              sluice_tlv_put(&g->out, SLUICE_TAG_SUBPROTOCOL, STR("v1")) &&
              sluice_tlv_put_header(&g->out, STR("Host"), STR("h")) &&
              sluice_tlv_put_header(&g->out, STR("X-A"), STR("1"));
    assert_true(sluice_frame_end(&g->out, at, ok));
}

static inline void gateway_data(struct gateway *g, unsigned type, unsigned slot,
                                bool more, const char *data)
{
    struct sluice_header h = {.type = (uint8_t)type,
                              .flags = more ? SLUICE_FLAG_MORE : 0,
                              .cid = cid_of(slot)};
    sluice_frame_put(&g->out, &h, str_c(data));
}

static inline void gateway_ack(struct gateway *g, unsigned slot, uint32_t bytes,
                               uint32_t seq)
{
    struct sluice_header h = {.type = SLUICE_ACK};
    struct sluice_ack a = {cid_of(slot), bytes, seq};
    size_t at = sluice_frame_begin(&g->out, &h);
    sluice_frame_end(&g->out, at, sluice_ack_put_entry(&g->out, &a));
}

static inline void gateway_fini(struct gateway *g)
{
    if (g->fd != -1)
        close(g->fd);
    buf_fini(&g->in);
    buf_fini(&g->out);
}

#endif
