/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "serve/cache.h"

/* In front of each file; in this machine's byte order, since a cache is not
 * carried elsewhere: what does not fit is fetched again. */
struct on_disk {
    char magic[8];
    int64_t valid_s, updating_s, error_s;
    uint64_t body_at;
    uint32_t key_n, vary_n, head_n;
    uint32_t reserved;
    struct cache_hash variant;
};

static const char magic[8] = "PNSTCK1\n";
static const struct str key_mark = STR_INIT("KEY: "); /* so that grep finds
                                                         one */

enum {
    PARTS_MAX = 2 << 20, /* bytes of key and head that we believe */
    FIRST_READ = 4096,
};

/* ---- keys ---- */

static struct cache_hash digest(const struct str *parts, size_t n)
{
    struct cache_hash hash;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    check(ctx && EVP_DigestInit_ex(ctx, EVP_md5(), NULL) == 1);
    for (size_t i = 0; i < n; i++)
        EVP_DigestUpdate(ctx, parts[i].p, parts[i].n);
    check(EVP_DigestFinal_ex(ctx, hash.bytes, NULL) == 1);
    EVP_MD_CTX_free(ctx);
    return hash;
}

struct cache_hash cache_hash_of(struct str key)
{
    return digest(&key, 1);
}

struct cache_hash cache_hash_variant(const struct cache_hash *key,
                                     const struct cache_hash *variant)
{
    struct str parts[] = {str_n(key->bytes, CACHE_HASH_SIZE),
                          str_n(variant->bytes, CACHE_HASH_SIZE)};
    return digest(parts, COUNT(parts));
}

struct cache_hash cache_variant(struct str vary,
                                const struct http_head *request,
                                struct arena *arena)
{
    struct buf text = {0};
    struct str name;

    while (str_list_next(&vary, &name)) {
        struct str value = http_head_join(request, name, arena);
        for (size_t i = 0; i < name.n; i++)
            buf_put_u8(&text, (uint8_t)ascii_lower(name.p[i]));
        buf_put_u8(&text, ':');
        /* Lists that differ in blanks only are the same. */
        for (size_t i = 0; i < value.n; i++)
            if (value.p[i] != ' ' && value.p[i] != '\t')
                buf_put_u8(&text, (uint8_t)value.p[i]);
        buf_put_str(&text, STR("\r\n"));
    }
    struct str all = buf_str(&text);
    struct cache_hash hash = digest(&all, 1);
    buf_fini(&text);
    return hash;
}

static void put_hex(char out[2 * CACHE_HASH_SIZE + 1],
                    const struct cache_hash *hash)
{
    for (size_t i = 0; i < CACHE_HASH_SIZE; i++)
        snprintf(out + 2 * i, 3, "%02x", hash->bytes[i]);
}

/* levels=1:2 of ...a29c is "/c/29/...a29c", as nginx has it. */
static void put_path(struct buf *to, const struct cache *c,
                     const struct cache_hash *hash, unsigned depth, bool whole)
{
    char hex[2 * CACHE_HASH_SIZE + 1];
    size_t end = 2 * CACHE_HASH_SIZE;

    put_hex(hex, hash);
    buf_printf(to, "%s", c->files.path);
    for (unsigned i = 0; i < depth && i < TEMP_LEVELS_MAX && c->files.levels[i];
         i++) {
        end -= c->files.levels[i];
        buf_printf(to, "/%.*s", (int)c->files.levels[i], hex + end);
    }
    if (whole)
        buf_printf(to, "/%s", hex);
}

struct str cache_path_of(const struct cache *c, const struct cache_hash *hash,
                         struct arena *arena)
{
    struct buf text = {0};
    put_path(&text, c, hash, TEMP_LEVELS_MAX, true);
    struct str path = arena_str(arena, buf_str(&text));
    buf_fini(&text);
    return path;
}

/* ---- reading ---- */

static bool read_at(int fd, void *to, size_t n, uint64_t at)
{
    size_t have = 0;

    while (have < n) {
        ssize_t got =
            pread(fd, (char *)to + have, n - have, (off_t)(at + have));
        if (got == -1 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        have += (size_t)got;
    }
    return true;
}

static uint64_t parts_size(const struct on_disk *d)
{
    return (uint64_t)sizeof *d + key_mark.n + d->key_n + 1 + d->vary_n +
           d->head_n;
}

static bool is_sound(const struct on_disk *d, uint64_t size)
{
    return memcmp(d->magic, magic, sizeof magic) == 0 && d->key_n < PARTS_MAX &&
           d->vary_n <= CACHE_VARY_MAX && d->head_n < PARTS_MAX &&
           d->body_at == parts_size(d) && d->body_at <= size;
}

/* What is in front of the body, read at once where it is as small as most. */
static char *read_parts(int fd, uint64_t size, struct arena *arena,
                        struct on_disk *d)
{
    char first[FIRST_READ];
    size_t have = size < sizeof first ? (size_t)size : sizeof first;

    if (have < sizeof *d || !read_at(fd, first, have, 0))
        return NULL;
    memcpy(d, first, sizeof *d);
    if (!is_sound(d, size))
        return NULL;
    /* A small file is all there. */
    size_t n = size == have ? have : (size_t)d->body_at;
    char *parts = arena_alloc(arena, n);
    memcpy(parts, first, n < have ? n : have);
    if (n > have && !read_at(fd, parts + have, n - have, have))
        return NULL;
    return parts;
}

bool cache_file_open(const struct cache *c, const struct cache_hash *hash,
                     struct str key, struct arena *arena,
                     struct cache_entry *out)
{
    struct str path = cache_path_of(c, hash, arena);
    struct on_disk d;
    struct stat st;
    int fd = open(path.p, O_RDONLY | O_CLOEXEC);

    if (fd == -1)
        return false;
    if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode))
        goto close_fd;
    const char *parts = read_parts(fd, (uint64_t)st.st_size, arena, &d);
    if (!parts)
        goto close_fd;
    const char *at = parts + sizeof d + key_mark.n;
    if (!str_eq(str_n(at, d.key_n), key))
        goto close_fd; /* another key of the same hash */
    at += d.key_n + 1;
    *out = (struct cache_entry){
        .fd = fd,
        .valid_s = d.valid_s,
        .updating_s = d.updating_s,
        .error_s = d.error_s,
        .vary = d.vary_n ? str_n(at, d.vary_n) : (struct str){NULL, 0},
        .variant = d.variant,
        .head = str_n(at + d.vary_n, d.head_n),
        .body_at = d.body_at,
        .size = (uint64_t)st.st_size,
    };
    if (out->size <= FIRST_READ)
        out->body = str_n(parts + d.body_at, (size_t)(out->size - d.body_at));
    return true;

close_fd:
    close(fd);
    return false;
}

/* ---- writing ---- */

void cache_file_put_head(struct buf *to, struct str key, struct cache_entry *e)
{
    struct on_disk d;

    memset(&d, 0, sizeof d);
    memcpy(d.magic, magic, sizeof magic);
    d.valid_s = e->valid_s;
    d.updating_s = e->updating_s;
    d.error_s = e->error_s;
    d.key_n = (uint32_t)key.n;
    d.vary_n = (uint32_t)e->vary.n;
    d.head_n = (uint32_t)e->head.n;
    d.variant = e->variant;
    e->body_at = d.body_at = parts_size(&d);
    buf_put(to, &d, sizeof d);
    buf_put_str(to, key_mark);
    buf_put_str(to, key);
    buf_put_u8(to, '\n');
    buf_put_str(to, e->vary);
    buf_put_str(to, e->head);
}

int cache_file_renew(const struct cache *c, const struct cache_hash *hash,
                     const struct cache_entry *e)
{
    struct buf path = {0};
    int64_t times[3] = {e->valid_s, e->updating_s, e->error_s};

    put_path(&path, c, hash, TEMP_LEVELS_MAX, true);
    buf_put_u8(&path, 0);
    int fd = open((char *)path.p, O_WRONLY | O_CLOEXEC);
    buf_fini(&path);
    if (fd == -1)
        return -1;
    int rc = temp_file_write(fd, times, sizeof times,
                             offsetof(struct on_disk, valid_s), 0);
    close(fd);
    return rc;
}

static void make_directories(const struct cache *c,
                             const struct cache_hash *hash)
{
    for (unsigned depth = 1;
         depth <= TEMP_LEVELS_MAX && c->files.levels[depth - 1]; depth++) {
        struct buf path = {0};
        put_path(&path, c, hash, depth, false);
        buf_put_u8(&path, 0);
        mkdir((char *)path.p, 0700); /* what is wrong rename() says */
        buf_fini(&path);
    }
}

int cache_file_move(const struct cache *c, const struct cache_hash *hash,
                    int fd, const char *name)
{
    struct buf path = {0};

    put_path(&path, c, hash, TEMP_LEVELS_MAX, true);
    buf_put_u8(&path, 0);
    int rc = temp_file_move(fd, name, (char *)path.p, 0600);
    if (rc == -1 && errno == ENOENT) {
        make_directories(c, hash);
        rc = temp_file_move(fd, name, (char *)path.p, 0600);
    }
    buf_fini(&path);
    return rc;
}

void cache_file_remove(const struct cache *c, const struct cache_hash *hash)
{
    struct buf path = {0};

    put_path(&path, c, hash, TEMP_LEVELS_MAX, true);
    buf_put_u8(&path, 0);
    if (unlink((char *)path.p) == -1 && errno != ENOENT)
        log_errno(&log_process, LEVEL_CRIT, errno, "unlink() \"%s\" failed",
                  (char *)path.p);
    buf_fini(&path);
}
