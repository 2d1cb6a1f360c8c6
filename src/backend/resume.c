/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "internal.h"
#include "sluice/ack.h"
#include "sluice/client.h"
#include "sluice/link.h"

/* ---- progress ---- */

static bool is_manual(const psb_client_t *c)
{
    return c->app->app.manual_ack && !c->http;
}

/* The last pieces of messages that wait for psb_ack(), oldest first. */
static void remember(psb_client_t *c, size_t n)
{
    uint8_t size[4];
    le32_put(size, (uint32_t)n);
    buf_put(&c->waiting, size, sizeof size);
}

void psb_client_took(psb_client_t *c, size_t n, bool last)
{
    if (last && is_manual(c) && c->state != PSB_CLOSED) {
        remember(c, n);
        return;
    }
    if (last && !is_manual(c))
        c->seq_done = c->seq_in;
    /* With at_least_once an empty message is acknowledged too. */
    if (n || (last && c->link->reader.features & SLUICE_FEATURE_ALO))
        psb_client_owe(c, n);
}

/* The application is done with the messages up to seq. */
static int progress(psb_client_t *c, uint32_t seq)
{
    size_t n = 0;

    if (!is_manual(c))
        return 0;
    uint32_t more = seq - c->seq_done;
    if (more > c->waiting.n / 4)
        return (int32_t)more < 0 ? 0 : psb_refuse(EINVAL);
    for (uint32_t i = 0; i < more; i++)
        n += le32_get(c->waiting.p + (size_t)i * 4);
    buf_drop(&c->waiting, (size_t)more * 4);
    c->seq_done = seq;
    if (more)
        psb_client_owe(c, n);
    psb_client_may_leave(c);
    return 0;
}

int psb_ack(psb_client_t *c, uint32_t seq)
{
    if (c->link->dead || c->http)
        return psb_refuse(EPIPE);
    if (progress(c, seq) == -1)
        return -1;
    psb_link_dirty(c->link);
    return 0;
}

int psb_set_state(psb_client_t *c, psb_buf state, uint32_t ack_seq)
{
    struct sluice_set_state m = {
        .cid = c->cid,
        .has_ack = ack_seq != 0,
        .ack_seq = ack_seq,
        .blob = str_n(state.p, state.n),
    };

    if (c->link->dead || c->http || !c->answered || c->gone || c->left)
        return psb_refuse(EPIPE);
    if (c->tunnel)
        return psb_refuse(EINVAL);
    if (!(c->link->reader.features & SLUICE_FEATURE_STATE))
        return psb_refuse(ENOTSUP);
    if (state.n + 4 > c->link->peer_max_frame)
        return psb_refuse(EMSGSIZE);
    if (ack_seq && (int32_t)(c->seq_in - ack_seq) < 0)
        return psb_refuse(EINVAL);
    sluice_set_state_put(&c->link->out, &m);
    psb_link_dirty(c->link);
    return ack_seq ? progress(c, ack_seq) : 0;
}

static void put_ack(struct psb_link *l, psb_cid cid, uint32_t seq)
{
    struct sluice_header h = {.type = SLUICE_ACK};
    struct sluice_ack a = {.cid = cid, .seq = seq};
    size_t begin = sluice_frame_begin(&l->out, &h);

    sluice_ack_put_entry(&l->out, &a);
    sluice_frame_end(&l->out, begin, true);
    psb_link_dirty(l);
}

int psb_ack_cid(psb_t *b, psb_cid cid, uint32_t seq)
{
    LIST_EACH(item, after, &b->links)
    {
        struct psb_link *l = CONTAINER(item, struct psb_link, all);
        if (l->dead || !l->ready || l->process != sluice_cid_process(cid))
            continue;
        psb_client_t *c = psb_client_at(l, cid);
        if (c)
            return psb_ack(c, seq);
        put_ack(l, cid, seq);
        return 0;
    }
    return psb_refuse(ENOENT);
}

void psb_client_ack_end(psb_client_t *c)
{
    struct psb_link *l = c->link;

    /* What is not acknowledged may be done later, by psb_ack_cid(). */
    if (l->reader.features & SLUICE_FEATURE_ALO && c->answered && !c->waiting.n)
        put_ack(l, c->cid, c->seq_in + 1);
}

/* ---- a client comes from another backend ---- */

/* An application that knows nothing of it gets the client as a new one. */
static void show_as_new(psb_client_t *c, const psb_info *info)
{
    const psb_handlers *h = &c->app->h;
    int verdict = PSB_ACCEPT;

    if (h->on_open)
        verdict = h->on_open(c, info, c->app->app.ud);
    if (verdict != PSB_ACCEPT && verdict != PSB_LATER)
        psb_close(c, 1008, "");
    else if (h->on_opened && c->state == PSB_OPEN)
        h->on_opened(c, c->app->app.ud);
}

static void begin(psb_client_t *c, const struct sluice_open *o,
                  const struct sluice_resume_info *r)
{
    const psb_handlers *h = &c->app->h;
    psb_info info = psb_client_info(c, o);

    info.resumed = 1;
    info.foreign = (r->flags & SLUICE_RESUME_FOREIGN) != 0;
    info.truncated = (r->flags & SLUICE_RESUME_TRUNCATED) != 0;
    info.dead = (r->flags & SLUICE_RESUME_DEAD) != 0;
    info.first_seq = r->first_seq;
    info.protocol = psb_offer(c, 0);
    if (h->on_resume)
        h->on_resume(c, &info,
                     psb_buf_of(sluice_tlv_find(c->tlvs, SLUICE_TAG_STATE)),
                     r->unacked, c->app->app.ud);
    else
        show_as_new(c, &info);
}

int psb_client_resume(struct psb_link *l, const struct sluice_open *o,
                      struct psb_app_entry *app)
{
    struct sluice_resume_info r = {.first_seq = 1, .next_out_seq = 1};
    struct str rest = o->tlvs;
    struct sluice_tlv t;

    while (sluice_tlv_next(&rest, &t) == 1)
        if (t.tag == SLUICE_TAG_RESUME_INFO &&
            sluice_tlv_get_resume_info(&t, &r) < 0)
            return -SLUICE_ERROR_PROTOCOL;
    if (!app) {
        struct sluice_error_frame e = {
            .cid = o->cid,
            .code = SLUICE_ERROR_NO_SUCH_CLIENT,
            .offending_type = SLUICE_RESUME,
            .severity = SLUICE_SEVERITY_CLIENT,
            .ws_close_code = 1012,
            .text = STR("no such app"),
        };
        sluice_error_put(&l->out, &e);
        return 0;
    }
    psb_client_t *c = psb_client_create(l, o, app);
    if (!c)
        return -SLUICE_ERROR_BAD_STATE;
    c->answered = c->opened = true;
    c->state = PSB_OPEN;
    c->seq_in = c->seq_done = r.first_seq - 1;
    c->seq_out = c->seq_flushed = r.next_out_seq - 1;
    psb_client_tell_state(c);
    begin(c, o, &r);
    return 0;
}

/* ---- a client goes to another backend ---- */

int psb_client_detach(psb_client_t *c)
{
    if (c->detaching)
        return -SLUICE_ERROR_BAD_STATE;
    c->detaching = true;
    if (c->state != PSB_CLOSED && c->app->h.on_detach)
        c->app->h.on_detach(c, c->app->app.ud);
    psb_client_may_leave(c);
    return 0;
}

void psb_client_may_leave(psb_client_t *c)
{
    if (c->detaching && !c->link->dead && !list_is_linked(&c->leaving))
        list_push_back(&c->link->leaving, &c->leaving);
}

/* What was begun is finished first: messages that wait for credit, or for the
 * application to acknowledge them. */
static bool is_busy(const psb_client_t *c)
{
    return c->state != PSB_CLOSED &&
           (c->queue_at < c->queue.n || c->out_opcode || c->waiting.n);
}

void psb_link_let_go(struct psb_link *l)
{
    struct list *item;

    while ((item = list_pop_front(&l->leaving))) {
        psb_client_t *c = CONTAINER(item, psb_client_t, leaving);
        if (is_busy(c))
            continue;
        /* Its last ACK stands before DETACHED. */
        if (list_is_linked(&c->owing)) {
            list_remove(&c->owing);
            list_push_back(&l->urgent, &c->owing);
            psb_link_put_acks(l);
        }
        c->left = true;
        sluice_empty_put(&l->out, SLUICE_DETACHED, 0, c->cid);
        psb_client_finish(c, 1012, (struct str){0}, PSB_CAUSE_MOVED);
    }
}
