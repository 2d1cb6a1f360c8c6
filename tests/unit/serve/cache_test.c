/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/cache.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/test.h"

static char directory[] = "/tmp/penstock-cache-XXXXXX";
static struct zone zone;
static struct cache cache;
static struct arena *arena;

static int set_up(void **state)
{
    struct err err;
    int fd;
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/penstock-cache-XXXXXX");
    assert_non_null(mkdtemp(directory));
    clock_update();
    zone =
        (struct zone){.memory = shm_create("cache", SHM_SIZE_MIN, &fd, &err)};
    assert_non_null(zone.memory);
    close(fd);
    cache = (struct cache){
        .zone = &zone,
        .files = {.path = directory, .levels = {1, 2}},
        .inactive_s = 600,
    };
    arena = arena_create(4096);
    return 0;
}

static int tear_down(void **state)
{
    char command[64];
    (void)state;
    arena_destroy(arena);
    shm_detach(zone.memory);
    snprintf(command, sizeof command, "rm -r %s", directory);
    return system(command) == 0 ? 0 : -1;
}

/* ---- the index ---- */

static enum cache_known use(const struct cache_hash *h, uint32_t expected)
{
    uint32_t uses;
    enum cache_known known = cache_index_use(&cache, h, &uses);
    assert_int_equal(uses, expected);
    return known;
}

static void counts_uses_and_knows_files(void **state)
{
    (void)state;
    struct cache_hash a = cache_hash_of(STR("a")), b = cache_hash_of(STR("b"));

    assert_int_equal(use(&a, 1), CACHE_MAYBE);
    cache_loaded(&cache);
    assert_int_equal(use(&a, 2), CACHE_UNKNOWN);
    assert_true(cache_index_stored(&cache, &a, 100));
    assert_int_equal(use(&a, 3), CACHE_KNOWN);
    assert_int_equal(use(&b, 1), CACHE_UNKNOWN);
    cache_index_forget(&cache, &a);
    assert_int_equal(use(&a, 4), CACHE_UNKNOWN);
}

static void lets_one_fetch(void **state)
{
    (void)state;
    struct cache_hash a = cache_hash_of(STR("a"));

    use(&a, 1);
    assert_true(cache_index_claim(&cache, &a, 60000));
    assert_false(cache_index_claim(&cache, &a, 60000));
    assert_true(cache_index_claim(&cache, &a, 0)); /* it is too old */
    cache_index_release(&cache, &a);
    assert_true(cache_index_claim(&cache, &a, 60000));
}

static void evicts_the_oldest_above_a_size(void **state)
{
    (void)state;
    struct cache_hash h[4], out[4];

    for (int i = 0; i < 4; i++) {
        h[i] = cache_hash_of(str_n(&"abcd"[i], 1));
        assert_true(cache_index_stored(&cache, &h[i], 4096));
    }
    assert_int_equal(cache_index_evict(&cache, 0, out, 4), 0);
    assert_int_equal(cache_index_evict(&cache, 4 * 4096, out, 4), 0);
    use(&h[0], 2); /* now b is the oldest */
    assert_int_equal(cache_index_evict(&cache, 2 * 4096, out, 4), 2);
    assert_memory_equal(&out[0], &h[1], sizeof h[1]);
    assert_memory_equal(&out[1], &h[2], sizeof h[2]);
    use(&h[0], 3);
    use(&h[1], 1);
}

static void goes_on_when_the_zone_is_full(void **state)
{
    (void)state;
    unsigned stored = 0;

    for (uint32_t i = 0; i < 5000; i++) {
        struct cache_hash h = cache_hash_of(str_n(&i, sizeof i));
        uint32_t uses;
        cache_index_use(&cache, &h, &uses);
        stored += cache_index_stored(&cache, &h, 1);
    }
    assert_int_equal(stored, 5000); /* the oldest gave way */
}

static void gives_a_lease_to_one(void **state)
{
    (void)state;
    struct cache other = cache; /* as another process has it */

    assert_true(cache_lease_loader(&cache, 60000));
    assert_true(cache_lease_loader(&cache, 60000));
    assert_false(cache_lease_loader(&other, 60000));
    cache_loaded(&cache);
    assert_false(cache_lease_loader(&cache, 60000));
    assert_true(cache_lease_manager(&other, 60000));
    assert_false(cache_lease_manager(&cache, 60000));
}

/* ---- files ---- */

static void put(const struct cache_hash *hash, struct cache_entry *e)
{
    struct buf parts = {0};
    struct str name;
    struct temp_path in = {.path = directory};
    int fd = temp_file_create(&in, arena, &name);

    assert_true(fd >= 0);
    cache_file_put_head(&parts, STR("the key"), e);
    buf_put_str(&parts, STR("body"));
    assert_int_equal(temp_file_write(fd, parts.p, parts.n, 0, 7), 0);
    assert_int_equal(cache_file_move(&cache, hash, fd, name.p), 0);
    close(fd);
    buf_fini(&parts);
}

static void reads_what_it_wrote(void **state)
{
    (void)state;
    struct cache_hash h = cache_hash_of(STR("the key"));
    struct cache_entry e = {
        .valid_s = 1,
        .updating_s = 2,
        .error_s = 3,
        .vary = STR("Accept"),
        .head = STR("HTTP/1.1 200 OK\r\n\r\n"),
    };
    struct cache_entry got;

    put(&h, &e);
    assert_true(cache_file_open(&cache, &h, STR("the key"), arena, &got));
    assert_int_equal(got.valid_s, 1);
    assert_int_equal(got.updating_s, 2);
    assert_int_equal(got.error_s, 3);
    assert_true(str_eq(got.vary, e.vary));
    assert_true(str_eq(got.head, e.head));
    assert_int_equal(got.size - got.body_at, 4);
    close(got.fd);
    got.valid_s = 9;
    assert_int_equal(cache_file_renew(&cache, &h, &got), 0);
    assert_true(cache_file_open(&cache, &h, STR("the key"), arena, &got));
    assert_int_equal(got.valid_s, 9);
    close(got.fd);
    assert_false(cache_file_open(&cache, &h, STR("other"), arena, &got));
    cache_file_remove(&cache, &h);
    assert_false(cache_file_open(&cache, &h, STR("the key"), arena, &got));
}

/* Every byte of the front changed, and every shorter file: no harm. */
static void believes_no_broken_file(void **state)
{
    (void)state;
    struct cache_hash h = cache_hash_of(STR("the key"));
    struct cache_entry e = {.head = STR("HTTP/1.1 200 OK\r\n\r\n")}, got;

    put(&h, &e);
    struct str path = cache_path_of(&cache, &h, arena);
    for (off_t i = 0; i < (off_t)e.body_at; i++) {
        uint8_t byte, other;
        int fd = open(path.p, O_RDWR);
        assert_int_equal(pread(fd, &byte, 1, i), 1);
        other = (uint8_t)~byte;
        assert_int_equal(pwrite(fd, &other, 1, i), 1);
        if (cache_file_open(&cache, &h, STR("the key"), arena, &got)) {
            assert_true(got.head.n < e.body_at && got.body_at <= got.size);
            close(got.fd);
        }
        assert_int_equal(pwrite(fd, &byte, 1, i), 1);
        close(fd);
    }
    for (off_t n = (off_t)e.body_at - 1; n >= 0; n--) {
        assert_int_equal(truncate(path.p, n), 0);
        assert_false(cache_file_open(&cache, &h, STR("the key"), arena, &got));
    }
}

static void tells_variants_apart(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        {"de", "de", true},    {"de", "en", false}, {"a, b", "a,b", true},
        {"a,b", "b,a", false}, {"", "", true},      {"", "x", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct http_field fa = {STR("Accept-Language"), str_c(cases[i].a)};
        struct http_field fb = {STR("accept-language"), str_c(cases[i].b)};
        struct http_head a = {.fields = &fa, .fields_n = 1};
        struct http_head b = {.fields = &fb, .fields_n = 1};
        struct str vary = STR("accept-Language, X-None");
        struct cache_hash ha = cache_variant(vary, &a, arena);
        struct cache_hash hb = cache_variant(vary, &b, arena);
        if ((memcmp(&ha, &hb, sizeof ha) == 0) != cases[i].same)
            fail_msg("%s and %s", cases[i].a, cases[i].b);
    }
}

#define FRESH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRESH(counts_uses_and_knows_files),
        FRESH(lets_one_fetch),
        FRESH(evicts_the_oldest_above_a_size),
        FRESH(goes_on_when_the_zone_is_full),
        FRESH(gives_a_lease_to_one),
        FRESH(reads_what_it_wrote),
        FRESH(believes_no_broken_file),
        FRESH(tells_variants_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
