/* SPDX-License-Identifier: BSD-2-Clause */
/* ssl_session_cache shared:: sessions that any worker resumes. */
#include "base/shm_dict.h"
#include "tls_parts.h"

enum {
    EVICTIONS_MAX = 64 /* old sessions that give way to a new one */
};

const struct zone_kind ssl_session_zone = {.name = "ssl_session_cache"};

struct stored {
    uint32_t n;
    unsigned char bytes[];
};

/* With the lock; NULL: the memory has no room even for that. */
static struct shm_dict *sessions_of(struct shm *m)
{
    struct shm_dict *d = shm_at(m, shm_root(m));
    if (!d && (d = shm_dict_create(m)))
        shm_set_root(m, shm_ref_of(m, d));
    return d;
}

static void put(void *arg, struct str id, struct str session)
{
    struct zone *z = arg;
    struct stored *s;

    if (!z->memory)
        return;
    shm_lock(z->memory);
    struct shm_dict *d = sessions_of(z->memory);
    if (d && (s = shm_dict_find(z->memory, d, id)))
        shm_dict_remove(z->memory, d, s);
    for (int i = 0; d && i < EVICTIONS_MAX; i++) {
        s = shm_dict_add(z->memory, d, id, sizeof *s + session.n);
        if (s) {
            s->n = (uint32_t)session.n;
            memcpy(s->bytes, session.p, session.n);
            break;
        }
        void *oldest = shm_dict_oldest(z->memory, d);
        if (!oldest)
            break;
        shm_dict_remove(z->memory, d, oldest);
    }
    shm_unlock(z->memory);
}

static bool find(void *arg, struct str id, struct buf *out)
{
    struct zone *z = arg;

    if (!z->memory)
        return false;
    shm_lock(z->memory);
    struct shm_dict *d = sessions_of(z->memory);
    struct stored *s = d ? shm_dict_find(z->memory, d, id) : NULL;
    bool found = s && buf_put(out, s->bytes, s->n);
    shm_unlock(z->memory);
    return found;
}

static void drop(void *arg, struct str id)
{
    struct zone *z = arg;

    if (!z->memory)
        return;
    shm_lock(z->memory);
    struct shm_dict *d = sessions_of(z->memory);
    void *s = d ? shm_dict_find(z->memory, d, id) : NULL;
    if (s)
        shm_dict_remove(z->memory, d, s);
    shm_unlock(z->memory);
}

const struct tls_session_store *ssl_session_store(struct conf *conf,
                                                  struct zone *zone)
{
    struct tls_session_store *s = arena_calloc(conf->arena, sizeof *s);
    *s = (struct tls_session_store){
        .put = put, .find = find, .drop = drop, .arg = zone};
    return s;
}
