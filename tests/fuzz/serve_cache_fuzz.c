/* SPDX-License-Identifier: BSD-2-Clause */
/* A cache file that anything may have written to, and the fields that say how
 * long a response is good. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "serve/cache.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

enum { NOW = 1000000 };

/* "Name:value" lines. */
static void check_rules(struct str text, struct arena *arena)
{
    struct http_field fields[64];
    struct http_head h = {.status = 200, .fields = fields};
    struct cache_freshness f;

    while (text.p && h.fields_n < COUNT(fields)) {
        struct str value = str_cut(&text, '\n');
        fields[h.fields_n].name = str_cut(&value, ':');
        fields[h.fields_n++].value = str_trim(value);
    }
    cache_rules_read(&h, 0, NOW, arena, &f);
    check(!f.storable || f.valid_s >= 0);
    check(f.vary.n <= CACHE_VARY_MAX);
    struct cache_hash a = cache_variant(f.vary, &h, arena);
    struct cache_hash b = cache_variant(f.vary, &h, arena);
    check(memcmp(&a, &b, sizeof a) == 0);
}

static void write_file(const char *path, const uint8_t *p, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    check(fd != -1 && write(fd, p, n) == (ssize_t)n);
    close(fd);
}

static char directory[] = "/dev/shm/penstock-fuzz-XXXXXX";

static void clean_up(void)
{
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", directory);
    if (system(command) != 0)
        abort();
}

static void check_file(const uint8_t *p, size_t n, struct arena *arena)
{
    static bool made;
    struct cache_hash hash = cache_hash_of(STR("key"));
    struct cache_entry e;

    if (!made)
        check(mkdtemp(directory) != NULL && atexit(clean_up) == 0);
    made = true;
    struct cache cache = {.files.path = directory};
    struct str path = cache_path_of(&cache, &hash, arena);
    write_file(path.p, p, n);
    if (cache_file_open(&cache, &hash, STR("key"), arena, &e)) {
        check(e.size == n && e.body_at <= n && e.head.n < n);
        check(!e.body.p || e.body.n == n - e.body_at);
        close(e.fd);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct arena *arena = arena_create(4096);

    if (n && p[0] == 'F')
        check_rules(str_n(p + 1, n - 1), arena);
    else
        check_file(p, n, arena);
    arena_destroy(arena);
    return 0;
}
