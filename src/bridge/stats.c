/* SPDX-License-Identifier: BSD-2-Clause */
#include "stats.h"

#include <unistd.h>

#include "bridge/session.h"
#include "serve/escape.h"
#include "sluice/link.h"

#define ULL(n) ((unsigned long long)(n))

void counters_add(struct link_counters *to, const struct link_counters *c)
{
    to->messages_in += c->messages_in;
    to->messages_out += c->messages_out;
    to->bytes_in += c->bytes_in;
    to->bytes_out += c->bytes_out;
}

static void put_string(struct buf *out, struct str s)
{
    buf_put_str(out, STR("\""));
    escape_log_json(out, s);
    buf_put_str(out, STR("\""));
}

static void put_totals(struct buf *out, const struct link_counters *c)
{
    buf_printf(out,
               "\"messages_in\":%llu,\"messages_out\":%llu,"
               "\"bytes_in\":%llu,\"bytes_out\":%llu",
               ULL(c->messages_in), ULL(c->messages_out), ULL(c->bytes_in),
               ULL(c->bytes_out));
}

static void put_credit(struct buf *out, uint64_t window_in,
                       uint64_t outstanding_in, uint64_t window_out,
                       uint64_t outstanding_out)
{
    buf_printf(out,
               ",\"window_in\":%llu,\"outstanding_in\":%llu,"
               "\"window_out\":%llu,\"outstanding_out\":%llu",
               ULL(window_in), ULL(outstanding_in), ULL(window_out),
               ULL(outstanding_out));
}

/* ---- scopes ---- */

static void put_link(struct buf *out, const struct link *l)
{
    size_t exchanges = 0;

    LIST_EACH(item, after, &l->exchanges)
    {
        exchanges++;
    }
    buf_put_str(out, STR("{\"backend\":"));
    put_string(out, str_c(l->backend->path));
    buf_printf(out, ",\"state\":\"%s\",\"sessions\":%zu,\"exchanges\":%zu,",
               link_state_name(l->state), l->clients_n - exchanges, exchanges);
    put_totals(out, &l->counters);
    put_credit(out, l->window_in, l->outstanding_in, l->window_out,
               l->outstanding_out);
    buf_printf(out, ",\"queued\":%zu,\"strays\":%llu}",
               stream_queued(l->stream), ULL(l->strays));
}

static void put_pool(struct buf *out, const struct pool *p)
{
    struct link_counters totals = p->counters.data;
    const char *comma = "";

    buf_put_str(out, STR("{\"name\":"));
    put_string(out, p->name);
    buf_printf(out,
               ",\"clients\":%zu,\"sessions_total\":%llu,"
               "\"exchanges_total\":%llu,\"refused\":%llu,\"evicted\":%llu,"
               "\"links\":[",
               p->clients, ULL(p->counters.sessions),
               ULL(p->counters.exchanges), ULL(p->counters.refused),
               ULL(p->counters.evicted));
    LIST_EACH(item, after, &p->backends)
    {
        const struct backend *b = CONTAINER(item, struct backend, in_pool);
        if (!b->link)
            continue;
        buf_put_str(out, str_c(comma));
        put_link(out, b->link);
        counters_add(&totals, &b->link->counters);
        comma = ",";
    }
    buf_put_str(out, STR("],"));
    put_totals(out, &totals);
    buf_put_str(out, STR("}"));
}

static void put_process(struct buf *out, const struct link *l)
{
    buf_printf(out, "{\"process\":%u,\"pid\":%ld,\"pool\":", bridge.process,
               (long)getpid());
    put_pool(out, l->backend->pool);
    buf_put_str(out, STR("}"));
}

static void put_client(struct buf *out, const struct link_client *c)
{
    buf_printf(out, "{\"id\":%llu,", ULL(c->cid));
    if (c->kind == LINK_SESSION) {
        const struct session *s = (const struct session *)c;
        struct link_counters totals = {
            .messages_in = s->seq_in,
            .messages_out = (uint64_t)s->seq_out + s->shared_out,
            .bytes_in = s->reader.wire_bytes,
            .bytes_out = session_bytes_out(s),
        };
        buf_printf(out,
                   "\"kind\":\"session\",\"version\":%u,\"state\":\"%s\","
                   "\"flushed\":%u,\"queued\":%zu,",
                   s->framing->version,
                   session_state_name((enum session_state)s->state),
                   s->seq_flushed, s->stream ? session_queued(s) : 0);
        put_totals(out, &totals);
    } else {
        buf_put_str(out, STR("\"kind\":\"exchange\""));
    }
    put_credit(out, c->window_in, c->outstanding_in, c->window_out,
               c->outstanding_out);
    buf_put_str(out, STR("}"));
}

/* ---- the answer ---- */

static void refuse(struct link *l, const struct sluice_stats *q,
                   enum sluice_error code, const char *why)
{
    link_send_error(l, q->cid, code, SLUICE_STATS_REQ, SLUICE_SEVERITY_INFO, 0,
                    why);
}

static bool put_scope(struct link *l, const struct sluice_stats *q,
                      struct buf *out)
{
    const struct link_client *c;

    switch ((enum sluice_stats_scope)q->scope) {
    case SLUICE_STATS_LINK:
        put_link(out, l);
        return true;
    case SLUICE_STATS_PROCESS:
        put_process(out, l);
        return true;
    case SLUICE_STATS_INSTANCE:
        refuse(l, q, SLUICE_ERROR_UNSUPPORTED, "ask every process");
        return false;
    case SLUICE_STATS_CLIENT:
        c = link_client_find(l, q->cid);
        if (c)
            put_client(out, c);
        else
            refuse(l, q, SLUICE_ERROR_NO_SUCH_CLIENT, "no such client");
        return c != NULL;
    }
    return false;
}

int stats_on_request(struct link *l, const struct sluice_frame *f)
{
    struct sluice_stats q;
    struct buf json = {0};

    int rc = sluice_stats_get(&q, f);
    if (rc < 0)
        return rc;
    if (put_scope(l, &q, &json)) {
        q.json = buf_str(&json);
        if (q.json.n > l->peer_max_frame) {
            refuse(l, &q, SLUICE_ERROR_LIMIT, "more than a frame takes");
        } else {
            sluice_stats_put(&l->scratch, &q);
            link_send_scratch(l);
        }
    }
    buf_fini(&json);
    return 0;
}
