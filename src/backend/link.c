/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "internal.h"
#include "sluice/ack.h"
#include "sluice/hello.h"
#include "sluice/link.h"

static void on_ready(struct psb_watch *w, int events);

static void put_hello(struct psb_link *l)
{
    struct buf tlvs = {0};
    struct sluice_hello h = {
        .version_min = SLUICE_VERSION,
        .version_max = SLUICE_VERSION,
        .role = SLUICE_ROLE_BACKEND,
        .flags = SLUICE_HELLO_WANTS_RESUME,
        .max_frame = PSB_MAX_FRAME,
        .window = PSB_WINDOW,
        .link_window = PSB_LINK_WINDOW,
        .features = PSB_FEATURES,
        .epoch = l->psb->boot_id,
    };

    sluice_tlv_put(&tlvs, SLUICE_TAG_NAME, str_c(l->psb->name));
    sluice_tlv_put(&tlvs, SLUICE_TAG_AGENT, STR("libpenstock_backend"));
    sluice_tlv_put_u32(&tlvs, SLUICE_TAG_PID, (uint32_t)getpid());
    buf_put(&tlvs, l->psb->resume_of.p, l->psb->resume_of.n);
    h.tlvs = buf_str(&tlvs);
    sluice_hello_put(&l->out, &h);
    buf_fini(&tlvs);
}

struct psb_link *psb_link_open(psb_t *b, int fd)
{
    struct psb_link *l = xcalloc(1, sizeof *l);

    l->psb = b;
    list_init(&l->owing);
    list_init(&l->urgent);
    list_init(&l->blocked);
    list_init(&l->leaving);
    list_init(&l->clients);
    list_push_back(&b->links, &l->all);
    sluice_reader_init(&l->reader, SLUICE_ROLE_GATEWAY, PSB_MAX_FRAME);
    psb_watch_open(&l->watch, b, fd, POLLIN, on_ready);
    put_hello(l);
    psb_link_dirty(l);
    return l;
}

void psb_link_destroy(struct psb_link *l)
{
    psb_dial_lost(l);
    psb_watch_close(&l->watch);
    list_remove(&l->all);
    buf_fini(&l->left);
    buf_fini(&l->out);
    buf_fini(&l->streams);
    free(l->slots);
    free(l);
}

void psb_link_lose(struct psb_link *l, int why)
{
    if (l->dead)
        return;
    l->dead = true;
    l->why = why;
    /* A loop of the application's must not wait for it any more. */
    l->watch.wants = 0;
}

static void fail(struct psb_link *l, int code, unsigned type)
{
    struct sluice_error_frame e = {
        .code = (uint16_t)code,
        .offending_type = (uint8_t)type,
        .severity = SLUICE_SEVERITY_LINK,
        .text = str_c(sluice_error_name((unsigned)code))};
    sluice_error_put(&l->out, &e);
    psb_link_flush(l);
    psb_link_lose(l, PSB_CAUSE_LINK_LOST);
}

/* ---- reading ---- */

static void show(struct psb_link *l, const struct sluice_frame *f)
{
    unsigned type = f->header.type;
    bool often = sluice_type_is_data(type) || type == SLUICE_ACK ||
                 type == SLUICE_KEEPALIVE;
    if (l->psb->debug > 1 || !often)
        fprintf(stderr, "%s: %s %llx, %u bytes\n", l->psb->name,
                sluice_type_name(type), (unsigned long long)f->header.cid,
                f->header.length);
}

/* All frames that are there. */
static void take_frames(struct psb_link *l, struct span *in)
{
    struct sluice_frame f;
    int got;

    while (!l->dead && (got = sluice_reader_next(&l->reader, in, &f)) != 0) {
        unsigned type = got < 0 ? l->reader.bad_type : f.header.type;
        if (got == 1 && l->psb->debug)
            show(l, &f);
        if (got == 1)
            got = psb_dispatch(l, &f);
        if (got < 0) {
            fail(l, -got, type);
            return;
        }
    }
}

static void read_some(struct psb_link *l)
{
    psb_t *b = l->psb;
    size_t kept = l->left.n;

    ssize_t n = recv(l->watch.fd, b->read_buffer + kept, PSB_READ_SIZE, 0);
    if (n == -1 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        psb_link_lose(l, PSB_CAUSE_LINK_LOST);
        return;
    }
    /* What is kept is less than a frame, so it fits before the news. */
    if (kept)
        memcpy(b->read_buffer, l->left.p, kept);
    struct span in = {b->read_buffer, kept + (size_t)n};
    take_frames(l, &in);
    if (l->dead)
        return;
    buf_clear(&l->left);
    if (in.n)
        buf_put(&l->left, in.p, in.n);
    else if (l->left.capacity > SLUICE_MAX_FRAME_MIN)
        buf_fini(&l->left);
}

static void on_ready(struct psb_watch *w, int events)
{
    struct psb_link *l = CONTAINER(w, struct psb_link, watch);
    if (!l->dead && events & ~POLLOUT)
        read_some(l);
}

/* ---- writing ---- */

void psb_link_dirty(struct psb_link *l)
{
    /* Outside of a turn nobody else would: wake the loop for it. */
    l->watch.wants |= POLLOUT;
    if (!l->psb->busy)
        psb_sync(l->psb);
}

void psb_link_flush(struct psb_link *l)
{
    while (!l->dead && psb_link_pending(l)) {
        ssize_t n = send(l->watch.fd, l->out.p + l->out_at, psb_link_pending(l),
                         MSG_NOSIGNAL);
        if (n == -1 && errno == EINTR)
            continue;
        if (n == -1 && errno != EAGAIN && errno != EWOULDBLOCK)
            psb_link_lose(l, PSB_CAUSE_LINK_LOST);
        if (n <= 0)
            break;
        l->out_at += (size_t)n;
    }
    if (!psb_link_pending(l)) {
        buf_clear(&l->out);
        l->out_at = 0;
        if (l->out.capacity > PSB_OUT_SLOW)
            buf_fini(&l->out);
    } else if (l->out_at > l->out.n / 2) {
        buf_drop(&l->out, l->out_at);
        l->out_at = 0;
    }
    if (!l->dead)
        l->watch.wants = POLLIN | (psb_link_pending(l) ? POLLOUT : 0);
}

/* ---- credit that we give back ---- */

static void put_entries(struct psb_link *l, struct list *clients)
{
    size_t max = l->peer_max_frame / SLUICE_ACK_SIZE;

    while (!list_is_empty(clients)) {
        struct sluice_header h = {.type = SLUICE_ACK};
        size_t begin = sluice_frame_begin(&l->out, &h);
        struct list *item;
        for (size_t i = 0; i < max && (item = list_pop_front(clients)); i++) {
            psb_client_t *c = CONTAINER(item, psb_client_t, owing);
            struct sluice_ack a = {
                .cid = c->cid, .bytes = c->owed, .seq = c->seq_done};
            sluice_ack_put_entry(&l->out, &a);
            c->unread -= c->owed;
            l->unread -= c->owed;
            l->owed -= c->owed;
            c->owed = 0;
        }
        sluice_frame_end(&l->out, begin, true);
    }
}

void psb_link_put_acks(struct psb_link *l)
{
    if (l->dead)
        return;
    put_entries(l, &l->urgent);
    bool late = l->psb->now_ms >= l->owing_since_ms + PSB_ACK_MS;
    if (!list_is_empty(&l->owing) && (late || l->owed >= PSB_LINK_WINDOW / 2))
        put_entries(l, &l->owing);
}
