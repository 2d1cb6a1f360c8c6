/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "internal.h"
#include "sluice/group.h"
#include "sluice/link.h"
#include "sluice/tlv.h"

/* What became of a group send, over all links. */
struct outcome {
    bool slow;
    int error;
};

/* Group sends spend no credit: their bound is what waits to be written. */
static bool has_room(struct psb_link *l, size_t n, size_t around,
                     struct outcome *o)
{
    if (!l->ready || l->dead)
        return false;
    if (n > l->peer_max_frame || around > l->peer_max_frame - n)
        o->error = EMSGSIZE;
    else if (psb_link_pending(l) + n > PSB_OUT_MAX)
        o->error = ENOBUFS;
    else
        return true;
    return false;
}

static void was_put(struct psb_link *l, struct outcome *o)
{
    if (psb_link_pending(l) > PSB_OUT_SLOW)
        o->slow = true;
    psb_link_dirty(l);
}

static int result_of(const struct outcome *o)
{
    if (!o->error)
        return o->slow;
    errno = o->error;
    return -1;
}

int psb_broadcast(psb_t *b, int app, int binary, const void *p, size_t n,
                  psb_cid except)
{
    struct sluice_broadcast m = {.opcode = binary ? 2 : 1, .data = str_n(p, n)};
    struct outcome outcome = {0};
    uint8_t id[8];

    if (app < 0 || (size_t)app > b->apps_n) {
        errno = EINVAL;
        return -1;
    }
    le64_put(id, except);
    if (except)
        m.except = str_n(id, sizeof id);
    LIST_EACH(item, after, &b->links)
    {
        struct psb_link *l = CONTAINER(item, struct psb_link, all);
        m.app_id = app ? l->app_ids[app - 1] : 0;
        if (app && !m.app_id)
            continue; /* nobody came through it */
        if (!has_room(l, n, 12 + sizeof id, &outcome))
            continue;
        sluice_broadcast_put(&l->out, &m);
        was_put(l, &outcome);
    }
    return result_of(&outcome);
}

struct raw_frame {
    uint8_t head;
    const void *p;
    size_t n;
    int result;
};

static int send_raw(psb_client_t *c, void *arg)
{
    struct raw_frame *f = arg;

    if (psb_raw(c, f->head, f->p, f->n) == 1)
        f->result = 1;
    return 0;
}

int psb_broadcast_raw(psb_t *b, int app, uint8_t head, const void *p, size_t n)
{
    struct raw_frame f = {.head = head, .p = p, .n = n};
    bool bad = (head & 0x0f) == 8 || (head & 8 && (!(head & 0x80) || n > 125));

    if (head == 0x81 || head == 0x82)
        return psb_broadcast(b, app, head == 0x82, p, n, 0);
    if (app < 0 || (size_t)app > b->apps_n || bad)
        return psb_refuse(EINVAL);
    psb_foreach(b, app, send_raw, &f);
    return f.result;
}

/* The ids of one gateway process, in frames of what it takes. */
static void msend_on(struct psb_link *l, struct str ids, struct sluice_msend *m,
                     struct outcome *outcome)
{
    size_t max = (l->peer_max_frame - 8 - m->data.n) / 8 * 8;

    for (size_t at = 0; at < ids.n; at += max) {
        m->ids = str_slice(ids, at, at + max);
        sluice_msend_put(&l->out, m);
    }
    was_put(l, outcome);
}

int psb_msend(psb_t *b, const psb_cid *cids, size_t count, int binary,
              const void *p, size_t n)
{
    struct sluice_msend m = {.opcode = binary ? 2 : 1, .data = str_n(p, n)};
    struct outcome outcome = {0};
    struct buf ids = {0};

    LIST_EACH(item, after, &b->links)
    {
        struct psb_link *l = CONTAINER(item, struct psb_link, all);
        buf_clear(&ids);
        for (size_t i = 0; i < count; i++) {
            psb_client_t *c = psb_client_at(l, cids[i]);
            if (c && !c->gone)
                sluice_ids_append(&ids, cids[i]);
        }
        if (ids.n && has_room(l, n, 8 + 8, &outcome))
            msend_on(l, buf_str(&ids), &m, &outcome);
    }
    buf_fini(&ids);
    return result_of(&outcome);
}

/* ---- channels ---- */

/* 0, or -1 when this client cannot be told about a channel of that name. */
static int check_channel(const psb_client_t *c, struct str name)
{
    if (c->gone || c->link->dead || c->state == PSB_CLOSED)
        return psb_refuse(EPIPE);
    if (!(c->link->reader.features & SLUICE_FEATURE_CHANNELS))
        return psb_refuse(ENOTSUP);
    return c->http || c->tunnel || !name.n || name.n > SLUICE_CHANNEL_MAX
               ? psb_refuse(EINVAL)
               : 0;
}

static void put_channel(psb_client_t *c, enum sluice_type type, struct str name)
{
    struct sluice_header h = {.type = (uint8_t)type, .cid = c->cid};
    size_t begin = sluice_frame_begin(&c->link->out, &h);
    bool ok = !name.n || sluice_channel_put(&c->link->out, name);

    sluice_frame_end(&c->link->out, begin, ok);
    psb_link_dirty(c->link);
}

int psb_subscribe(psb_client_t *c, const char *channel)
{
    struct str name = str_c(channel);

    if (check_channel(c, name) == -1)
        return -1;
    if (c->answered)
        put_channel(c, SLUICE_SUBSCRIBE, name);
    else
        sluice_tlv_put(&c->joins, SLUICE_TAG_CHANNEL, name);
    return 0;
}

int psb_unsubscribe(psb_client_t *c, const char *channel)
{
    struct str name = channel ? str_c(channel) : (struct str){0};

    if (check_channel(c, channel ? name : STR("*")) == -1)
        return -1;
    if (!c->answered)
        return psb_refuse(ENOTCONN);
    put_channel(c, SLUICE_UNSUBSCRIBE, name);
    return 0;
}

int psb_publish(psb_t *b, const char *channel, int binary, const void *p,
                size_t n, psb_cid except)
{
    struct sluice_publish m = {.except = except,
                               .opcode = binary ? 2 : 1,
                               .channel = str_c(channel),
                               .data = str_n(p, n)};
    struct outcome outcome = {0};

    if (!m.channel.n || m.channel.n > SLUICE_CHANNEL_MAX)
        return psb_refuse(EINVAL);
    LIST_EACH(item, after, &b->links)
    {
        struct psb_link *l = CONTAINER(item, struct psb_link, all);
        if (!has_room(l, n, 4 + m.channel.n, &outcome))
            continue;
        if (!(l->reader.features & SLUICE_FEATURE_CHANNELS))
            continue;
        sluice_publish_put(&l->out, &m);
        was_put(l, &outcome);
    }
    return result_of(&outcome);
}

void psb_log(psb_t *b, int level, const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct sluice_log line = {.level = (uint16_t)(level < 0   ? 0
                                                  : level > 7 ? 7
                                                              : level),
                              .text = str_c(text)};
    LIST_EACH(item, after, &b->links)
    {
        struct psb_link *l = CONTAINER(item, struct psb_link, all);
        if (l->ready && !l->dead && psb_link_pending(l) < PSB_OUT_SLOW) {
            sluice_log_put(&l->out, &line);
            psb_link_dirty(l);
            return;
        }
    }
    fprintf(stderr, "%s: %s\n", b->name, text);
}
