/* SPDX-License-Identifier: BSD-2-Clause */
#include "roster.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "bridge/session.h"
#include "serve/escape.h"

#define ULL(n) ((unsigned long long)(n))

enum {
    ASK_SIZE = 24,  /* process, slot, limit u32, size of the pool's name u32, id
                       u64; then the names */
    PAGE_SIZE = 12, /* process, next, finished u32; then the sessions */
    ITEM_SIZE = 8,  /* slot, size u32; then the JSON */
    NAMES_MAX = 1000,
    KILL_SIZE = 12, /* id u64, code u16, reset u8, 0 u8; then the reason */
};

static void put_u32(struct buf *out, size_t v)
{
    uint8_t bytes[4];
    le32_put(bytes, (uint32_t)v);
    buf_put(out, bytes, sizeof bytes);
}

static void put_u64(struct buf *out, uint64_t v)
{
    uint8_t bytes[8];
    le64_put(bytes, v);
    buf_put(out, bytes, sizeof bytes);
}

/* ---- a session in JSON ---- */

static void put_member(struct buf *out, const char *name, struct str value)
{
    buf_printf(out, ",\"%s\":\"", name);
    escape_log_json(out, value);
    buf_put_str(out, STR("\""));
}

static struct str app_of(const struct session *s)
{
    if (s->app)
        return s->app->name;
    return s->keep && !s->link ? keep_app(s) : str_n(NULL, 0);
}

static size_t channels_of(const struct session *s)
{
    size_t n = 0;
    for (const struct membership *m = s->channels; m; m = m->next)
        n++;
    return n;
}

static void put_channels(struct buf *out, const struct session *s)
{
    const char *comma = "";
    int n = 0;

    buf_put_str(out, STR(",\"channel_names\":["));
    for (const struct membership *m = s->channels; m && n < NAMES_MAX;
         m = m->next, n++) {
        buf_printf(out, "%s\"", comma);
        escape_log_json(out, m->channel->name);
        buf_put_str(out, STR("\""));
        comma = ",";
    }
    buf_put_str(out, STR("]"));
}

static void put_session(struct buf *out, const struct session *s, bool in_full)
{
    uint32_t now = (uint32_t)clock_now_ms();
    bool heard_last = (int32_t)(s->heard_ms - s->active_ms) > 0;

    buf_printf(out, "{\"id\":%llu", ULL(s->cid));
    put_member(out, "pool", s->pool->name);
    put_member(out, "app", app_of(s));
    put_member(out, "remote_addr", str_c(s->client));
    put_member(out, "backend",
               s->link ? str_c(s->link->backend->path) : STR(""));
    put_member(out, "state",
               str_c(session_state_name((enum session_state)s->state)));
    buf_printf(out,
               ",\"version\":%u,\"age\":%llu,\"idle\":%u,\"messages_in\":%u,"
               "\"messages_out\":%llu,\"bytes_in\":%llu,\"bytes_out\":%llu,"
               "\"queued\":%zu,\"channels\":%zu,\"rtt\":%u.%06u",
               session_framing(s)->version,
               ULL((uint32_t)(clock_now_ms() / 1000) - s->born_s),
               s->stream
                   ? (now - (heard_last ? s->heard_ms : s->active_ms)) / 1000
                   : 0,
               s->seq_in, ULL((uint64_t)s->seq_out + s->shared_out),
               ULL(s->reader.wire_bytes), ULL(session_bytes_out(s)),
               s->stream ? session_queued(s) : 0, channels_of(s),
               s->rtt_us / 1000000u, s->rtt_us % 1000000u);
    if (in_full)
        put_channels(out, s);
    buf_put_str(out, STR("}"));
}

/* ---- a page ---- */

void roster_put_ask(const struct roster_ask *ask, struct buf *out)
{
    put_u32(out, ask->process);
    put_u32(out, ask->slot);
    put_u32(out, ask->limit);
    put_u32(out, ask->pool.n);
    put_u64(out, ask->id);
    buf_put_str(out, ask->pool);
    buf_put_str(out, ask->app);
}

static bool get_ask(struct roster_ask *ask, struct str q)
{
    if (q.n < ASK_SIZE || le32_get(q.p + 12) > q.n - ASK_SIZE)
        return false;
    size_t names = ASK_SIZE + le32_get(q.p + 12);
    *ask = (struct roster_ask){
        .process = le32_get(q.p),
        .slot = le32_get(q.p + 4),
        .limit = le32_get(q.p + 8),
        .id = le64_get(q.p + 16),
        .pool = str_slice(q, ASK_SIZE, names),
        .app = str_slice(q, names, q.n),
    };
    return true;
}

static const struct session *session_at(uint32_t slot)
{
    const struct link_client *c = bridge.slots.slots[slot].client;
    const struct session *s =
        c && c->kind == LINK_SESSION ? (const struct session *)c : NULL;
    return s && !session_is_over(s) ? s : NULL;
}

static bool matches(const struct session *s, const struct roster_ask *ask)
{
    return (!ask->id || s->cid == ask->id) &&
           (!ask->pool.n || str_eq(s->pool->name, ask->pool)) &&
           (!ask->app.n || str_eq(app_of(s), ask->app));
}

static void put_item(struct buf *out, const struct session *s, uint32_t slot,
                     bool in_full)
{
    put_u32(out, slot);
    size_t at = out->n;
    put_u32(out, 0);
    put_session(out, s, in_full);
    le32_put(out->p + at, (uint32_t)(out->n - at - 4));
}

/* From the slot on; the next one that is to be looked at. */
static uint32_t put_items(struct buf *out, const struct roster_ask *ask,
                          uint32_t slot)
{
    uint32_t end = bridge.slots.n;
    uint32_t n = 0;

    if (end > slot && end - slot > ROSTER_SLOTS_MAX)
        end = slot + ROSTER_SLOTS_MAX;
    for (; slot < end && n < ask->limit; slot++) {
        const struct session *s = session_at(slot);
        if (!s || !matches(s, ask))
            continue;
        put_item(out, s, slot, ask->id != 0);
        n++;
    }
    return slot;
}

void roster_answer_list(struct str question, struct buf *out)
{
    struct roster_ask ask;
    uint32_t next = bridge.slots.n;

    put_u32(out, bridge.process);
    put_u32(out, 0);
    put_u32(out, 0);
    if (!get_ask(&ask, question) || bridge.process < ask.process)
        ;
    else if (!ask.id)
        next =
            put_items(out, &ask, bridge.process == ask.process ? ask.slot : 0);
    else if (slots_find(&bridge.slots, ask.id))
        put_items(out, &ask, sluice_cid_slot(ask.id));
    le32_put(out->p + 4, next);
    le32_put(out->p + 8, next >= bridge.slots.n);
}

bool roster_get_page(struct roster_page *page, struct str answer)
{
    if (answer.n < PAGE_SIZE)
        return false;
    *page = (struct roster_page){
        .process = le32_get(answer.p),
        .next = le32_get(answer.p + 4),
        .finished = le32_get(answer.p + 8) != 0,
        .all = str_slice(answer, PAGE_SIZE, answer.n),
    };
    return true;
}

bool roster_next(struct str *all, uint32_t *slot, struct str *json)
{
    if (all->n < ITEM_SIZE || le32_get(all->p + 4) > all->n - ITEM_SIZE)
        return false;
    size_t end = ITEM_SIZE + le32_get(all->p + 4);
    *slot = le32_get(all->p);
    *json = str_slice(*all, ITEM_SIZE, end);
    *all = str_slice(*all, end, all->n);
    return true;
}

/* ---- the end of one ---- */

void roster_put_kill(const struct roster_kill *k, struct buf *out)
{
    uint8_t rest[4] = {0};

    put_u64(out, k->id);
    le16_put(rest, k->code);
    rest[2] = k->reset;
    buf_put(out, rest, sizeof rest);
    buf_put_str(out, k->reason);
}

static void kill_session(struct session *s, unsigned code, bool reset,
                         struct str reason)
{
    if (reset) {
        session_abort(s, ENDING_KILLED);
        return;
    }
    if (s->stream && !s->close_sent) {
        if (!code)
            code = ending_row(ENDING_KILLED)->code;
        session_send_close(s, code, reason);
        s->close_code = (uint16_t)code;
    }
    session_fail(s, ENDING_KILLED);
}

void roster_answer_kill(struct str question, struct buf *out)
{
    if (question.n < KILL_SIZE)
        return;
    struct link_client *c = slots_find(&bridge.slots, le64_get(question.p));
    struct session *s =
        c && c->kind == LINK_SESSION ? (struct session *)c : NULL;
    if (!s || session_is_over(s))
        return;
    buf_put_str(out, STR("1"));
    kill_session(s, le16_get(question.p + 8), question.p[10] != 0,
                 str_slice(question, KILL_SIZE, question.n));
}
