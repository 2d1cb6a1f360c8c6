/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>

#include "base/check.h"
#include "internal.h"
#include "sluice/ack.h"
#include "sluice/app.h"
#include "sluice/client.h"
#include "sluice/close.h"
#include "sluice/hello.h"
#include "sluice/link.h"

/* ---- the link ---- */

static int on_hello(struct psb_link *l, const struct sluice_frame *f)
{
    struct sluice_hello h;
    psb_t *b = l->psb;

    int rc = sluice_hello_get(&h, f);
    if (rc < 0)
        return rc;
    if (h.role != SLUICE_ROLE_GATEWAY)
        return -SLUICE_ERROR_HANDSHAKE;
    if (h.flags & SLUICE_HELLO_HEALTH_CHECK) {
        psb_link_flush(l);
        psb_link_lose(l, PSB_CAUSE_SHUTDOWN);
        return 0;
    }
    l->process = h.process;
    l->peer_max_frame = h.max_frame;
    l->credit = h.link_window;
    l->reader.features = h.features & PSB_FEATURES;
    l->ready = true;
    for (size_t i = 0; i < b->apps_n; i++) {
        struct sluice_register r = {.token = (uint16_t)(i + 1),
                                    .tlvs = buf_str(&b->apps[i]->tlvs)};
        sluice_register_put(&l->out, &r);
    }
    if (b->debug)
        psb_link_set_log(l);
    if (!b->stopping)
        sluice_empty_put(&l->out, SLUICE_READY, 0, 0);
    psb_link_put_claims(l);
    return 0;
}

static int on_registered(struct psb_link *l, const struct sluice_frame *f)
{
    struct sluice_registered r;

    int rc = sluice_registered_get(&r, f);
    if (rc < 0)
        return rc;
    if (l->registered_n == l->psb->apps_n)
        return -SLUICE_ERROR_PROTOCOL;
    l->app_ids[l->registered_n++] = r.app_id;
    if (l->psb->apps[l->registered_n - 1]->withdrawn)
        psb_link_withdraw(l, l->registered_n - 1);
    if (r.app_id == 0)
        err_set(&l->psb->err, "an app was refused: %.*s", STR_ARG(r.text));
    return 0;
}

static int on_keepalive(struct psb_link *l, const struct sluice_frame *f)
{
    struct sluice_keepalive k;

    int rc = sluice_keepalive_get(&k, f);
    if (rc == 0 && !k.reply) {
        k.reply = true;
        sluice_keepalive_put(&l->out, &k);
    }
    return rc;
}

static int on_error(struct psb_link *l, const struct sluice_frame *f)
{
    struct sluice_error_frame e;

    int rc = sluice_error_get(&e, f);
    if (rc < 0)
        return rc;
    if (e.offending_type == SLUICE_STATS_REQ) {
        psb_on_stats_error(l, e.cid);
        return 0;
    }
    psb_client_t *c = e.cid ? psb_client_at(l, e.cid) : NULL;
    if (c && c->app->h.on_error) {
        char text[256];
        size_t n = e.text.n < sizeof text - 1 ? e.text.n : sizeof text - 1;
        memcpy(text, e.text.p, n);
        text[n] = '\0';
        c->app->h.on_error(c, e.code, text, c->app->app.ud);
    }
    if (e.severity == SLUICE_SEVERITY_LINK)
        psb_link_lose(l, PSB_CAUSE_LINK_LOST);
    return 0;
}

/* The gateway gives credit back (SLUICE section 8). */
static int on_ack(struct psb_link *l, const struct sluice_frame *f)
{
    struct str rest = sluice_payload(f);
    struct sluice_ack a;

    int rc = sluice_ack_check(f);
    if (rc < 0)
        return rc;
    while (sluice_ack_next(&rest, &a)) {
        psb_client_t *c = psb_client_at(l, a.cid);
        if (!c)
            continue; /* it races with its CLOSED */
        if (a.bytes > c->unacked)
            return -SLUICE_ERROR_PROTOCOL;
        c->unacked -= a.bytes;
        c->credit += a.bytes;
        l->credit += a.bytes;
        if (a.seq != c->seq_flushed) {
            c->seq_flushed = a.seq;
            if (c->app->h.on_flushed)
                c->app->h.on_flushed(c, a.seq, c->app->app.ud);
        }
        psb_client_credit(c);
    }
    psb_link_credit(l);
    return 0;
}

/* ---- a client begins ---- */

static struct psb_app_entry *app_of(struct psb_link *l,
                                    const struct sluice_open *o)
{
    psb_t *b = l->psb;
    struct str name = sluice_tlv_find(o->tlvs, SLUICE_TAG_APP);

    for (size_t i = 0; i < b->apps_n; i++)
        if (o->app_id && l->app_ids[i] == o->app_id)
            return b->apps[i];
    for (size_t i = 0; i < b->apps_n; i++)
        if (name.p && str_eq(name, str_c(b->apps[i]->app.name)))
            return b->apps[i];
    return b->apps_n == 1 ? b->apps[0] : NULL;
}

static psb_buf text_of(const psb_client_t *c, enum sluice_tag tag)
{
    return psb_buf_of(sluice_tlv_find(c->tlvs, tag));
}

psb_info psb_client_info(const psb_client_t *c, const struct sluice_open *o)
{
    return (psb_info){
        .cid = o->cid,
        .ws_version = o->ws_version,
        .http_version = o->http_version,
        .app_id = o->app_id,
        .tls = (o->flags & SLUICE_OPEN_TLS) != 0,
        .binary_ok = (o->flags & SLUICE_OPEN_BINARY_OK) != 0,
        .already_open = (o->flags & SLUICE_OPEN_ALREADY_OPEN) != 0,
        .by_proxy = (o->flags & SLUICE_OPEN_TRUSTED_ADDRESS) != 0,
        .method = text_of(c, SLUICE_TAG_METHOD),
        .target = text_of(c, SLUICE_TAG_TARGET),
        .path = text_of(c, SLUICE_TAG_PATH),
        .host = psb_header(c, "Host"),
        .origin = text_of(c, SLUICE_TAG_ORIGIN),
        .remote_addr = text_of(c, SLUICE_TAG_REMOTE_ADDR),
        .local_addr = text_of(c, SLUICE_TAG_LOCAL_ADDR),
        .location = text_of(c, SLUICE_TAG_LOCATION),
        .app = text_of(c, SLUICE_TAG_APP),
        .route = text_of(c, SLUICE_TAG_ROUTE),
        .extension = text_of(c, SLUICE_TAG_EXTENSION),
        .remote_port = o->remote_port,
        .local_port = o->local_port,
        .max_message = o->max_message,
        .t_us = o->t_us,
    };
}

/* The best of the app's protocols that was offered, or NULL. */
static const char *best_protocol(const psb_client_t *c)
{
    for (size_t i = 0; i < c->app->protocols_n; i++) {
        psb_buf offer;
        for (size_t k = 0; (offer = psb_offer(c, k)).p; k++)
            if (str_eq(str_n(offer.p, offer.n), str_c(c->app->protocols[i])))
                return c->app->protocols[i];
    }
    return NULL;
}

static void ask(psb_client_t *c, const struct sluice_open *o)
{
    psb_info info = psb_client_info(c, o);
    int verdict = PSB_ACCEPT;

    if (c->app->withdrawn) {
        psb_reject(c, 0, NULL, (psb_buf){NULL, 0}, NULL);
        return;
    }
    if (c->app->h.on_open)
        verdict = c->app->h.on_open(c, &info, c->app->app.ud);
    if (c->answered || verdict == PSB_LATER)
        return;
    if (verdict == PSB_ACCEPT)
        psb_accept(c, best_protocol(c), NULL);
    else if (verdict == PSB_PASS)
        psb_reject(c, 0, NULL, (psb_buf){NULL, 0}, NULL);
    else if (psb_reject(c, verdict, NULL, (psb_buf){NULL, 0}, NULL) == -1)
        psb_reject(c, 500, NULL, (psb_buf){NULL, 0},
                   "no status to refuse with");
}

static void decide(psb_client_t *c, const struct sluice_open *o)
{
    psb_client_tell_state(c);
    ask(c, o);
    psb_client_tell_state(c);
}

static int on_open(struct psb_link *l, const struct sluice_frame *f)
{
    struct sluice_open o;

    int rc = sluice_open_get(&o, f);
    if (rc < 0)
        return rc;
    if (psb_client_at(l, o.cid))
        return -SLUICE_ERROR_BAD_STATE;
    struct psb_app_entry *app = app_of(l, &o);
    if (o.type == SLUICE_HTTP_REQ)
        return psb_http_begin(l, &o, app);
    if (o.type == SLUICE_RESUME)
        return psb_client_resume(l, &o, app);
    if (!app || l->psb->stopping) {
        struct sluice_reject r = {.cid = o.cid, .status = app ? 503 : 404};
        sluice_reject_put(&l->out, &r);
        return 0;
    }
    psb_client_t *c = psb_client_create(l, &o, app);
    if (!c)
        return -SLUICE_ERROR_BAD_STATE;
    decide(c, &o);
    return 0;
}

/* ---- a client speaks ---- */

void psb_client_owe(psb_client_t *c, size_t n)
{
    struct psb_link *l = c->link;

    c->owed += (uint32_t)n;
    l->owed += n;
    if (c->owed >= c->window_in / 2) {
        list_remove(&c->owing);
        list_push_back(&l->urgent, &c->owing);
    } else if (!list_is_linked(&c->owing)) {
        if (list_is_empty(&l->owing))
            l->owing_since_ms = l->psb->now_ms;
        list_push_back(&l->owing, &c->owing);
    }
}

static void give_up(psb_client_t *c, int code, unsigned type, uint16_t ws_code)
{
    struct sluice_error_frame e = {
        .cid = c->cid,
        .code = (uint16_t)code,
        .offending_type = (uint8_t)type,
        .severity = SLUICE_SEVERITY_CLIENT,
        .ws_close_code = ws_code,
        .text = str_c(sluice_error_name((unsigned)code))};
    sluice_error_put(&c->link->out, &e);
    psb_terminate(c);
}

/* Pieces are put together up to what the gateway said is the maximum. */
static void take_message(psb_client_t *c, struct str data, bool first,
                         bool last, unsigned type)
{
    const psb_handlers *h = &c->app->h;
    int binary = c->in_opcode == 2;

    if (first && last) {
        if (h->on_message)
            h->on_message(c, binary, psb_buf_of(data), c->seq_in, c->replay,
                          c->app->app.ud);
        return;
    }
    if (c->max_message && c->partial.n + data.n > c->max_message) {
        give_up(c, SLUICE_ERROR_MESSAGE_TOO_BIG, type, 1009);
        return;
    }
    buf_put_str(&c->partial, data);
    if (!last)
        return;
    struct buf whole = c->partial;
    c->partial = (struct buf){0};
    if (h->on_message)
        h->on_message(c, binary, (psb_buf){whole.p, whole.n}, c->seq_in,
                      c->replay, c->app->app.ud);
    buf_fini(&whole);
}

static int on_data(psb_client_t *c, const struct sluice_frame *f)
{
    bool first = f->header.type != SLUICE_CONT;
    bool last = !(f->header.flags & SLUICE_FLAG_MORE);
    struct str data = sluice_payload(f);

    if (first == (c->in_opcode != 0) || c->unread >= c->window_in)
        return first == (c->in_opcode != 0) ? -SLUICE_ERROR_BAD_STATE
                                            : -SLUICE_ERROR_FLOW_CONTROL;
    c->unread += (uint32_t)data.n;
    c->link->unread += data.n;
    /* On the wire it was so much more, or less when it came compressed. */
    c->bytes_received += data.n + (uint64_t)(int64_t)(int16_t)f->header.aux;
    if (first) {
        c->in_opcode = f->header.type == SLUICE_TEXT ? 1 : 2;
        c->seq_in++;
        c->replay = false;
    }
    c->replay |= (f->header.flags & SLUICE_FLAG_REPLAY) != 0;
    if (c->state != PSB_CLOSED) {
        if (c->app->h.on_fragment)
            c->app->h.on_fragment(c, c->in_opcode, psb_buf_of(data), first,
                                  last, c->app->app.ud);
        else
            take_message(c, data, first, last, f->header.type);
    }
    if (last)
        c->in_opcode = 0;
    psb_client_took(c, data.n, last);
    return 0;
}

static int on_ping(psb_client_t *c, const struct sluice_frame *f)
{
    struct sluice_ping p;
    const psb_handlers *h = &c->app->h;

    int rc = sluice_ping_get(&p, f);
    if (rc < 0)
        return rc;
    if (p.type == SLUICE_PING && h->on_ping)
        h->on_ping(c, psb_buf_of(p.data), c->app->app.ud);
    else if (p.type == SLUICE_PONG && h->on_pong)
        h->on_pong(c, psb_buf_of(p.data), c->app->app.ud);
    return 0;
}

static int on_closed(psb_client_t *c, const struct sluice_frame *f)
{
    struct sluice_closed closed;

    int rc = sluice_closed_get(&closed, f);
    if (rc < 0)
        return rc;
    psb_client_ack_end(c);
    c->bytes_received = closed.bytes_in;
    psb_client_finish(c, closed.code, closed.reason, closed.cause);
    return 0;
}

static void on_opened(psb_client_t *c)
{
    c->opened = true;
    psb_client_tell_state(c);
    if (c->app->h.on_opened && c->state != PSB_CLOSED)
        c->app->h.on_opened(c, c->app->app.ud);
}

static int on_http_frame(psb_client_t *c, const struct sluice_frame *f)
{
    int rc = psb_http_dispatch(c, f);

    if (rc < 0 && rc != -SLUICE_ERROR_PROTOCOL && c->state != PSB_CLOSED) {
        give_up(c, -rc, f->header.type, 0);
        return 0;
    }
    return rc;
}

static int on_client_frame(struct psb_link *l, const struct sluice_frame *f)
{
    psb_client_t *c = psb_client_at(l, f->header.cid);
    unsigned type = f->header.type;

    if (!c)
        return 0; /* we had no app for it, or it has left */
    if (c->http)
        return on_http_frame(c, f);
    if (type == SLUICE_CLOSED)
        return on_closed(c, f);
    if (!c->answered)
        return -SLUICE_ERROR_BAD_STATE;
    int rc = 0;
    if (c->tunnel)
        rc = psb_tunnel_dispatch(c, f);
    else if (type == SLUICE_OPENED)
        on_opened(c);
    else if (type == SLUICE_PING || type == SLUICE_PONG)
        rc = on_ping(c, f);
    else if (type == SLUICE_DETACH)
        rc = psb_client_detach(c);
    else if (type == SLUICE_TEXT || type == SLUICE_BINARY ||
             type == SLUICE_CONT)
        rc = on_data(c, f);
    else if (type != SLUICE_CLOSE)
        rc = -SLUICE_ERROR_BAD_STATE;
    if (rc < 0 && rc != -SLUICE_ERROR_PROTOCOL && c->state != PSB_CLOSED) {
        give_up(c, -rc, type, 1011);
        return 0;
    }
    return rc;
}

/* 0, or a negated code that is fatal to the link. */
int psb_dispatch(struct psb_link *l, const struct sluice_frame *f)
{
    switch ((enum sluice_type)f->header.type) {
    case SLUICE_HELLO:
        return on_hello(l, f);
    case SLUICE_REGISTERED:
        return on_registered(l, f);
    case SLUICE_KEEPALIVE:
        return on_keepalive(l, f);
    case SLUICE_ERROR:
        return on_error(l, f);
    case SLUICE_BYE:
        psb_link_lose(l, PSB_CAUSE_LINK_LOST);
        return 0;
    case SLUICE_ACK:
        return on_ack(l, f);
    case SLUICE_LOG:
        return psb_on_log(l, f);
    case SLUICE_OPEN:
    case SLUICE_HTTP_REQ:
    case SLUICE_RESUME:
        return on_open(l, f);
    case SLUICE_DETACH:
    case SLUICE_OPENED:
    case SLUICE_CLOSE:
    case SLUICE_CLOSED:
    case SLUICE_TEXT:
    case SLUICE_BINARY:
    case SLUICE_CONT:
    case SLUICE_PING:
    case SLUICE_PONG:
    case SLUICE_HTTP_BODY:
    case SLUICE_HTTP_RESET:
    case SLUICE_HTTP_TRAILERS:
    case SLUICE_HTTP_DONE:
        return on_client_frame(l, f);
    /* Nothing that we have to answer. */
    case SLUICE_RESUME_END:
    case SLUICE_NOP:
    case SLUICE_STATE:
        return 0;
    case SLUICE_GOAWAY:
        return psb_on_goaway(l, f);
    case SLUICE_CONN:
        return psb_on_conn(l, f);
    case SLUICE_CLIENT_ERROR:
        return psb_on_client_error(l, f);
    case SLUICE_STATS:
        return psb_on_stats(l, f);
    case SLUICE_DELIVERED:
        return psb_on_delivered(l, f);
    case SLUICE_PRESENCE:
        return psb_on_presence(l, f);
    case SLUICE_STATS_REQ:
    /* The reader lets none of these through: ours to send, or of a feature
     * that is not in effect. */
    case SLUICE_READY:
    case SLUICE_SETLOG:
    case SLUICE_ACCEPT:
    case SLUICE_REJECT:
    case SLUICE_TERMINATE:
    case SLUICE_SET_STATE:
    case SLUICE_SET_OPTS:
    case SLUICE_DETACHED:
    case SLUICE_RAW:
    case SLUICE_PAUSE:
    case SLUICE_UNPAUSE:
    case SLUICE_SUBSCRIBE:
    case SLUICE_UNSUBSCRIBE:
    case SLUICE_PUBLISH:
    case SLUICE_BROADCAST:
    case SLUICE_MSEND:
    case SLUICE_BSTREAM:
    case SLUICE_PRESENCE_REQ:
    case SLUICE_HTTP_RES:
    case SLUICE_HTTP_INFO:
    case SLUICE_REGISTER:
    case SLUICE_UNREGISTER:
    case SLUICE_CLAIM:
    case SLUICE_UNCLAIM:
        break;
    }
    return -SLUICE_ERROR_UNSUPPORTED;
}
