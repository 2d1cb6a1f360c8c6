/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "internal.h"

/* ---- the table of a link ---- */

psb_client_t *psb_client_at(struct psb_link *l, uint64_t cid)
{
    uint32_t slot = sluice_cid_slot(cid);
    psb_client_t *c = slot < l->slots_n ? l->slots[slot] : NULL;
    return c && c->cid == cid ? c : NULL;
}

/* False: no memory for a slot that the gateway chose. */
static bool grow_slots(struct psb_link *l, uint32_t slot)
{
    size_t n = l->slots_n ? l->slots_n : 64;

    if (slot < l->slots_n)
        return true;
    while (n <= slot)
        n *= 2;
    psb_client_t **more = calloc(n, sizeof(psb_client_t *));
    if (!more)
        return false;
    if (l->slots_n)
        memcpy(more, l->slots, l->slots_n * sizeof *more);
    free(l->slots);
    l->slots = more;
    l->slots_n = n;
    return true;
}

psb_client_t *psb_client_create(struct psb_link *l, const struct sluice_open *o,
                                struct psb_app_entry *app)
{
    uint32_t slot = sluice_cid_slot(o->cid);

    if (!grow_slots(l, slot) || l->slots[slot])
        return NULL;
    psb_client_t *c = xcalloc(1, sizeof *c + o->tlvs.n);
    char *tlvs = (char *)(c + 1);
    memcpy(tlvs, o->tlvs.p, o->tlvs.n);
    c->link = l;
    c->cid = o->cid;
    c->app = app;
    c->state = PSB_CONNECTING;
    c->credit = o->window_out;
    c->window_in = o->window_in;
    c->max_message = o->max_message;
    c->already_open = o->flags & SLUICE_OPEN_ALREADY_OPEN;
    c->tlvs = str_n(tlvs, o->tlvs.n);
    l->slots[slot] = c;
    l->clients_n++;
    list_push_back(&l->clients, &c->all);
    return c;
}

/* The last callback; what the client owed either way is settled (SLUICE
 * section 8). */
void psb_client_finish(psb_client_t *c, int code, struct str reason, int cause)
{
    struct psb_link *l = c->link;

    c->state = PSB_CLOSED;
    psb_client_tell_state(c);
    c->gone = true;
    if (c->app->h.on_close)
        c->app->h.on_close(c, code, psb_buf_of(reason), cause, c->app->app.ud);
    l->credit += c->unacked;
    l->unread -= c->unread;
    l->owed -= c->owed;
    list_remove(&c->all);
    list_remove(&c->owing);
    list_remove(&c->blocked);
    list_remove(&c->leaving);
    l->slots[sluice_cid_slot(c->cid)] = NULL;
    l->clients_n--;
    buf_fini(&c->joins);
    buf_fini(&c->trailers);
    buf_fini(&c->partial);
    buf_fini(&c->queue);
    buf_fini(&c->waiting);
    free(c);
    if (!l->dead)
        psb_link_credit(l);
}

/* ---- what OPEN said ---- */

static int next_header(struct str tlvs, size_t *it, psb_buf *name,
                       psb_buf *value)
{
    struct str rest = str_slice(tlvs, *it, tlvs.n), n, v;
    struct sluice_tlv t;

    while (sluice_tlv_next(&rest, &t) == 1) {
        *it = tlvs.n - rest.n;
        if (t.tag == SLUICE_TAG_HEADER &&
            sluice_tlv_get_header(&t, &n, &v) == 0) {
            *name = psb_buf_of(n);
            *value = psb_buf_of(v);
            return 1;
        }
    }
    *it = tlvs.n;
    return 0;
}

int psb_header_next(const psb_client_t *c, size_t *it, psb_buf *name,
                    psb_buf *value)
{
    return next_header(c->tlvs, it, name, value);
}

int psb_trailer_next(const psb_client_t *c, size_t *it, psb_buf *name,
                     psb_buf *value)
{
    return next_header(buf_str(&c->trailers), it, name, value);
}

psb_buf psb_header(const psb_client_t *c, const char *name)
{
    psb_buf n, v;
    size_t it = 0;

    while (psb_header_next(c, &it, &n, &v))
        if (str_eq_nocase(str_n(n.p, n.n), str_c(name)))
            return v;
    return (psb_buf){NULL, 0};
}

static psb_buf named(const psb_client_t *c, enum sluice_tag tag,
                     const char *name)
{
    struct str rest = c->tlvs, n, v;
    struct sluice_tlv t;

    while (sluice_tlv_next(&rest, &t) == 1)
        if (t.tag == tag && sluice_tlv_get_named(&t, &n, &v) == 0 &&
            str_eq(n, str_c(name)))
            return psb_buf_of(v);
    return (psb_buf){NULL, 0};
}

psb_buf psb_capture(const psb_client_t *c, const char *name)
{
    return named(c, SLUICE_TAG_CAPTURE, name);
}

psb_buf psb_var(const psb_client_t *c, const char *name)
{
    return named(c, SLUICE_TAG_VAR, name);
}

psb_buf psb_offer(const psb_client_t *c, size_t i)
{
    struct str rest = c->tlvs;
    struct sluice_tlv t;

    while (sluice_tlv_next(&rest, &t) == 1)
        if (t.tag == SLUICE_TAG_SUBPROTOCOL && i-- == 0)
            return psb_buf_of(t.value);
    return (psb_buf){NULL, 0};
}

psb_cid psb_id(const psb_client_t *c)
{
    return c->cid;
}

psb_t *psb_backend(const psb_client_t *c)
{
    return c->link->psb;
}

void psb_set_data(psb_client_t *c, void *data)
{
    c->data = data;
}

void *psb_data(const psb_client_t *c)
{
    return c->data;
}

int psb_state(const psb_client_t *c)
{
    if (c->state == PSB_CLOSED)
        return PSB_STATE_CLOSED;
    if (c->opened)
        return PSB_STATE_CONNECTED;
    return c->answered ? PSB_STATE_HANDSHAKING : PSB_STATE_OPENING;
}

void psb_client_tell_state(psb_client_t *c)
{
    int now = psb_state(c), before = c->told_state;

    if (c->http || now == before)
        return;
    /* Nothing is left out on the way. */
    if (now == PSB_STATE_CONNECTED && before == PSB_STATE_OPENING) {
        now = PSB_STATE_HANDSHAKING;
        c->told_state = (uint8_t)now;
        if (c->app->h.on_state)
            c->app->h.on_state(c, now, before, c->app->app.ud);
        before = now;
        now = psb_state(c);
    }
    c->told_state = (uint8_t)now;
    if (c->app->h.on_state)
        c->app->h.on_state(c, now, before, c->app->app.ud);
}

int psb_ready_state(const psb_client_t *c)
{
    return c->state;
}

size_t psb_buffered(const psb_client_t *c)
{
    return c->queue_payload;
}

uint64_t psb_bytes_received(const psb_client_t *c)
{
    return c->bytes_received;
}

/* ---- all clients ---- */

psb_client_t *psb_find(psb_t *b, psb_cid cid)
{
    LIST_EACH(item, after, &b->links)
    {
        struct psb_link *l = CONTAINER(item, struct psb_link, all);
        psb_client_t *c = psb_client_at(l, cid);
        if (c && !c->gone)
            return c;
    }
    errno = ENOENT;
    return NULL;
}

static bool is_of(const psb_client_t *c, int app)
{
    psb_t *b = c->link->psb;
    return app == 0 ||
           (app > 0 && (size_t)app <= b->apps_n && c->app == b->apps[app - 1]);
}

void psb_foreach(psb_t *b, int app, int (*each)(psb_client_t *, void *),
                 void *arg)
{
    LIST_EACH(item, after, &b->links)
    {
        struct psb_link *l = CONTAINER(item, struct psb_link, all);
        LIST_EACH(member, next, &l->clients)
        {
            psb_client_t *c = CONTAINER(member, psb_client_t, all);
            if (!c->gone && is_of(c, app) && each(c, arg))
                return;
        }
    }
}

size_t psb_count(const psb_t *b, int app)
{
    size_t n = 0;

    LIST_EACH(item, after, &b->links)
    {
        struct psb_link *l = CONTAINER(item, struct psb_link, all);
        LIST_EACH(member, next, &l->clients)
        {
            psb_client_t *c = CONTAINER(member, psb_client_t, all);
            n += !c->gone && is_of(c, app);
        }
    }
    return n;
}
