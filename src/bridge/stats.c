/* SPDX-License-Identifier: BSD-2-Clause */
#include "stats.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/clock.h"
#include "bridge/loss.h"
#include "bridge/session.h"
#include "cross.h"
#include "inquiry.h"
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

/* ---- of a pool ---- */

struct pool_figures {
    uint64_t backends, ready; /* links that take clients */
    uint64_t clients;
    uint64_t waiting; /* sessions whose backend was lost */
    uint64_t sessions_total, exchanges_total;
    uint64_t refused, evicted, links_lost;
    struct link_counters data;
};

static struct pool_figures figures_of(const struct pool *p)
{
    struct pool_figures f = {
        .clients = p->clients,
        .sessions_total = p->counters.sessions,
        .exchanges_total = p->counters.exchanges,
        .refused = p->counters.refused,
        .evicted = p->counters.evicted,
        .links_lost = p->counters.links_lost,
        .data = p->counters.data,
    };

    LIST_EACH(item, after, &p->backends)
    {
        const struct backend *b = CONTAINER(item, struct backend, in_pool);
        f.backends++;
        if (!b->link)
            continue;
        f.ready += b->link->state == LINK_READY;
        counters_add(&f.data, &b->link->counters);
    }
    LIST_EACH(lost, next, &p->losses)
    {
        f.waiting += CONTAINER(lost, struct loss, in_pool)->n;
    }
    return f;
}

static void figures_add(struct pool_figures *to, const struct pool_figures *f)
{
    to->backends += f->backends;
    to->ready += f->ready;
    to->clients += f->clients;
    to->waiting += f->waiting;
    to->sessions_total += f->sessions_total;
    to->exchanges_total += f->exchanges_total;
    to->refused += f->refused;
    to->evicted += f->evicted;
    to->links_lost += f->links_lost;
    counters_add(&to->data, &f->data);
}

static void put_figures(struct buf *out, const struct pool_figures *f)
{
    buf_printf(out,
               "\"backends\":%llu,\"ready\":%llu,\"clients\":%llu,"
               "\"waiting\":%llu,\"sessions_total\":%llu,"
               "\"exchanges_total\":%llu,\"refused\":%llu,"
               "\"evicted\":%llu,\"links_lost\":%llu,",
               ULL(f->backends), ULL(f->ready), ULL(f->clients),
               ULL(f->waiting), ULL(f->sessions_total), ULL(f->exchanges_total),
               ULL(f->refused), ULL(f->evicted), ULL(f->links_lost));
    put_totals(out, &f->data);
}

static void put_pool(struct buf *out, const struct pool *p)
{
    struct pool_figures f = figures_of(p);
    const char *comma = "";

    buf_put_str(out, STR("{\"name\":"));
    put_string(out, p->name);
    buf_put_str(out, STR(","));
    put_figures(out, &f);
    buf_put_str(out, STR(",\"links\":["));
    LIST_EACH(item, after, &p->backends)
    {
        const struct backend *b = CONTAINER(item, struct backend, in_pool);
        if (!b->link)
            continue;
        buf_put_str(out, str_c(comma));
        put_link(out, b->link);
        comma = ",";
    }
    buf_put_str(out, STR("]}"));
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
                   session_framing(s)->version,
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

/* ---- of all processes ---- */

struct pool_sum {
    char *name;
    size_t name_n;
    struct pool_figures figures;
};

/* What one process answers: process u32, pid u32, and of each pool the size of
 * its name u32, the name, its figures, the size of its JSON u32, the JSON. */
enum { ANSWER_HEAD_SIZE = 8 };

static void put_u32(struct buf *out, size_t v)
{
    uint8_t bytes[4];
    le32_put(bytes, (uint32_t)v);
    buf_put(out, bytes, sizeof bytes);
}

void stats_answer(struct str question, struct buf *out)
{
    bool in_full = question.n && question.p[0] == 'j';
    struct str name = str_slice(question, question.n ? 1 : 0, question.n);

    put_u32(out, bridge.process);
    put_u32(out, (size_t)getpid());
    LIST_EACH(item, after, &bridge.pools)
    {
        const struct pool *p = CONTAINER(item, struct pool, link);
        struct pool_figures f = figures_of(p);
        if (name.n && !str_eq(p->name, name))
            continue;
        put_u32(out, p->name.n);
        buf_put_str(out, p->name);
        buf_put(out, &f, sizeof f);
        size_t at = out->n;
        put_u32(out, 0);
        if (in_full)
            put_pool(out, p);
        le32_put(out->p + at, (uint32_t)(out->n - at - 4));
    }
}

static bool take(struct str *rest, size_t n, struct str *out)
{
    if (rest->n < n)
        return false;
    *out = str_slice(*rest, 0, n);
    *rest = str_slice(*rest, n, rest->n);
    return true;
}

static bool take_sized(struct str *rest, struct str *out)
{
    struct str size;
    return take(rest, 4, &size) && take(rest, le32_get(size.p), out);
}

static struct pool_sum *sum_of(struct stats_sums *s, struct str name)
{
    for (size_t i = 0; i < s->pools_n; i++)
        if (str_eq(str_n(s->pools[i].name, s->pools[i].name_n), name))
            return &s->pools[i];
    s->pools = xrealloc(s->pools, (s->pools_n + 1) * sizeof *s->pools);
    struct pool_sum *sum = &s->pools[s->pools_n++];
    *sum = (struct pool_sum){.name = xmalloc(name.n + 1), .name_n = name.n};
    memcpy(sum->name, name.p, name.n);
    return sum;
}

static void add_pool(struct stats_sums *s, struct str name,
                     const struct pool_figures *f, struct str json,
                     const char *comma)
{
    figures_add(&sum_of(s, name)->figures, f);
    buf_put_str(&s->processes, str_c(comma));
    if (json.n) {
        buf_put_str(&s->processes, json);
        return;
    }
    buf_put_str(&s->processes, STR("{"));
    put_figures(&s->processes, f);
    buf_put_str(&s->processes, STR("}"));
}

void stats_sums_add(struct stats_sums *s, struct str answer)
{
    struct str head, name, bytes, json;
    struct pool_figures f;
    const char *comma = "";

    if (!take(&answer, ANSWER_HEAD_SIZE, &head))
        return;
    buf_printf(&s->processes, "%s{\"process\":%u,\"pid\":%u,\"pools\":[",
               s->processes_n ? "," : "", le32_get(head.p),
               le32_get(head.p + 4));
    while (take_sized(&answer, &name) && take(&answer, sizeof f, &bytes) &&
           take_sized(&answer, &json)) {
        memcpy(&f, bytes.p, sizeof f);
        add_pool(s, name, &f, json, comma);
        comma = ",";
    }
    buf_put_str(&s->processes, STR("]}"));
    s->processes_n++;
}

void stats_sums_fini(struct stats_sums *s)
{
    for (size_t i = 0; i < s->pools_n; i++)
        free(s->pools[i].name);
    free(s->pools);
    buf_fini(&s->processes);
}

static void put_sum(const struct pool_sum *sum, struct buf *out)
{
    buf_put_str(out, STR("{\"name\":"));
    put_string(out, str_n(sum->name, sum->name_n));
    buf_put_str(out, STR(","));
    put_figures(out, &sum->figures);
    buf_put_str(out, STR("}"));
}

void stats_sums_put(const struct stats_sums *s, unsigned missing,
                    struct buf *out)
{
    buf_printf(out, "{\"missing\":%u,\"pools\":[", missing);
    for (size_t i = 0; i < s->pools_n; i++) {
        if (i)
            buf_put_str(out, STR(","));
        put_sum(&s->pools[i], out);
    }
    buf_put_str(out, STR("],\"processes\":["));
    buf_put_str(out, buf_str(&s->processes));
    buf_put_str(out, STR("]}"));
}

/* ---- the answer ---- */

static void refuse(struct link *l, const struct sluice_stats *q,
                   enum sluice_error code, const char *why)
{
    link_send_error(l, q->cid, code, SLUICE_STATS_REQ, SLUICE_SEVERITY_INFO, 0,
                    why);
}

static void send_json(struct link *l, struct sluice_stats *q,
                      const struct buf *json)
{
    q->json = buf_str(json);
    if (q->json.n > l->peer_max_frame) {
        refuse(l, q, SLUICE_ERROR_LIMIT, "more than a frame takes");
        return;
    }
    sluice_stats_put(&l->scratch, q);
    link_send_scratch(l);
}

/*
 * A question that is not answered yet.  Answers come in the order of the
 * questions: behind one about all processes the others wait.
 */
struct link_inquiry {
    struct list on_link;
    struct link *link;
    struct inquiry *inquiry; /* NULL: the answer is here */
    struct sluice_stats question;
    struct stats_sums sums;
    struct buf json;
    enum sluice_error error; /* instead of it */
    const char *why;
};

static void end_inquiry(struct link_inquiry *x)
{
    list_remove(&x->on_link);
    x->link->inquiries_n--;
    stats_sums_fini(&x->sums);
    buf_fini(&x->json);
    free(x);
}

void stats_forget_link(struct link *l)
{
    while (!list_is_empty(&l->inquiries)) {
        struct link_inquiry *x =
            CONTAINER(l->inquiries.next, struct link_inquiry, on_link);
        if (x->inquiry)
            inquiry_cancel(x->inquiry);
        end_inquiry(x);
    }
}

static void answer_ready(struct link *l)
{
    while (!list_is_empty(&l->inquiries)) {
        struct link_inquiry *x =
            CONTAINER(l->inquiries.next, struct link_inquiry, on_link);
        if (x->inquiry)
            return;
        if (x->why)
            refuse(l, &x->question, x->error, x->why);
        else
            send_json(l, &x->question, &x->json);
        end_inquiry(x);
    }
}

static void each_process(void *arg, struct str answer)
{
    stats_sums_add(&((struct link_inquiry *)arg)->sums, answer);
}

static void all_processes(void *arg, unsigned missing)
{
    struct link_inquiry *x = arg;

    x->inquiry = NULL;
    stats_sums_put(&x->sums, missing, &x->json);
    answer_ready(x->link);
}

static void deny(struct link_inquiry *x, enum sluice_error error,
                 const char *why)
{
    x->error = error;
    x->why = why;
}

/* Every other worker works for it. */
static bool may_ask_all(struct link *l)
{
    uint64_t now = clock_now_ms();

    if (now - l->asked_since_ms >= 1000) {
        l->asked_since_ms = now;
        l->asked_n = 0;
    }
    return l->asked_n++ < l->backend->pool->conf->set.stats_rate;
}

static void ask_all(struct link_inquiry *x)
{
    struct buf question = {0};

    if (!may_ask_all(x->link)) {
        deny(x, SLUICE_ERROR_LIMIT, "too many in a second");
        return;
    }
    buf_put_str(&question, STR("f"));
    buf_put_str(&question, x->link->backend->pool->name);
    x->inquiry = inquiry_ask(INQUIRY_POOLS, buf_str(&question), each_process,
                             all_processes, x);
    buf_fini(&question);
    if (!x->inquiry)
        deny(x, SLUICE_ERROR_LIMIT, "too many at once");
}

/* Also another backend's, if it could be spoken to. */
static const struct link_client *find_client(struct link *l, uint64_t cid)
{
    const struct link_client *c = link_client_find(l, cid);
    struct session *s = c ? NULL : cross_find(l, cid);
    return s ? session_client(s) : c;
}

static void find_answer(struct link_inquiry *x)
{
    struct link *l = x->link;
    const struct link_client *c;

    switch ((enum sluice_stats_scope)x->question.scope) {
    case SLUICE_STATS_LINK:
        put_link(&x->json, l);
        break;
    case SLUICE_STATS_PROCESS:
        put_process(&x->json, l);
        break;
    case SLUICE_STATS_INSTANCE:
        ask_all(x);
        break;
    case SLUICE_STATS_CLIENT:
        c = find_client(l, x->question.cid);
        if (c)
            put_client(&x->json, c);
        else
            deny(x, SLUICE_ERROR_NO_SUCH_CLIENT, "no such client");
        break;
    }
}

int stats_on_request(struct link *l, const struct sluice_frame *f)
{
    struct sluice_stats q;

    int rc = sluice_stats_get(&q, f);
    if (rc < 0)
        return rc;
    if (l->inquiries_n == LINK_INQUIRIES_MAX) {
        refuse(l, &q, SLUICE_ERROR_LIMIT, "too many at once");
        return 0;
    }
    struct link_inquiry *x = xcalloc(1, sizeof *x);
    *x = (struct link_inquiry){.link = l,
                               .question = {.cid = q.cid, .scope = q.scope}};
    list_push_back(&l->inquiries, &x->on_link);
    l->inquiries_n++;
    find_answer(x);
    answer_ready(l);
    return 0;
}
