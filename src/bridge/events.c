/* SPDX-License-Identifier: BSD-2-Clause */
#include "events.h"

#include "bridge/session.h"
#include "logs.h"
#include "serve/accepted.h"
#include "sluice/app.h"

static bool wants(const struct link *l, uint32_t event)
{
    /* It cannot be held back: a client may cause any number of them. */
    if (l->state != LINK_READY || !link_has_credit(l))
        return false;
    for (size_t i = 0; i < l->apps_n; i++)
        if (l->apps[i].live && l->apps[i].event_mask & event)
            return true;
    return false;
}

static void send_if_it_fits(struct link *l, bool ok)
{
    if (ok && l->scratch.n <= SLUICE_HEADER_SIZE + l->peer_max_frame)
        link_send_scratch(l);
    else
        buf_clear(&l->scratch);
}

/* ---- CLIENT_ERROR ---- */

static void tell_refused(struct link *l, struct request *r,
                         enum sluice_error code, struct str why)
{
    char text[ADDRESS_TEXT_MAX];
    struct str ip = address_ip_text(request_remote(r), text);
    struct buf tlvs = {0};
    struct sluice_client_error e = {.code = (uint16_t)code};

    bool ok = sluice_tlv_put(&tlvs, SLUICE_TAG_REASON, why) &&
              sluice_tlv_put(&tlvs, SLUICE_TAG_REMOTE_ADDR, ip) &&
              sluice_tlv_put(&tlvs, SLUICE_TAG_TARGET, r->head.target);
    e.tlvs = buf_str(&tlvs);
    ok = ok && sluice_client_error_put(&l->scratch, &e);
    buf_fini(&tlvs);
    send_if_it_fits(l, ok);
}

static void tell_line(struct link *l, struct request *r, const char *why)
{
    char text[ADDRESS_TEXT_MAX];
    struct str ip = address_ip_text(request_remote(r), text);

    logs_tell(l, NULL, LEVEL_INFO,
              "handshake refused: %s, client: %.*s, target: %.*s", why,
              STR_ARG(ip), STR_ARG(r->head.target));
}

void events_refused(struct str pool, struct request *r, enum sluice_error code,
                    const char *why)
{
    struct pool *p = pool_find(pool);

    if (!p)
        return;
    LIST_EACH(item, after, &p->backends)
    {
        struct link *l = CONTAINER(item, struct backend, in_pool)->link;
        if (!l)
            continue;
        if (logs_wants(l, NULL, LEVEL_INFO))
            tell_line(l, r, why);
        if (wants(l, SLUICE_EVENT_CLIENT_ERROR))
            tell_refused(l, r, code, str_c(why));
    }
}

void events_refused_with(struct str pool, struct request *r, unsigned status)
{
    static const struct {
        unsigned status;
        enum sluice_error code;
        const char *why;
    } rows[] = {
        {400, SLUICE_ERROR_VERSION, "no app takes this version"},
        {401, SLUICE_ERROR_DENIED, "who asks is not known"},
        {403, SLUICE_ERROR_DENIED, "it is forbidden"},
        {404, SLUICE_ERROR_HANDSHAKE, "no app takes this request"},
        {413, SLUICE_ERROR_LIMIT, "its body is too large"},
        {429, SLUICE_ERROR_LIMIT, "there are too many"},
        {431, SLUICE_ERROR_FRAME_TOO_BIG, "it is larger than a frame"},
        {503, SLUICE_ERROR_LIMIT, "there are too many"},
    };

    for (size_t i = 0; i < COUNT(rows); i++)
        if (rows[i].status == status) {
            events_refused(pool, r, rows[i].code, rows[i].why);
            return;
        }
    events_refused(pool, r, SLUICE_ERROR_HANDSHAKE, "it was refused");
}

/* ---- STATE ---- */

void events_state(struct session *s, enum told_state now,
                  enum told_state before)
{
    if (!(s->event_mask & SLUICE_EVENT_STATE) || !s->link)
        return;
    struct sluice_state m = {
        .cid = s->cid, .now = (uint8_t)now, .before = (uint8_t)before};
    sluice_state_put(&s->link->scratch, &m);
    link_send_scratch(s->link);
}

/* ---- CONN ---- */

static bool put_address(struct buf *tlvs, enum sluice_tag tag,
                        const struct address *a)
{
    char text[ADDRESS_TEXT_MAX];
    return sluice_tlv_put(tlvs, tag, address_ip_text(a, text));
}

static void tell_connected(struct link *l, const struct accepted *a)
{
    struct buf tlvs = {0};
    struct sluice_conn c = {.listener = (uint16_t)a->listener};

    bool ok = put_address(&tlvs, SLUICE_TAG_REMOTE_ADDR, a->remote) &&
              put_address(&tlvs, SLUICE_TAG_LOCAL_ADDR, &a->local) &&
              sluice_tlv_put_u16(&tlvs, SLUICE_TAG_REMOTE_PORT,
                                 address_port(a->remote)) &&
              sluice_tlv_put_u16(&tlvs, SLUICE_TAG_LOCAL_PORT,
                                 address_port(&a->local)) &&
              (!a->tls || sluice_tlv_put(&tlvs, SLUICE_TAG_TLS, STR("")));
    c.tlvs = buf_str(&tlvs);
    ok = ok && sluice_conn_put(&l->scratch, &c);
    buf_fini(&tlvs);
    send_if_it_fits(l, ok);
}

static void on_accepted(const struct accepted *a)
{
    LIST_EACH(item, after, &bridge.pools)
    {
        struct pool *p = CONTAINER(item, struct pool, link);
        if (!p->conf->set.conn_events)
            continue;
        LIST_EACH(backend, next, &p->backends)
        {
            struct link *l = CONTAINER(backend, struct backend, in_pool)->link;
            if (l && wants(l, SLUICE_EVENT_CONN))
                tell_connected(l, a);
        }
    }
}

void events_adopt(void)
{
    bool any = false;

    LIST_EACH(item, after, &bridge.pools)
    {
        any |= CONTAINER(item, struct pool, link)->conf->set.conn_events;
    }
    accepted_hook = any ? on_accepted : NULL;
}
