/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/resolver.h"

#include <errno.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"

enum {
    BUCKETS = 256, /* a power of two */
    ADDRESSES_MAX = 64,
    TTL_MAX_S = 7 * 24 * 3600,
    TIMED_OUT = 110, /* what nginx logs: ETIMEDOUT */
};

/* A question that evdns holds; freed when it calls back, whoever is left. */
struct question {
    struct entry *entry; /* NULL: nobody listens */
};

/* A name: known, or being asked for. */
struct entry {
    struct list by_hash, by_use;
    struct resolver *resolver;
    char name[RESOLVER_NAME_MAX + 1];
    size_t name_n;
    struct list waits; /* struct resolver_wait */
    struct question *open[2];
    struct address found[ADDRESSES_MAX]; /* while questions are open */
    size_t found_n;
    uint32_t ttl_s;
    unsigned code;
    struct address *addresses;
    struct resolver_answer answer;
    uint64_t until_ms;
};

struct resolver {
    struct loop *loop;
    struct evdns_base *base;
    bool ipv4, ipv6;
    uint64_t valid_ms;
    uint32_t salt; /* of the hash: names may be a client's */
    struct list buckets[BUCKETS];
    struct list used; /* last used first */
    size_t entries_n;
    struct loop_task grave;
};

/* ---- names ---- */

static bool is_name_byte(char c)
{
    return ascii_is_digit(c) ||
           (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || c == '-' ||
           c == '_';
}

bool resolver_name_is_valid(struct str name)
{
    size_t label = 0;

    if (name.n && name.p[name.n - 1] == '.')
        name.n--;
    if (!name.n || name.n > RESOLVER_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == '.' ? label == 0 : !is_name_byte(name.p[i]))
            return false;
        label = name.p[i] == '.' ? 0 : label + 1;
        if (label > 63)
            return false;
    }
    return label > 0;
}

static struct list *bucket_of(struct resolver *r, struct str name)
{
    uint32_t hash = str_hash_nocase(name) ^ r->salt;
    hash *= 0x9e3779b1;
    return &r->buckets[hash >> 16 & (BUCKETS - 1)];
}

static struct entry *find_entry(struct resolver *r, struct str name)
{
    LIST_EACH(link, after, bucket_of(r, name))
    {
        struct entry *e = CONTAINER(link, struct entry, by_hash);
        if (str_eq_nocase(str_n(e->name, e->name_n), name))
            return e;
    }
    return NULL;
}

static bool is_asking(const struct entry *e)
{
    return e->open[0] || e->open[1];
}

static void destroy_entry(struct entry *e)
{
    for (size_t i = 0; i < COUNT(e->open); i++)
        if (e->open[i])
            e->open[i]->entry = NULL;
    list_remove(&e->by_hash);
    list_remove(&e->by_use);
    e->resolver->entries_n--;
    free(e->addresses);
    free(e);
}

/* Room for one more: the one that was not wanted for longest goes. */
static bool make_room(struct resolver *r)
{
    if (r->entries_n < RESOLVER_NAMES_MAX)
        return true;
    for (struct list *link = r->used.prev; link != &r->used;
         link = link->prev) {
        struct entry *e = CONTAINER(link, struct entry, by_use);
        if (is_asking(e) || !list_is_empty(&e->waits))
            continue;
        destroy_entry(e);
        return true;
    }
    return false;
}

static struct entry *create_entry(struct resolver *r, struct str name)
{
    if (!make_room(r))
        return NULL;
    struct entry *e = xcalloc(1, sizeof *e);
    e->resolver = r;
    e->name_n = name.n;
    for (size_t i = 0; i < name.n; i++)
        e->name[i] = ascii_lower(name.p[i]);
    list_init(&e->waits);
    list_push_front(bucket_of(r, name), &e->by_hash);
    list_push_front(&r->used, &e->by_use);
    r->entries_n++;
    return e;
}

/* ---- answers ---- */

static const char *reason(unsigned code)
{
    switch (code) {
    case DNS_ERR_FORMAT:
        return "Format error";
    case DNS_ERR_SERVERFAILED:
        return "Server failure";
    case DNS_ERR_NOTEXIST:
        return "Host not found";
    case DNS_ERR_NOTIMPL:
        return "Unimplemented";
    case DNS_ERR_REFUSED:
        return "Operation refused";
    case TIMED_OUT:
        return "Operation timed out";
    default:
        return "Unknown error";
    }
}

/* In terms of RFC 1035 4.1.1 and of what nginx logs. */
static unsigned code_of(int result)
{
    if (result == DNS_ERR_TIMEOUT)
        return TIMED_OUT;
    if (result == DNS_ERR_NODATA)
        return DNS_ERR_NOTEXIST;
    return (unsigned)result;
}

static void tell(struct entry *e, const struct resolver_answer *a)
{
    struct list waits;

    list_init(&waits);
    list_splice(&waits, &e->waits);
    struct list *link;
    while ((link = list_pop_front(&waits))) {
        struct resolver_wait *w = CONTAINER(link, struct resolver_wait, link);
        timer_clear(&w->timer);
        w->done(w, a);
    }
}

/* All questions about the name are answered. */
static void conclude(struct entry *e)
{
    struct resolver *r = e->resolver;
    uint64_t fresh_ms = r->valid_ms ? r->valid_ms : (uint64_t)e->ttl_s * 1000;

    free(e->addresses);
    e->addresses = NULL;
    e->answer = (struct resolver_answer){.fresh_ms = fresh_ms};
    if (e->found_n) {
        e->addresses = xmalloc(e->found_n * sizeof *e->addresses);
        memcpy(e->addresses, e->found, e->found_n * sizeof *e->addresses);
        e->answer.addresses = e->addresses;
        e->answer.n = e->found_n;
        e->until_ms = clock_now_ms() + fresh_ms;
    } else {
        e->answer.code = e->code ? e->code : DNS_ERR_NOTEXIST;
        e->answer.error = reason(e->answer.code);
        e->until_ms = 0;
    }
    /* A callback may ask again, or let this entry make room. */
    struct resolver_answer answer = e->answer;
    struct address *kept = NULL;
    if (answer.n) {
        kept = xmalloc(answer.n * sizeof *kept);
        memcpy(kept, answer.addresses, answer.n * sizeof *kept);
        answer.addresses = kept;
    }
    tell(e, &answer);
    free(kept);
}

static void take_addresses(struct entry *e, char type, int count, int ttl,
                           const void *data)
{
    const size_t size =
        type == DNS_IPv4_A ? sizeof(struct in_addr) : sizeof(struct in6_addr);

    for (int i = 0; i < count && e->found_n < ADDRESSES_MAX; i++) {
        struct address *a = &e->found[e->found_n++];
        const char *p = (const char *)data + (size_t)i * size;
        *a = (struct address){.length = 0};
        if (type == DNS_IPv4_A) {
            a->sa.in.sin_family = AF_INET;
            memcpy(&a->sa.in.sin_addr, p, size);
            a->length = sizeof a->sa.in;
        } else {
            a->sa.in6.sin6_family = AF_INET6;
            memcpy(&a->sa.in6.sin6_addr, p, size);
            a->length = sizeof a->sa.in6;
        }
    }
    uint32_t ttl_s = ttl < 0 ? 0 : ttl > TTL_MAX_S ? TTL_MAX_S : (uint32_t)ttl;
    if (ttl_s < e->ttl_s)
        e->ttl_s = ttl_s;
}

static void on_answer(int result, char type, int count, int ttl, void *data,
                      void *arg)
{
    struct question *q = arg;
    struct entry *e = q->entry;

    if (!e) {
        free(q);
        return;
    }
    loop_enter(e->resolver->loop);
    for (size_t i = 0; i < COUNT(e->open); i++)
        if (e->open[i] == q)
            e->open[i] = NULL;
    free(q);
    if (result == DNS_ERR_NONE &&
        (type == DNS_IPv4_A || type == DNS_IPv6_AAAA) && count > 0)
        take_addresses(e, type, count, ttl, data);
    else if (!e->code || e->code == DNS_ERR_NOTEXIST)
        e->code = code_of(result);
    if (!is_asking(e))
        conclude(e);
}

/* ---- asking ---- */

static void open_question(struct entry *e, size_t slot, bool six)
{
    struct question *q = xcalloc(1, sizeof *q);
    struct evdns_base *base = e->resolver->base;

    q->entry = e;
    e->open[slot] = q;
    struct evdns_request *asked =
        six ? evdns_base_resolve_ipv6(base, e->name, DNS_QUERY_NO_SEARCH,
                                      on_answer, q)
            : evdns_base_resolve_ipv4(base, e->name, DNS_QUERY_NO_SEARCH,
                                      on_answer, q);
    if (!asked) {
        e->open[slot] = NULL;
        e->code = DNS_ERR_FORMAT;
        free(q);
    }
}

static void start(struct entry *e)
{
    e->found_n = 0;
    e->ttl_s = TTL_MAX_S;
    e->code = 0;
    if (e->resolver->ipv4)
        open_question(e, 0, false);
    if (e->resolver->ipv6)
        open_question(e, 1, true);
}

static struct str without_dot(struct str name)
{
    if (name.n && name.p[name.n - 1] == '.')
        name.n--;
    return name;
}

static void on_timeout(struct timer *timer)
{
    struct resolver_wait *w = CONTAINER(timer, struct resolver_wait, timer);
    static const struct resolver_answer nothing = {
        .code = TIMED_OUT, .error = "Operation timed out"};
    list_remove(&w->link);
    w->done(w, &nothing);
}

const struct resolver_answer *resolver_find(struct resolver *r, struct str name)
{
    struct entry *e = find_entry(r, without_dot(name));
    if (!e || e->until_ms <= clock_now_ms())
        return NULL;
    list_remove(&e->by_use);
    list_push_front(&r->used, &e->by_use);
    return &e->answer;
}

bool resolver_ask(struct resolver *r, struct resolver_wait *w, struct str name,
                  uint64_t timeout_ms)
{
    if (!resolver_name_is_valid(name))
        return false;
    name = without_dot(name);
    struct entry *e = find_entry(r, name);
    if (!e)
        e = create_entry(r, name);
    if (!e)
        return false;
    w->resolver = r;
    timer_init(&w->timer, on_timeout);
    if (!is_asking(e))
        start(e);
    if (!is_asking(e))
        return false;
    timer_set(r->loop, &w->timer, timeout_ms);
    list_push_back(&e->waits, &w->link);
    return true;
}

void resolver_cancel(struct resolver_wait *w)
{
    if (!list_is_linked(&w->link))
        return;
    list_remove(&w->link);
    timer_clear(&w->timer);
}

/* ---- the life of a resolver ---- */

/* What evdns has to say of its name servers. */
static void on_log(int is_warning, const char *text)
{
    if (is_warning)
        log_info(&log_process, "resolver: %s", text);
}

static int configure(struct resolver *r, const struct resolver_setup *setup)
{
    /* With random case evdns compares names less strictly, not more.
     * A name server that lost some datagrams is not given up: evdns would ask
     * it for a name of its own choice until it answers. */
    if (evdns_base_set_option(r->base, "max-timeouts:", "255") != 0 ||
        evdns_base_set_option(r->base, "randomize-case:", "0") != 0 ||
        evdns_base_set_option(r->base, "timeout:", "2") != 0 ||
        evdns_base_set_option(r->base, "attempts:", "5") != 0)
        return -1;
    for (size_t i = 0; i < setup->servers_n; i++)
        if (evdns_base_nameserver_sockaddr_add(
                r->base, &setup->servers[i].sa.any, setup->servers[i].length,
                0) != 0)
            return -1;
    return 0;
}

struct resolver *resolver_create(struct loop *loop,
                                 const struct resolver_setup *setup)
{
    struct resolver *r = xcalloc(1, sizeof *r);

    r->loop = loop;
    r->ipv4 = setup->ipv4;
    r->ipv6 = setup->ipv6;
    r->valid_ms = setup->valid_ms;
    r->salt = (uint32_t)random_u64();
    for (size_t i = 0; i < BUCKETS; i++)
        list_init(&r->buckets[i]);
    list_init(&r->used);
    evdns_set_log_fn(on_log);
    r->base = evdns_base_new(loop->base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    if (r->base && configure(r, setup) == 0)
        return r;
    int error = errno;
    if (r->base)
        evdns_base_free(r->base, 0);
    free(r);
    errno = error ? error : ENOMEM;
    return NULL;
}

static void bury(struct loop_task *task)
{
    struct resolver *r = CONTAINER(task, struct resolver, grave);
    /* Each open question is answered, by way of the loop, and freed then. */
    evdns_base_free(r->base, 1);
    free(r);
}

void resolver_destroy(struct resolver *r)
{
    if (!r)
        return;
    LIST_EACH(link, after, &r->used)
    {
        struct entry *e = CONTAINER(link, struct entry, by_use);
        while (!list_is_empty(&e->waits))
            resolver_cancel(
                CONTAINER(e->waits.next, struct resolver_wait, link));
        destroy_entry(e);
    }
    r->grave.run = bury;
    loop_bury(r->loop, &r->grave);
}
