/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>

#include "base/check.h"
#include "internal.h"
#include "sluice/http.h"

/* ---- a request comes ---- */

static bool waits_for_continue(const psb_client_t *c)
{
    psb_buf expect = psb_header(c, "Expect");
    return expect.p &&
           str_eq_nocase(str_n(expect.p, expect.n), STR("100-continue"));
}

/* Nobody here answers requests. */
static void refuse(struct psb_link *l, uint64_t cid, unsigned status)
{
    struct sluice_http_res r = {
        .type = SLUICE_HTTP_RES, .cid = cid, .status = (uint16_t)status};
    sluice_http_res_put(&l->out, &r);
}

int psb_http_begin(struct psb_link *l, const struct sluice_open *o,
                   struct psb_app_entry *app)
{
    if (!app || !app->h.on_http || l->psb->stopping) {
        refuse(l, o->cid, app && app->h.on_http ? 503 : 404);
        return 0;
    }
    psb_client_t *c = psb_client_create(l, o, app);
    if (!c)
        return -SLUICE_ERROR_BAD_STATE;
    c->http = true;
    c->body_coming = o->more;
    c->state = PSB_OPEN;
    psb_info info = psb_client_info(c, o);
    app->h.on_http(c, &info, o->more, app->app.ud);
    if (c->body_coming && !c->answered && c->state == PSB_OPEN &&
        waits_for_continue(c))
        psb_http_inform(c, 100, NULL);
    return 0;
}

static void give_body(psb_client_t *c, struct str data, bool more)
{
    c->body_coming = more;
    if (c->state != PSB_CLOSED && c->app->h.on_http_body)
        c->app->h.on_http_body(c, psb_buf_of(data), more, c->app->app.ud);
}

static int on_body(psb_client_t *c, const struct sluice_frame *f)
{
    struct str data = sluice_payload(f);

    if (!c->body_coming)
        return -SLUICE_ERROR_BAD_STATE;
    if (c->unread >= c->window_in)
        return -SLUICE_ERROR_FLOW_CONTROL;
    c->unread += (uint32_t)data.n;
    c->link->unread += data.n;
    c->bytes_received += data.n;
    give_body(c, data, f->header.flags & SLUICE_FLAG_MORE);
    if (data.n)
        psb_client_owe(c, data.n);
    return 0;
}

static int on_done(psb_client_t *c, const struct sluice_frame *f)
{
    struct sluice_http_done d;

    int rc = sluice_http_done_get(&d, f);
    if (rc == 0)
        psb_client_finish(c, 0, (struct str){0},
                          d.complete ? PSB_CAUSE_CLIENT : PSB_CAUSE_EOF);
    return rc;
}

static int on_reset(psb_client_t *c, const struct sluice_frame *f)
{
    struct sluice_http_reset r;

    int rc = sluice_http_reset_get(&r, f);
    if (rc == 0)
        psb_client_finish(c, 0, r.text, PSB_CAUSE_EOF);
    return rc;
}

int psb_http_dispatch(psb_client_t *c, const struct sluice_frame *f)
{
    unsigned type = f->header.type;

    if (type == SLUICE_HTTP_BODY)
        return on_body(c, f);
    if (type == SLUICE_HTTP_RESET)
        return on_reset(c, f);
    if (type == SLUICE_HTTP_DONE)
        return on_done(c, f);
    if (type != SLUICE_HTTP_TRAILERS || !c->body_coming)
        return -SLUICE_ERROR_BAD_STATE;
    struct sluice_http_trailers t;
    int rc = sluice_http_trailers_get(&t, f);
    if (rc < 0)
        return rc;
    buf_put_str(&c->trailers, t.tlvs);
    give_body(c, (struct str){0}, false);
    return 0;
}

/* ---- the response ---- */

static int may_respond(const psb_client_t *c)
{
    if (!c->http)
        return psb_refuse(EINVAL);
    if (c->state != PSB_OPEN || c->link->dead || c->gone)
        return psb_refuse(EPIPE);
    return 0;
}

static int put_head(psb_client_t *c, enum sluice_type type, int status,
                    const char *const *headers, bool more)
{
    struct buf tlvs = {0};
    struct sluice_http_res r = {
        .type = type, .cid = c->cid, .status = (uint16_t)status, .more = more};
    bool ok = psb_put_headers(&tlvs, headers) &&
              tlvs.n + 4 <= c->link->peer_max_frame;

    if (ok) {
        r.tlvs = buf_str(&tlvs);
        sluice_http_res_put(&c->link->out, &r);
        psb_link_dirty(c->link);
    }
    buf_fini(&tlvs);
    return ok ? 0 : psb_refuse(EINVAL);
}

int psb_http_inform(psb_client_t *c, int status, const char *const *headers)
{
    if (may_respond(c) == -1)
        return -1;
    if (c->answered)
        return psb_refuse(EALREADY);
    if (status != 100 && status != 102 && status != 103)
        return psb_refuse(EINVAL);
    return put_head(c, SLUICE_HTTP_INFO, status, headers, false);
}

int psb_http_respond(psb_client_t *c, int status, const char *const *headers,
                     const void *p, size_t n, int more)
{
    if (may_respond(c) == -1)
        return -1;
    if (c->answered)
        return psb_refuse(EALREADY);
    if (status < 200 || status > 599)
        return psb_refuse(EINVAL);
    if (put_head(c, SLUICE_HTTP_RES, status, headers, n || more) == -1)
        return -1;
    c->answered = true;
    if (n)
        return psb_http_write(c, p, n, more);
    if (!more)
        c->state = PSB_CLOSING;
    return 0;
}

int psb_http_write(psb_client_t *c, const void *p, size_t n, int more)
{
    if (may_respond(c) == -1)
        return -1;
    if (!c->answered)
        return psb_refuse(ENOTCONN);
    int result = psb_send_body(c, p, n, !more);
    if (result != -1 && !more)
        c->state = PSB_CLOSING;
    return result;
}

int psb_http_trailers(psb_client_t *c, const char *const *headers)
{
    struct buf tlvs = {0};
    int result = 0;

    if (may_respond(c) == -1)
        return -1;
    if (!c->answered)
        return psb_refuse(ENOTCONN);
    if (psb_put_headers(&tlvs, headers) && tlvs.n <= c->link->peer_max_frame) {
        struct sluice_http_trailers t = {.cid = c->cid, .tlvs = buf_str(&tlvs)};
        result = psb_send_trailers(c, &t);
        c->state = PSB_CLOSING;
    } else {
        result = psb_refuse(EINVAL);
    }
    buf_fini(&tlvs);
    return result;
}
