/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>

#include "internal.h"
#include "sluice/http.h"

/* ---- to the client ---- */

/* A handshake that was not answered, or a request that wants another protocol
 * and is all here: the gateway takes it from no other. */
static int may_accept(const psb_client_t *c)
{
    if (c->link->dead || c->gone || c->state == PSB_CLOSED)
        return psb_refuse(EPIPE);
    if (c->answered)
        return psb_refuse(EALREADY);
    if (!(c->link->reader.features & SLUICE_FEATURE_TUNNEL))
        return psb_refuse(ENOTSUP);
    if (c->already_open ||
        (c->http && (c->body_coming || !psb_header(c, "Upgrade").p)))
        return psb_refuse(EINVAL);
    return 0;
}

int psb_accept_tunnel(psb_client_t *c)
{
    struct sluice_accept a = {.cid = c->cid, .tunnel = true};

    if (may_accept(c) == -1)
        return -1;
    sluice_accept_put(&c->link->out, &a);
    psb_link_dirty(c->link);
    c->answered = c->tunnel = true;
    c->http = false;
    c->state = PSB_OPEN;
    return 0;
}

int psb_tunnel_write(psb_client_t *c, const void *p, size_t n, int more)
{
    if (!c->tunnel)
        return psb_refuse(EINVAL);
    if (c->state != PSB_OPEN || c->link->dead || c->gone)
        return psb_refuse(EPIPE);
    if (!n && more)
        return 0;
    int result = psb_send_body(c, p ? p : "", n, !more);
    if (result != -1 && !more)
        c->state = PSB_CLOSING;
    return result;
}

/* ---- from it ---- */

static int on_bytes(psb_client_t *c, const struct sluice_frame *f)
{
    struct str data = sluice_payload(f);
    int more = f->header.flags & SLUICE_FLAG_MORE;

    if (c->unread >= c->window_in)
        return -SLUICE_ERROR_FLOW_CONTROL;
    c->unread += (uint32_t)data.n;
    c->link->unread += data.n;
    c->bytes_received += data.n;
    if (c->state != PSB_CLOSED && c->app->h.on_tunnel)
        c->app->h.on_tunnel(c, (psb_buf){(const uint8_t *)data.p, data.n},
                            more != 0, c->app->app.ud);
    if (data.n)
        psb_client_owe(c, data.n);
    return 0;
}

int psb_tunnel_dispatch(psb_client_t *c, const struct sluice_frame *f)
{
    if (f->header.type == SLUICE_HTTP_BODY)
        return on_bytes(c, f);
    if (f->header.type != SLUICE_HTTP_RESET)
        return -SLUICE_ERROR_BAD_STATE;
    /* The request was given up before the gateway saw our answer. */
    psb_client_finish(c, 0, (struct str){0}, PSB_CAUSE_LEFT_EARLY);
    return 0;
}
