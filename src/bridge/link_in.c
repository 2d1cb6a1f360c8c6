/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/clock.h"
#include "bridge/bstream.h"
#include "bridge/exchange.h"
#include "bridge/session.h"
#include "claim.h"
#include "cross.h"
#include "logs.h"
#include "sluice/hello.h"
#include "stats.h"
#include "tunnel.h"
#include "ws/close.h"

/* ---- frames about the link ---- */

/* RESUME_OF: whose sessions it may have. */
static void take_predecessors(struct link *l, struct str tlvs)
{
    struct sluice_tlv t;

    l->resume_of =
        arena_calloc(l->arena, LINK_PREDECESSORS_MAX * sizeof *l->resume_of);
    while (l->resume_of_n < LINK_PREDECESSORS_MAX &&
           sluice_tlv_next(&tlvs, &t) == 1)
        if (t.tag == SLUICE_TAG_RESUME_OF &&
            sluice_tlv_get_u64(&t, &l->resume_of[l->resume_of_n]) == 0)
            l->resume_of_n++;
}

static int on_hello(struct link *l, const struct sluice_frame *f)
{
    struct sluice_hello h;

    int rc = sluice_hello_get(&h, f);
    if (rc < 0)
        return rc;
    if (h.role == SLUICE_ROLE_GATEWAY || !h.window || !h.link_window)
        return -SLUICE_ERROR_HANDSHAKE;
    if (h.flags & SLUICE_HELLO_HEALTH_CHECK) {
        link_close(l, "it was a health check");
        return 0;
    }
    const struct pool_settings *set = &l->backend->pool->conf->set;
    l->reader.peer = h.role;
    l->features = l->reader.features = h.features & l->features;
    l->peer_max_frame = h.max_frame;
    l->peer_window = h.window;
    l->window_in = h.link_window < set->link_window_in ? h.link_window
                                                       : set->link_window_in;
    l->boot_id = h.epoch;
    l->wants_resume = h.flags & SLUICE_HELLO_WANTS_RESUME;
    take_predecessors(l, h.tlvs);
    if (set->at_least_once && !(l->features & SLUICE_FEATURE_ALO))
        log_warn(link_log(l), "backend can not do \"delivery at_least_once\"");
    l->agent = arena_str(l->arena, sluice_tlv_find(h.tlvs, SLUICE_TAG_AGENT));
    link_set_state(l, LINK_WARMING);
    timer_set(bridge.loop, &l->timer, set->keepalive_ms / 2);
    return 0;
}

static int on_keepalive(struct link *l, const struct sluice_frame *f)
{
    struct sluice_keepalive k;
    int rc = sluice_keepalive_get(&k, f);
    if (rc < 0 || k.reply)
        return rc;
    k.reply = true;
    sluice_keepalive_put(&l->scratch, &k);
    link_send_scratch(l);
    return 0;
}

static int on_goaway(struct link *l, const struct sluice_frame *f)
{
    struct sluice_goaway g;
    int rc = sluice_goaway_get(&g, f);
    if (rc < 0)
        return rc;
    if (g.mode == SLUICE_GOAWAY_FATAL) {
        link_close(l, "backend cannot go on");
        return 0;
    }
    log_info(link_log(l), "backend takes no more clients%s",
             g.mode == SLUICE_GOAWAY_HANDOVER ? " and hands its own over" : "");
    if (l->state == LINK_READY || l->state == LINK_WARMING)
        link_set_state(l, LINK_DRAINING);
    /* It says BYE itself, unless it hangs. */
    if (g.grace_ms)
        l->grace_until_ms = clock_now_ms() + g.grace_ms + LINK_GRACE_MORE_MS;
    if (g.mode == SLUICE_GOAWAY_HANDOVER)
        link_hand_over(l);
    timer_set(bridge.loop, &l->timer, 0);
    return 0;
}

static void close_for_backend(struct session *s, unsigned code)
{
    if (s->stream && !s->close_sent && sluice_close_code_is_legal(code))
        session_send_close(s, code, STR(""));
    session_fail(s, ENDING_BACKEND_FAULT);
}

static int on_error(struct link *l, const struct sluice_frame *f)
{
    struct sluice_error_frame e;
    int rc = sluice_error_get(&e, f);
    if (rc < 0)
        return rc;
    logs_on_error(l, &e);
    if (e.severity == SLUICE_SEVERITY_LINK) {
        link_close(l, "backend reported an error");
    } else if (e.severity == SLUICE_SEVERITY_CLIENT) {
        struct link_client *c = link_client_find(l, e.cid);
        if (c && c->kind == LINK_SESSION)
            close_for_backend((struct session *)c, e.ws_close_code);
        else if (c)
            exchange_fail((struct exchange *)c, 502, SLUICE_ERROR_PROTOCOL, "");
    }
    return 0;
}

static void on_ready(struct link *l)
{
    if (l->state != LINK_WARMING || l->reader.peer != SLUICE_ROLE_BACKEND)
        return;
    if (l->drain_until_ms)
        link_set_state(l, LINK_DRAINING);
    else
        link_set_state(l, LINK_READY);
}

/* A frame that is legal and that we do nothing for. */
static void unsupported(struct link *l, const struct sluice_frame *f)
{
    link_send_error(l, f->header.cid, SLUICE_ERROR_UNSUPPORTED, f->header.type,
                    SLUICE_SEVERITY_INFO, 0, "not supported");
}

/* ---- frames about a client ---- */

static int on_set_opts(struct session *s, const struct sluice_frame *f)
{
    struct sluice_set_opts o;
    int rc = sluice_set_opts_get(&o, f);
    if (rc == 0)
        session_apply_options(s, o.tlvs);
    return rc;
}

/* State and progress in one step (SLUICE section 9). */
static int on_set_state(struct session *s, const struct sluice_frame *f)
{
    struct sluice_set_state m;
    int rc = sluice_set_state_get(&m, f);
    if (rc == 0 && !s->accepted)
        rc = -SLUICE_ERROR_BAD_STATE;
    if (rc == 0)
        rc = keep_state(s, m.blob);
    if (rc == 0 && m.has_ack && s->at_least_once)
        rc = session_acked(s, m.ack_seq);
    return rc;
}

static void hold(struct session *s, bool held)
{
    s->held = held;
    if (!s->stream)
        return;
    if (held)
        stream_pause(s->stream);
    else
        session_wake(s);
}

static int dispatch_client(struct link *l, struct session *s,
                           const struct sluice_frame *f)
{
    enum sluice_type type = f->header.type;

    /* An id outlives its client while a backend has to hear of its end; then
     * only what is kept is anybody's concern. */
    if (session_is_over(s) && type != SLUICE_SET_STATE &&
        type != SLUICE_DETACHED)
        return 0;
    if (s->tunnel)
        return tunnel_take(s, f);
    if (type == SLUICE_TEXT || type == SLUICE_BINARY || type == SLUICE_CONT)
        return session_take_data(s, f);
    if (type == SLUICE_PING || type == SLUICE_PONG)
        return session_take_control(s, f);
    if (type == SLUICE_RAW)
        return session_take_raw(s, f);
    if (type == SLUICE_CLOSE)
        return session_take_close(s, f);
    if (type == SLUICE_ACCEPT)
        return upgrade_accepted(s, f);
    if (type == SLUICE_REJECT)
        return upgrade_rejected(s, f);
    if (type == SLUICE_HTTP_BODY)
        return upgrade_body(s, f);
    if (type == SLUICE_SET_OPTS)
        return on_set_opts(s, f);
    if (type == SLUICE_SET_STATE)
        return on_set_state(s, f);
    if (type == SLUICE_DETACHED)
        return session_detached(s);
    if (type == SLUICE_DETACH) {
        if (!session_move(s))
            link_send_error(l, f->header.cid, SLUICE_ERROR_LIMIT, type,
                            SLUICE_SEVERITY_INFO, 0, "no backend to move to");
        return 0;
    }
    if (type == SLUICE_SUBSCRIBE)
        return session_subscribe(s, f);
    if (type == SLUICE_UNSUBSCRIBE)
        return session_unsubscribe(s, f);
    if (type == SLUICE_TERMINATE)
        session_abort(s, ENDING_TERMINATED);
    else if (type == SLUICE_PAUSE || type == SLUICE_UNPAUSE)
        hold(s, type == SLUICE_PAUSE);
    else
        return -SLUICE_ERROR_BAD_STATE; /* of a request */
    return 0;
}

/* What the backend said about it was wrong, and it has been told. */
static void give_up(struct link_client *c)
{
    if (c->kind == LINK_SESSION)
        session_fail((struct session *)c, ENDING_BACKEND_FAULT);
    else
        exchange_fail((struct exchange *)c, 502, SLUICE_ERROR_PROTOCOL,
                      "refused");
}

static int on_client_frame(struct link *l, const struct sluice_frame *f)
{
    struct link_client *c = link_client_find(l, f->header.cid);

    /* It races with our CLOSED by design (SLUICE section 14), or is about
     * another link's client. */
    if (!c)
        return cross_take(l, f);
    int rc = c->kind == LINK_SESSION
                 ? dispatch_client(l, (struct session *)c, f)
                 : exchange_take((struct exchange *)c, f);
    if (rc == 0 || rc == -SLUICE_ERROR_PROTOCOL)
        return rc;
    uint64_t skipped;
    if (log_limit_pass(&l->noise, &skipped))
        log_err(link_log(l), "%s frame refused: %s",
                sluice_type_name(f->header.type),
                sluice_error_name((unsigned)-rc));
    logs_tell(l, c, LEVEL_ERROR, "%s frame refused: %s",
              sluice_type_name(f->header.type),
              sluice_error_name((unsigned)-rc));
    link_send_error(l, f->header.cid, (enum sluice_error) - rc, f->header.type,
                    SLUICE_SEVERITY_CLIENT, WS_CLOSE_INTERNAL,
                    sluice_error_name((unsigned)-rc));
    if (c->link == l)
        give_up(c);
    return 0;
}

/* ---- all frames ---- */

/* 0, or a negated code that is fatal to the link. */
static int dispatch(struct link *l, const struct sluice_frame *f)
{
    switch ((enum sluice_type)f->header.type) {
    case SLUICE_HELLO:
        return on_hello(l, f);
    case SLUICE_READY:
        on_ready(l);
        return 0;
    case SLUICE_KEEPALIVE:
        return on_keepalive(l, f);
    case SLUICE_GOAWAY:
        return on_goaway(l, f);
    case SLUICE_BYE:
        l->bye = true;
        link_close(l, "backend said goodbye");
        return 0;
    case SLUICE_ERROR:
        return on_error(l, f);
    case SLUICE_LOG:
        return logs_on_log(l, f);
    case SLUICE_NOP:
        return 0;
    case SLUICE_ACK:
        return link_on_ack(l, f);
    case SLUICE_REGISTER:
        return link_register(l, f);
    case SLUICE_UNREGISTER:
        return link_unregister(l, f);
    case SLUICE_BROADCAST:
        return link_broadcast(l, f);
    case SLUICE_MSEND:
        return link_msend(l, f);
    case SLUICE_PUBLISH:
        return link_publish(l, f);
    case SLUICE_BSTREAM:
        return link_bstream(l, f);
    case SLUICE_PRESENCE_REQ:
        return link_presence(l, f);
    case SLUICE_ACCEPT:
    case SLUICE_REJECT:
    case SLUICE_CLOSE:
    case SLUICE_TERMINATE:
    case SLUICE_DETACH:
    case SLUICE_DETACHED:
    case SLUICE_SET_OPTS:
    case SLUICE_SET_STATE:
    case SLUICE_TEXT:
    case SLUICE_BINARY:
    case SLUICE_CONT:
    case SLUICE_PING:
    case SLUICE_PONG:
    case SLUICE_RAW:
    case SLUICE_PAUSE:
    case SLUICE_UNPAUSE:
    case SLUICE_SUBSCRIBE:
    case SLUICE_UNSUBSCRIBE:
    case SLUICE_HTTP_BODY:
    case SLUICE_HTTP_RES:
    case SLUICE_HTTP_INFO:
    case SLUICE_HTTP_RESET:
    case SLUICE_HTTP_TRAILERS:
        return on_client_frame(l, f);
    case SLUICE_STATS_REQ:
        return stats_on_request(l, f);
    case SLUICE_SETLOG:
        logs_on_setlog(l, f);
        return 0;
    case SLUICE_STATS:
        unsupported(l, f);
        return 0;
    /* The reader lets none of these through: ours to send, or of a feature
     * that is not in effect. */
    case SLUICE_OPEN:
    case SLUICE_OPENED:
    case SLUICE_CLOSED:
    case SLUICE_RESUME:
    case SLUICE_RESUME_END:
    case SLUICE_STATE:
    case SLUICE_DELIVERED:
    case SLUICE_PRESENCE:
    case SLUICE_HTTP_REQ:
    case SLUICE_HTTP_DONE:
    case SLUICE_CONN:
    case SLUICE_CLIENT_ERROR:
    case SLUICE_REGISTERED:
        break;
    case SLUICE_CLAIM:
    case SLUICE_UNCLAIM:
        return claim_on_frame(l, f);
    }
    return -SLUICE_ERROR_UNSUPPORTED;
}

void link_on_data(void *owner, struct span *in)
{
    struct link *l = owner;
    struct sluice_frame f;
    int got;

    while ((got = sluice_reader_next(&l->reader, in, &f)) == 1) {
        l->heard_ms = clock_now_ms();
        int rc = dispatch(l, &f);
        if (l->state == LINK_CLOSED)
            return;
        if (rc < 0) {
            link_fail(l, (enum sluice_error) - rc, f.header.type, "refused");
            return;
        }
    }
    if (got < 0)
        link_fail(l, (enum sluice_error) - got, l->reader.bad_type,
                  "malformed");
}
