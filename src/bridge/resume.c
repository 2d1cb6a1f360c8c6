/* SPDX-License-Identifier: BSD-2-Clause */
#include "resume.h"

#include "base/check.h"

static bool put_info(struct buf *out, struct session *s, bool foreign)
{
    struct sluice_resume_info info = {
        .first_seq = kept_first_seq(s),
        .next_out_seq = session_seq_out(s) + 1,
        .unacked = kept_count(s),
    };
    if (foreign)
        info.flags |= SLUICE_RESUME_FOREIGN;
    if (s->keep->truncated)
        info.flags |= SLUICE_RESUME_TRUNCATED;
    if (session_is_over(s))
        info.flags |= SLUICE_RESUME_DEAD;
    return sluice_tlv_put_resume_info(out, &info);
}

static bool put_resume(struct session *s, bool foreign)
{
    const struct keep_more *more = s->keep->more;
    const struct keep_state *state = more ? more->state : NULL;
    struct buf *out = &s->link->scratch;
    struct sluice_open o = {
        .type = SLUICE_RESUME,
        .cid = s->cid,
        .flags = SLUICE_OPEN_ALREADY_OPEN,
        .app_id = link_app_id(s->link, s->app),
        .window_out = s->window_out,
        .window_in = s->window_in,
    };
    size_t begin;

    keep_say(s, &o);
    bool ok = sluice_open_begin(out, &o, &begin);
    ok &= keep_put_tlvs(out, s);
    ok &= put_info(out, s, foreign);
    if (state)
        ok &= sluice_tlv_put(out, SLUICE_TAG_STATE,
                             str_n(state->bytes, state->n));
    for (struct membership *m = s->channels; m; m = m->next)
        ok &= sluice_tlv_put(out, SLUICE_TAG_CHANNEL, m->channel->name);
    return sluice_frame_end(out, begin, ok);
}

bool resume_on(struct session *s, struct link *l, struct app *app, bool foreign)
{
    session_bind_again(s, l, app);
    if (!put_resume(s, foreign) ||
        l->scratch.n > SLUICE_HEADER_SIZE + l->peer_max_frame) {
        buf_clear(&l->scratch);
        log_err(session_log(s), "session is too big for the backend's frames");
        link_client_leave(session_client(s));
        return false;
    }
    link_send_scratch(l);
    l->resumed++;
    s->keep->truncated = false;
    session_wake(s);
    return true;
}

void resume_end(struct link *l)
{
    log_notice(link_log(l), "%u sessions go on here", l->resumed);
    sluice_resume_end_put(&l->scratch, l->resumed);
    link_send_scratch(l);
    l->resumed = 0;
}
