/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/check.h"
#include "bridge/loss.h"
#include "bridge/session.h"
#include "events.h"
#include "options.h"

enum loss_mode session_loss_mode(const struct session *s)
{
    if (s->on_loss != SESSION_LOSS_POOL)
        return (enum loss_mode)s->on_loss;
    return s->pool->conf->set.loss_mode;
}

/* ---- coming and going ---- */

static bool come(struct session *s, struct link *l, struct app *app)
{
    const struct pool_settings *set = &s->conf->pool->set;

    s->window_in =
        (uint32_t)(set->client_window < l->peer_window ? set->client_window
                                                       : l->peer_window);
    s->window_out = (uint32_t)set->reply_window;
    s->at_least_once = l->features & SLUICE_FEATURE_ALO &&
                       l->features & SLUICE_FEATURE_RESUME && !s->forgetful;
    s->closed_sent = false;
    if (!link_client_bind(session_client(s), l, app))
        return false;
    if (!session_is_over(s) && !list_is_linked(&s->in_pool))
        list_push_back(&s->pool->sessions, &s->in_pool);
    return true;
}

bool session_bind(struct session *s, struct link *l, struct app *app)
{
    if (!come(s, l, app))
        return false;
    session_begin_options(s, app);
    return true;
}

/* What is kept for clients that are gone is bounded by the link. */
static void remain(struct session *s)
{
    s->remains = (uint32_t)(kept_bytes(s) + sizeof *s);
    s->link->remains_bytes += s->remains;
}

void session_bind_again(struct session *s, struct link *l, struct app *app)
{
    check(s->cid && !s->link);
    come(s, l, app);
    s->keep->max_frame = l->peer_max_frame;
    s->keeping = true;
    if (session_is_over(s))
        remain(s);
}

static void leave(struct session *s)
{
    s->link->remains_bytes -= s->remains;
    s->remains = 0;
    link_client_leave(session_client(s));
}

void session_unbind(struct session *s)
{
    leave(s);
    link_client_release(session_client(s));
}

/* ---- its end ---- */

static void tell_backend(struct session *s)
{
    const struct ending_row *row = ending_row((enum ending)s->ending);
    struct sluice_closed c = {
        .cid = s->cid,
        .code = s->close_code,
        .cause = (uint8_t)row->cause,
        .messages_in = s->seq_in,
        .messages_out = s->seq_flushed,
        .lost_out = session_seq_out(s) - s->seq_flushed,
    };
    if (s->close_seen && s->close_sent)
        c.flags |= SLUICE_CLOSED_CLEAN;
    if (s->by_backend)
        c.flags |= SLUICE_CLOSED_BY_BACKEND;
    c.bytes_in = s->reader.wire_bytes;
    c.bytes_out = session_bytes_out(s);
    if (s->stream)
        c.error = (uint16_t)s->stream->error;
    if (s->close_reason)
        c.reason = str_n(s->close_reason->bytes, s->close_reason->n);
    events_state(s, TOLD_CLOSED, s->accepted ? TOLD_CONNECTED : TOLD_OPENING);
    sluice_closed_put(&s->link->scratch, &c);
    link_send_scratch(s->link);
}

/* Has a backend to hear of its last messages and its end, also when the one it
 * has is lost?  CLOSED is acknowledged like a message (SLUICE section 9). */
static bool is_to_remain(const struct session *s)
{
    const struct link *l = s->link;

    if (!s->at_least_once || !s->accepted || bridge.draining ||
        s->pool->retired || session_loss_mode(s) == LOSS_CLOSE)
        return false;
    return !l || l->remains_bytes + kept_bytes(s) + sizeof *s <= l->window_in;
}

void session_leave_backend(struct session *s)
{
    bool parked = keep_loss(s->keep);

    if (!s->link && !parked) {
        link_client_release(session_client(s));
        return;
    }
    if (is_to_remain(s)) {
        session_keep_rest(s);
        if (s->link)
            remain(s);
        return;
    }
    if (s->link) {
        tell_backend(s);
        session_unbind(s);
    } else {
        loss_unpark(s);
        link_client_release(session_client(s));
    }
}

void session_tell_closed(struct session *s)
{
    if (s->closed_sent)
        return;
    s->closed_sent = true;
    tell_backend(s);
    link_client_settle(session_client(s));
    if (!s->at_least_once)
        session_forget(s);
}

void session_forget(struct session *s)
{
    if (s->link)
        session_unbind(s);
    else if (keep_loss(s->keep))
        loss_unpark(s);
    link_client_release(session_client(s));
    session_bury_if_done(s);
}

int session_acked(struct session *s, uint32_t seq)
{
    if (s->closed_sent && seq == s->seq_in + 1) {
        session_forget(s);
        return 0;
    }
    int rc = kept_acked(s, seq);
    if (rc == 0)
        session_wake(s);
    return rc;
}

/* ---- its backend is gone ---- */

/* Nobody has answered the handshake yet. */
static void lost_early(struct session *s)
{
    bool asked = s->state == SESSION_OPENING || s->stream;

    if (asked && s->request && !s->offered_again) {
        s->offered_again = true;
        if (!upgrade_offer(s))
            return;
    }
    session_fail(s, ENDING_BACKEND_LOST);
}

static bool may_wait(const struct session *s)
{
    return s->keep && !bridge.draining && !s->pool->retired &&
           session_loss_mode(s) != LOSS_CLOSE;
}

/* Also a session that is over and of which not all is acknowledged. */
static void park(struct session *s, struct link *l, bool moved)
{
    s->moving = s->notify = s->held = s->closed_sent = false;
    kept_lost(s);
    if (s->discarding)
        session_discard(s);
    loss_park(s, l, moved);
    if (session_is_over(s))
        return;
    session_drop_unfinished(s);
    if (!s->out_open) {
        s->out_opcode = 0;
        s->out_raw = false;
    }
    if (s->out_open)
        session_fail(s, ENDING_LOST_INSIDE);
    else
        session_wake(s);
}

void session_lost(struct session *s)
{
    struct link *l = s->link;

    leave(s);
    if (!s->accepted)
        lost_early(s);
    else if (may_wait(s))
        park(s, l, false);
    else if (session_is_over(s))
        session_forget(s);
    else
        session_fail(s, ENDING_BACKEND_LOST);
}

/* ---- it moves ---- */

bool session_move(struct session *s)
{
    /* Inside a message it would be cut; its end comes here again. */
    bool busy = s->in_started || (s->keeping && !s->at_least_once);

    if (!s->keep || !s->accepted || s->moving || busy ||
        s->state != SESSION_CONNECTED ||
        !(s->link->features & SLUICE_FEATURE_MOVE) || !loss_has_home(s))
        return false;
    s->moving = s->keeping = true;
    link_send_empty(s->link, SLUICE_DETACH, 0, s->cid);
    return true;
}

int session_detached(struct session *s)
{
    struct link *l = s->link;

    if (!s->moving)
        return -SLUICE_ERROR_BAD_STATE;
    leave(s);
    park(s, l, true);
    return 0;
}
