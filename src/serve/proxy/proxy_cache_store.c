/* SPDX-License-Identifier: BSD-2-Clause */
/* What is kept of what an upstream answered. */
#include <errno.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "http/writer.h"
#include "proxy_cache.h"
#include "proxy_parts.h"

static uint64_t valid_for(const struct proxy_cache_conf *conf, unsigned status)
{
    for (size_t i = 0; i < conf->valid.n; i++) {
        const struct cache_valid *v = conf->valid.items[i];
        if (!v->status || v->status == status)
            return v->seconds;
    }
    return 0;
}

bool proxy_cache_may_keep(struct proxy *p, const struct http_head *h,
                          unsigned status)
{
    struct proxy_cache *pc = p->cache;
    int64_t now_s = clock_wall_s();

    if (!pc->stores || proxy_cache_any(&pc->conf->no_cache, p->request))
        return false;
    cache_rules_read(h, p->conf->ignore_headers, now_s, p->request->arena,
                     &pc->fresh);
    if (!pc->fresh.storable)
        return false;
    if (!pc->fresh.valid_s) {
        uint64_t seconds = valid_for(pc->conf, status);
        if (!seconds)
            return false;
        pc->fresh.valid_s = now_s + (int64_t)seconds;
    }
    return true;
}

static void put_fields(struct buf *text, const struct http_head *h,
                       struct arena *arena)
{
    struct str connection = http_head_join(h, STR("Connection"), arena);

    http_put_status_line(text, h->status, h->reason);
    for (size_t i = 0; i < h->fields_n; i++) {
        const struct http_field *f = &h->fields[i];
        bool between = http_field_is_hop_by_hop(f->name) ||
                       str_eq_nocase(f->name, STR("Content-Length")) ||
                       (connection.n && str_list_has(connection, f->name));
        if (!between)
            http_put_field(text, f->name, f->value);
    }
    http_put_head_end(text);
}

/* It is complete: it takes its place. */
static void commit(struct proxy *p)
{
    struct proxy_cache *pc = p->cache;
    struct spool *s = &p->spool;

    if (cache_file_move(pc->cache, &pc->hash, s->fd, s->name.p) == -1) {
        log_errno(&p->request->log, LEVEL_CRIT, errno,
                  "rename() of \"%s\" into the cache failed", s->name.p);
        return;
    }
    s->name.p = NULL;
    /* With a zone that is full of what is newer it would never be found. */
    if (!cache_index_stored(pc->cache, &pc->hash, s->write_at))
        cache_file_remove(pc->cache, &pc->hash);
    if (pc->claimed)
        cache_index_release(pc->cache, &pc->hash);
    pc->claimed = false;
}

/* Which file: the key's own unless that is another variant's. */
static void choose_place(struct proxy_cache *pc, struct cache_entry *e)
{
    struct request *r = pc->proxy->request;
    struct cache_entry there;

    if (!e->vary.p) {
        if (memcmp(&pc->hash, &pc->main, sizeof pc->hash) != 0 && pc->claimed) {
            cache_index_release(pc->cache, &pc->hash);
            pc->claimed = false;
        }
        pc->hash = pc->main;
        return;
    }
    e->variant = cache_variant(e->vary, &r->head, r->arena);
    struct cache_hash place = pc->main;
    if (cache_file_open(pc->cache, &pc->main, pc->key, r->arena, &there)) {
        if (there.vary.p &&
            memcmp(&there.variant, &e->variant, sizeof e->variant) != 0)
            place = cache_hash_variant(&pc->main, &e->variant);
        close(there.fd);
    }
    if (pc->claimed && memcmp(&place, &pc->hash, sizeof place) != 0) {
        cache_index_release(pc->cache, &pc->hash);
        pc->claimed = false;
    }
    pc->hash = place;
}

bool proxy_cache_begin(struct proxy *p)
{
    struct proxy_cache *pc = p->cache;
    struct spool *s = &p->spool;

    if (!pc || p->sends_head ||
        !proxy_cache_may_keep(p, &p->response, p->response.status)) {
        if (pc)
            pc->stores = false;
        return false;
    }
    struct temp_path in = {.path = pc->cache->files.path};
    const struct temp_conf *temp = request_conf(p->request, &temp_module);
    if (!proxy_spool_open(p, pc->cache->use_temp_path ? &temp->proxy : &in))
        return false;
    struct buf head = {0}, parts = {0};
    put_fields(&head, &p->response, p->request->arena);
    struct cache_entry e = {
        .fd = -1,
        .valid_s = pc->fresh.valid_s,
        .updating_s = pc->fresh.updating_s,
        .error_s = pc->fresh.error_s,
        .vary = pc->fresh.vary,
        .head = buf_str(&head),
    };
    choose_place(pc, &e);
    cache_file_put_head(&parts, pc->key, &e);
    bool good = temp_file_write(s->fd, parts.p, parts.n, 0, 0) == 0;
    buf_fini(&head);
    buf_fini(&parts);
    s->read_at = s->write_at = e.body_at;
    if (!good) {
        log_errno(&p->request->log, LEVEL_CRIT, errno, "pwrite() \"%s\" failed",
                  s->name.p);
        return false;
    }
    s->whole = true;
    s->commit = commit;
    return true;
}
