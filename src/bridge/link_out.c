/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/clock.h"
#include "bridge/session.h"
#include "sluice/ack.h"

enum {
    COPY_MAX = 1024 /* payload bytes that leave in one piece with a header */
};

/* Nothing that is sent ends a link: the timer does, so that no caller has to
 * look whether its link is still there. */
static void sent(struct link *l)
{
    l->said_ms = clock_now_ms();
    if (stream_queued(l->stream) > l->window_in + LINK_QUEUE_HARD)
        timer_set(bridge.loop, &l->timer, 0);
}

void link_send_scratch(struct link *l)
{
    stream_put(l->stream, l->scratch.p, l->scratch.n);
    buf_clear(&l->scratch);
    sent(l);
}

void link_send_empty(struct link *l, enum sluice_type type, uint16_t aux,
                     uint64_t cid)
{
    uint8_t head[SLUICE_HEADER_SIZE];
    sluice_data_header(head, type, 0, aux, cid, 0);
    stream_put(l->stream, head, sizeof head);
    sent(l);
}

void link_send_error(struct link *l, uint64_t cid, enum sluice_error code,
                     unsigned type, enum sluice_severity severity,
                     unsigned ws_close_code, const char *text)
{
    struct sluice_error_frame e = {
        .cid = cid,
        .code = (uint16_t)code,
        .offending_type = (uint8_t)type,
        .severity = (uint8_t)severity,
        .ws_close_code = (uint16_t)ws_close_code,
        .text = str_c(text),
    };
    sluice_error_put(&l->scratch, &e);
    link_send_scratch(l);
}

void link_send_data(struct link_client *c, enum sluice_type type, uint8_t flags,
                    uint16_t aux, const uint8_t *p, size_t n)
{
    struct link *l = c->link;
    uint8_t frame[SLUICE_HEADER_SIZE + COPY_MAX];

    sluice_data_header(frame, type, flags, aux, c->cid, n);
    if (n <= COPY_MAX) {
        if (n)
            memcpy(frame + SLUICE_HEADER_SIZE, p, n);
        stream_put(l->stream, frame, SLUICE_HEADER_SIZE + n);
    } else {
        stream_put(l->stream, frame, SLUICE_HEADER_SIZE);
        stream_put(l->stream, p, n);
    }
    c->outstanding_in += (uint32_t)n;
    l->outstanding_in += n;
    l->counters.bytes_in += n;
    l->counters.messages_in +=
        type <= SLUICE_CONT && !(flags & SLUICE_FLAG_MORE);
    l->said_ms = clock_now_ms();
}

/* ---- credit that comes back to us ---- */

void link_run_wake(struct loop_task *task)
{
    struct link *l = CONTAINER(task, struct link, wake_task);
    for (int i = 0; i < LINK_WAKE_MAX && link_has_credit(l); i++) {
        struct list *first = list_pop_front(&l->starved);
        if (!first)
            return;
        link_client_wake(CONTAINER(first, struct link_client, starved));
    }
    if (!list_is_empty(&l->starved) && link_has_credit(l))
        loop_defer_next(bridge.loop, &l->wake_task);
}

void link_wake_starved(struct link *l)
{
    if (!list_is_empty(&l->starved) && link_has_credit(l))
        loop_defer(bridge.loop, &l->wake_task);
}

int link_on_ack(struct link *l, const struct sluice_frame *f)
{
    struct str rest = sluice_payload(f);
    struct sluice_ack a;

    int rc = sluice_ack_check(f);
    if (rc < 0)
        return rc;
    while (sluice_ack_next(&rest, &a)) {
        struct link_client *c = link_client_find(l, a.cid);
        if (!c) {
            l->strays++;
            continue;
        }
        rc = link_client_acked(c, a.bytes, a.seq);
        if (rc < 0)
            return rc;
    }
    link_wake_starved(l);
    return 0;
}

/* ---- credit that we give back ---- */

void link_owe(struct link_client *c, bool urgent)
{
    struct link *l = c->link;

    if (!list_is_linked(&c->owing))
        list_push_back(&l->owing, &c->owing);
    if (urgent)
        loop_defer(bridge.loop, &l->ack_task);
    else if (!timer_is_set(&l->ack_timer))
        timer_set(bridge.loop, &l->ack_timer, LINK_ACK_MS);
}

static void put_entry(struct link *l, struct link_client *c)
{
    struct sluice_ack a = {
        .cid = c->cid, .bytes = c->flushed_out, .seq = c->seq_flushed};
    sluice_ack_put_entry(&l->scratch, &a);
    c->outstanding_out -= c->flushed_out;
    l->outstanding_out -= c->flushed_out;
    c->flushed_out = 0;
}

void link_run_acks(struct loop_task *task)
{
    struct link *l = CONTAINER(task, struct link, ack_task);
    size_t max = l->peer_max_frame / SLUICE_ACK_SIZE;

    timer_clear(&l->ack_timer);
    while (!list_is_empty(&l->owing)) {
        struct sluice_header h = {.type = SLUICE_ACK};
        size_t begin = sluice_frame_begin(&l->scratch, &h);
        struct list *item;
        for (size_t i = 0; i < max && (item = list_pop_front(&l->owing)); i++)
            put_entry(l, CONTAINER(item, struct link_client, owing));
        sluice_frame_end(&l->scratch, begin, true);
        link_send_scratch(l);
    }
}
