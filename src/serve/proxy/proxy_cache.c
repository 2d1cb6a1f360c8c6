/* SPDX-License-Identifier: BSD-2-Clause */
/* A request and the cache: is there an answer, whose turn is it to fetch one,
 * and what is kept of what comes. */
#include "proxy_cache.h"

#include <errno.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "http/condition.h"
#include "http/writer.h"
#include "proxy_parts.h"
#include "serve/subrequest.h"

enum {
    WAIT_MS = 50,          /* between looks for what another fetches */
    CLAIM_MS = 10 * 60000, /* an update that takes longer is not waited for */
};

/* ---- life ---- */

static void entry_close(struct proxy_cache *pc)
{
    if (pc->entry.fd != -1)
        close(pc->entry.fd);
    pc->entry.fd = -1;
}

void proxy_cache_end(struct proxy *p)
{
    struct proxy_cache *pc = p->cache;

    if (!pc)
        return;
    timer_clear(&pc->wait);
    entry_close(pc);
    if (pc->claimed)
        cache_index_release(pc->cache, &pc->hash);
    pc->claimed = false;
}

bool proxy_cache_any(const struct conf_list *conditions, struct request *r)
{
    for (size_t i = 0; i < conditions->n; i++) {
        struct str text = value_eval(conditions->items[i], &r->eval);
        if (text.n && !str_eq(text, STR("0")))
            return true;
    }
    return false;
}

static void set_status(struct proxy *p, const char *status)
{
    p->trace->cache_status = str_c(status);
}

/* ---- the entry ---- */

/* One head is read at a time; the reader is kept. */
static struct http_reader *head_reader;

void proxy_cache_fini(void)
{
    http_reader_destroy(head_reader);
    head_reader = NULL;
}

/* The head that is kept, as the peer's response. */
static bool read_head(struct proxy_cache *pc)
{
    static const struct http_limits wide = {
        .line_max = 1 << 20,
        .field_max = 1 << 20,
        .head_max = 2 << 20,
        .fields_max = 10000,
        .underscores_ok = true,
    };
    struct arena *arena = pc->proxy->request->arena;
    struct str text = arena_str(arena, pc->entry.head);
    struct span in = {(uint8_t *)(uintptr_t)text.p, text.n};
    struct http_event ev;

    if (!head_reader)
        head_reader = http_response_reader_create(&wide);
    http_reader_reset(head_reader, &wide);
    http_reader_expect_no_body(head_reader);
    if (http_reader_next(head_reader, &in, &ev) != 1 ||
        ev.type != HTTP_EVENT_HEAD || ev.head->status < 200)
        return false;
    http_head_copy(&pc->head, ev.head, arena);
    return true;
}

static bool open_file(struct proxy_cache *pc, enum cache_known known)
{
    struct arena *arena = pc->proxy->request->arena;

    if (cache_file_open(pc->cache, &pc->hash, pc->key, arena, &pc->entry)) {
        if (known == CACHE_MAYBE)
            cache_index_found(pc->cache, &pc->hash, pc->entry.size);
        if (read_head(pc))
            return true;
        entry_close(pc);
    }
    pc->entry.fd = -1;
    cache_index_forget(pc->cache, &pc->hash);
    return false;
}

/* Open what is kept under the key, or under the variant that the request is
 * for (RFC 9111 4.1). */
static bool open_entry(struct proxy_cache *pc, enum cache_known known)
{
    struct request *r = pc->proxy->request;
    struct cache_entry *e = &pc->entry;
    uint32_t uses;

    if (known == CACHE_UNKNOWN || !open_file(pc, known))
        return false;
    if (!e->vary.p)
        return true;
    struct cache_hash variant = cache_variant(e->vary, &r->head, r->arena);
    if (memcmp(&variant, &e->variant, sizeof variant) == 0)
        return true;
    entry_close(pc);
    pc->hash = cache_hash_variant(&pc->main, &variant);
    known = cache_index_use(pc->cache, &pc->hash, &uses);
    if (known == CACHE_UNKNOWN || !open_file(pc, known))
        return false;
    if (memcmp(&variant, &e->variant, sizeof variant) == 0)
        return true;
    entry_close(pc);
    return false;
}

/* ---- answering from it ---- */

/* RFC 9110 section 13: of the client's, not of the upstream's making. */
static unsigned condition_of(struct proxy *p)
{
    struct str modified = http_head_find(&p->response, STR("Last-Modified"));
    struct http_validators have = {
        .etag = http_head_find(&p->response, STR("ETag")),
        .modified = modified.p ? clock_parse_http(modified) : -1,
    };
    if (p->response.status != 200 || request_is_sub(p->request))
        return 200;
    return http_condition_evaluate(&p->request->head, &have, SINCE_EXACT);
}

unsigned proxy_cache_condition(struct proxy *p)
{
    return p->cache && p->cache->stores ? condition_of(p) : 200;
}

static void take_validators(struct request *r)
{
    /* Ranges need them where our own files have them. */
    struct str etag = response_find(r, STR("ETag"));
    struct str modified = response_find(r, STR("Last-Modified"));

    if (etag.p) {
        r->response.etag = etag;
        response_remove(r, STR("ETag"));
    }
    time_t t = modified.p ? clock_parse_http(modified) : (time_t)-1;
    if (t != (time_t)-1) {
        r->response.last_modified = t;
        response_remove(r, STR("Last-Modified"));
    }
}

/* Where the upstream has them, too (nginx's rule). */
void proxy_cache_allow_ranges(struct proxy *p, bool cached)
{
    struct request *r = p->request;

    take_validators(r);
    if (!response_remove(r, STR("Accept-Ranges")) || r->response.status != 200)
        return;
    r->response.allow_ranges = true;
    r->response.single_range = !cached;
}

/* Returns the verdict. */
static int send_entry(struct proxy *p, const char *status)
{
    struct proxy_cache *pc = p->cache;
    struct request *r = p->request;

    p->response = pc->head;
    set_status(p, status);
    request_doing(r, "sending to client");
    p->trace->head = p->response;
    struct str target = proxy_accel_target(p);
    if (target.p)
        return proxy_accel_redirect(p, target);
    unsigned condition = condition_of(p);
    if (condition == 412)
        return 412;
    r->response.status = p->response.status;
    proxy_copy_fields(p);
    proxy_cache_allow_ranges(p, true);
    uint64_t size = pc->entry.size - pc->entry.body_at;
    if (condition == 304) {
        r->response.status = 304;
        r->response.content_type = (struct str){NULL, 0};
        r->response.allow_ranges = false;
        request_send_body(r, NULL, 0, true);
        return VERDICT_DONE;
    }
    r->response.content_length = (int64_t)size;
    if (pc->entry.body.p) {
        struct iovec iov = {(void *)(uintptr_t)pc->entry.body.p, (size_t)size};
        entry_close(pc);
        request_send_body(r, &iov, 1, true);
        return VERDICT_DONE;
    }
    int fd = pc->entry.fd;
    pc->entry.fd = -1; /* the request's from here */
    request_send_file(r, fd, (off_t)pc->entry.body_at, size);
    return VERDICT_DONE;
}

/* ---- who fetches ---- */

static bool claim(struct proxy_cache *pc, uint64_t age_ms)
{
    pc->claimed = cache_index_claim(pc->cache, &pc->hash, age_ms);
    return pc->claimed;
}

/* Another request, that nobody waits for, fetches it anew. */
static void on_update_end(void *owner, struct request *sub, bool complete)
{
    (void)owner, (void)sub, (void)complete;
}

static bool update_behind(struct proxy *p)
{
    static const struct subrequest_events events = {.on_end = on_update_end};
    struct request *r = p->request;
    struct request *sub = subrequest_create(
        r, r->uri, r->args, SUBREQUEST_BACKGROUND | SUBREQUEST_UNCOUNTED,
        &events, p);

    if (!sub)
        return false;
    sub->cache_key = arena_str(sub->arena, p->cache->key);
    return true;
}

/* What expired: another one fetches it, or it is fetched behind, or now. */
static int use_expired(struct proxy *p)
{
    struct proxy_cache *pc = p->cache;
    int64_t now_s = clock_wall_s();
    bool may_be_stale = pc->conf->use_stale & STALE_UPDATING ||
                        pc->entry.valid_s + pc->entry.updating_s > now_s;

    if (!claim(pc, CLAIM_MS)) {
        if (may_be_stale)
            return send_entry(p, "UPDATING");
    } else if (may_be_stale && pc->conf->background_update &&
               !request_is_sub(p->request)) {
        /* The one who fetches claims it itself. */
        cache_index_release(pc->cache, &pc->hash);
        pc->claimed = false;
        if (update_behind(p))
            return send_entry(p, "STALE");
        claim(pc, CLAIM_MS);
    }
    set_status(p, "EXPIRED");
    pc->expired = true;
    pc->stores = true;
    if (pc->conf->revalidate) {
        struct str etag = http_head_find(&pc->head, STR("ETag"));
        struct str modified = http_head_find(&pc->head, STR("Last-Modified"));
        pc->renews = pc->head.status == 200 && (etag.p || modified.p);
        p->trace->cache_etag = etag;
        p->trace->cache_modified = modified;
    }
    return VERDICT_DECLINED;
}

static int look(struct proxy *p);

static void on_wait(struct timer *timer)
{
    struct proxy_cache *pc = CONTAINER(timer, struct proxy_cache, wait);
    struct proxy *p = pc->proxy;
    int verdict = look(p);

    if (verdict == VERDICT_DECLINED)
        verdict = proxy_ask(p);
    if (verdict != VERDICT_PENDING)
        proxy_finish(p, verdict);
}

static int wait_for_another(struct proxy *p)
{
    struct proxy_cache *pc = p->cache;
    uint64_t now_ms = clock_now_ms();

    if (!pc->wait_until_ms)
        pc->wait_until_ms = now_ms + pc->conf->lock_timeout_ms;
    if (now_ms >= pc->wait_until_ms) {
        log_info(&p->request->log, "cache lock timeout");
        set_status(p, "MISS");
        return VERDICT_DECLINED; /* and what comes is not kept */
    }
    request_doing(p->request, "waiting for the cache lock");
    timer_set(request_loop(p->request), &pc->wait, WAIT_MS);
    return VERDICT_PENDING;
}

/* VERDICT_DECLINED: an upstream is to be asked. */
static int look(struct proxy *p)
{
    struct proxy_cache *pc = p->cache;
    uint32_t uses = 0;

    pc->hash = pc->main;
    enum cache_known known = cache_index_use(pc->cache, &pc->hash, &uses);
    if (open_entry(pc, known)) {
        if (pc->entry.valid_s > clock_wall_s())
            return send_entry(p, "HIT");
        return use_expired(p);
    }
    set_status(p, "MISS");
    if (uses < pc->conf->min_uses)
        return VERDICT_DECLINED;
    if (!pc->conf->lock) {
        pc->stores = true;
    } else if (claim(pc, pc->conf->lock_age_ms)) {
        pc->stores = true;
    } else {
        return wait_for_another(p);
    }
    return VERDICT_DECLINED;
}

/* ---- what is asked for ---- */

static unsigned method_bit(enum method m)
{
    switch ((int)m) {
    case METHOD_GET:
        return CACHE_GET;
    case METHOD_HEAD:
        return CACHE_HEAD;
    case METHOD_POST:
        return CACHE_POST;
    default:
        return 0;
    }
}

static struct cache *cache_of(struct proxy *p,
                              const struct proxy_cache_conf *conf)
{
    struct request *r = p->request;
    struct str name = value_eval(conf->zone, &r->eval);

    if (!name.n || str_eq(name, STR("off")))
        return NULL;
    struct cache *c = cache_find(r->generation, name);
    if (!c || !c->zone->memory) {
        log_err(&r->log, "cache \"%.*s\" not found", STR_ARG(name));
        return NULL;
    }
    return c;
}

/* "bytes=N-": a range so far into it that the whole is not fetched for it. */
static bool is_far_range(const struct proxy *p, uint64_t most)
{
    struct str text = http_head_find(&p->request->head, STR("Range"));
    uint64_t start;

    if (most == UINT64_MAX || !str_starts(text, STR("bytes=")))
        return false;
    text = str_slice(text, strlen("bytes="), text.n);
    struct str first = str_trim(str_slice(text, 0, str_find(text, '-', 0)));
    if (!first.n)
        return true; /* the last bytes: their offset is not known */
    return str_to_u64(first, INT64_MAX, &start) && start >= most;
}

static struct proxy_cache *
make(struct proxy *p, const struct proxy_cache_conf *conf, struct cache *c)
{
    struct request *r = p->request;
    struct proxy_cache *pc = arena_calloc(r->arena, sizeof *pc);

    pc->proxy = p;
    pc->conf = conf;
    pc->cache = c;
    pc->entry.fd = -1;
    pc->key = r->cache_key.p ? r->cache_key : value_eval(conf->key, &r->eval);
    pc->main = pc->hash = cache_hash_of(pc->key);
    timer_init(&pc->wait, on_wait);
    return pc;
}

/* Every variant goes with what says that there are some. */
static int purge(struct proxy *p, struct proxy_cache *pc)
{
    struct request *r = p->request;
    uint32_t uses;

    p->cache = pc;
    if (!open_entry(pc, cache_index_use(pc->cache, &pc->hash, &uses)))
        return 404;
    cache_index_forget(pc->cache, &pc->hash);
    cache_file_remove(pc->cache, &pc->hash);
    if (memcmp(&pc->hash, &pc->main, sizeof pc->hash) != 0) {
        cache_index_forget(pc->cache, &pc->main);
        cache_file_remove(pc->cache, &pc->main);
    }
    return request_respond(r, 204, STR(""), STR(""));
}

int proxy_cache_start(struct proxy *p)
{
    struct request *r = p->request;
    const struct proxy_cache_conf *conf = request_conf(r, &proxy_cache_module);
    struct cache *c = conf->zone ? cache_of(p, conf) : NULL;

    if (!c)
        return VERDICT_DECLINED;
    if (conf->purge.n && proxy_cache_any(&conf->purge, r))
        return purge(p, make(p, conf, c));
    if (!(conf->methods & method_bit(r->head.method)) ||
        is_far_range(p, conf->max_range_offset))
        return VERDICT_DECLINED;
    p->cache = make(p, conf, c);
    if (proxy_cache_any(&conf->bypass, r)) {
        set_status(p, "BYPASS");
        p->cache->stores = true;
        return VERDICT_DECLINED;
    }
    return look(p);
}

bool proxy_cache_asks_get(const struct proxy *p)
{
    return p->cache && p->cache->conf->convert_head &&
           p->request->head.method == METHOD_HEAD;
}

/* The client's conditions and ranges are answered from the whole. */
bool proxy_cache_drops(const struct proxy *p, struct str name)
{
    static const struct str dropped[] = {
        STR_INIT("If-Modified-Since"),
        STR_INIT("If-Unmodified-Since"),
        STR_INIT("If-None-Match"),
        STR_INIT("If-Match"),
        STR_INIT("Range"),
        STR_INIT("If-Range"),
    };
    for (size_t i = 0; p->cache && i < COUNT(dropped); i++)
        if (str_eq_nocase(dropped[i], name))
            return true;
    return false;
}

void proxy_cache_put_conditions(struct proxy *p, struct buf *head)
{
    const struct upstream_trace *t = p->trace;

    if (!p->cache || !p->cache->renews)
        return;
    if (t->cache_modified.p)
        http_put_field(head, STR("If-Modified-Since"), t->cache_modified);
    if (t->cache_etag.p)
        http_put_field(head, STR("If-None-Match"), t->cache_etag);
}

/* ---- answers that failed, or said that nothing changed ---- */

/* A 304 for what we asked about: good for another while. */
bool proxy_cache_is_renewal(const struct proxy *p, unsigned status)
{
    return p->cache && p->cache->renews && status == 304;
}

int proxy_cache_renew(struct proxy *p)
{
    struct proxy_cache *pc = p->cache;

    if (proxy_cache_may_keep(p, &p->response, pc->head.status)) {
        pc->entry.valid_s = pc->fresh.valid_s;
        pc->entry.updating_s = pc->fresh.updating_s;
        pc->entry.error_s = pc->fresh.error_s;
        if (cache_file_renew(pc->cache, &pc->hash, &pc->entry) == -1)
            log_errno(&p->request->log, LEVEL_CRIT, errno,
                      "renewing a cache file failed");
    }
    return send_entry(p, "REVALIDATED");
}

bool proxy_cache_has_stale(const struct proxy *p, unsigned why)
{
    const struct proxy_cache *pc = p->cache;

    if (!pc || !pc->expired || pc->entry.fd == -1 ||
        p->request->response.head_sent)
        return false;
    bool error = !(why & (NEXT_403 | NEXT_404 | NEXT_429));
    if (error &&
        pc->entry.valid_s + pc->entry.error_s > (int64_t)clock_wall_s())
        return true;
    return pc->conf->use_stale & why;
}

int proxy_cache_send_stale(struct proxy *p)
{
    response_reset(p->request);
    return send_entry(p, "STALE");
}
