/* SPDX-License-Identifier: BSD-2-Clause */
#include "events.h"

#include "logs.h"

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
    if (ok && l->scratch.n <= SLUICE_HEADER_SIZE + l->peer_max_frame)
        link_send_scratch(l);
    else
        buf_clear(&l->scratch);
}

static void tell_line(struct link *l, struct request *r, const char *why)
{
    char text[ADDRESS_TEXT_MAX];
    struct str ip = address_ip_text(request_remote(r), text);

    logs_tell(l, NULL, LEVEL_INFO,
              "handshake refused: %s, client: %.*s, target: %.*s", why,
              STR_ARG(ip), STR_ARG(r->head.target));
}

void pool_tell_refused(struct str pool, struct request *r,
                       enum sluice_error code, const char *why)
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
