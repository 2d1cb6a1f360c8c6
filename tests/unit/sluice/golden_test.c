/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/sluice/golden.h"

#include "sluice/reader.h"
#include "support/feed.h"
#include "unit/sluice/again.h"

static const uint64_t everything = UINT64_MAX;

static enum sluice_role sender_of(unsigned type)
{
    enum { GATEWAY = 1, BOTH = 1, ALL = 1, BACKEND = 2, GROUPS, OPERATOR };
    switch ((enum sluice_type)type) {
#define FRAME(name, code, sender, cid, feature, fixed, body)                   \
    case SLUICE_##name:                                                        \
        return sender == GATEWAY ? SLUICE_ROLE_GATEWAY : SLUICE_ROLE_BACKEND;
#include "sluice/frames.def"
#undef FRAME
    }
    return 0;
}

static struct sluice_reader reader_for(const struct sluice_frame *f)
{
    struct sluice_reader r;
    sluice_reader_init(&r, sender_of(f->header.type), SLUICE_MAX_FRAME_DEFAULT);
    r.features = everything;
    r.hello_seen = f->header.type != SLUICE_HELLO;
    return r;
}

static void every_type_has_a_vector(void **state)
{
    (void)state;
    size_t n;
    struct golden *all = golden_load(&n);
    bool seen[256] = {0};

    for (size_t i = 0; i < n; i++)
        seen[golden_frame(&all[i]).header.type] = true;
#define FRAME(name, code, sender, cid, feature, fixed, body)                   \
    if (!seen[code])                                                           \
        fail_msg("no vector for " #name);
#include "sluice/frames.def"
#undef FRAME
    golden_free(all, n);
}

/* A reader's test: its frames, written again, are what it was fed. */
struct transcript {
    const struct golden *golden;
    struct sluice_reader reader;
    struct buf out;
};

static void begin(void *arg)
{
    struct transcript *t = arg;
    struct sluice_frame f = golden_frame(t->golden);
    t->reader = reader_for(&f);
    buf_clear(&t->out);
}

static int feed(void *arg, struct span *in)
{
    struct transcript *t = arg;
    struct sluice_frame f;
    int got;

    while ((got = sluice_reader_next(&t->reader, in, &f)) == 1)
        if (again(&t->out, &f) != 0)
            fail_msg("%s: get failed", t->golden->name);
    return got;
}

static void end(void *arg, const char *how)
{
    struct transcript *t = arg;
    const struct buf *bytes = &t->golden->bytes;
    if (t->out.n != bytes->n || memcmp(t->out.p, bytes->p, bytes->n) != 0)
        fail_msg("%s, fed %s: other bytes came out", t->golden->name, how);
}

static void every_vector_survives_reading_and_writing(void **state)
{
    (void)state;
    size_t n;
    struct golden *all = golden_load(&n);

    for (size_t i = 0; i < n; i++) {
        struct transcript t = {.golden = &all[i]};
        struct feed f = {&t, begin, feed, end};
        feed_every_split(&f, all[i].bytes.p, all[i].bytes.n);
        buf_fini(&t.out);
    }
    golden_free(all, n);
}

static unsigned fixed_part_of(unsigned type)
{
    switch ((enum sluice_type)type) {
#define FRAME(name, code, sender, cid, feature, fixed, body)                   \
    case SLUICE_##name:                                                        \
        return fixed;
#include "sluice/frames.def"
#undef FRAME
    }
    return 0;
}

/* The payload is copied to memory of just its size, so that a read past its
 * end is seen. */
static void cut_to(const struct golden *g, uint32_t length)
{
    struct sluice_frame f = golden_frame(g);
    uint8_t *bytes = xmalloc(SLUICE_HEADER_SIZE + length);
    struct buf out = {0};

    f.header.length = length;
    sluice_header_put(bytes, &f.header);
    memcpy(bytes + SLUICE_HEADER_SIZE, f.payload.p, length);
    f.payload = (struct span){bytes + SLUICE_HEADER_SIZE, length};
    int got = again(&out, &f);
    assert_true(got == 0 || got < 0);
    if (got != 0)
        assert_int_equal(out.n, 0);

    struct sluice_reader r = reader_for(&f);
    struct span in = {bytes, SLUICE_HEADER_SIZE + length};
    struct sluice_frame read;
    int next = sluice_reader_next(&r, &in, &read);
    if (length < fixed_part_of(f.header.type)) {
        if (got >= 0 || next != -SLUICE_ERROR_PROTOCOL)
            fail_msg("%s cut to %u: get %d, next %d", g->name, length, got,
                     next);
    } else {
        assert_int_equal(next, 1);
    }
    buf_fini(&out);
    free(bytes);
}

static void no_truncation_is_read_past_its_end(void **state)
{
    (void)state;
    size_t n;
    struct golden *all = golden_load(&n);

    for (size_t i = 0; i < n; i++)
        for (uint32_t length = 0; length < golden_frame(&all[i]).header.length;
             length++)
            cut_to(&all[i], length);
    golden_free(all, n);
}

/* A buf that has room for a part of the frame only takes none of it. */
static void what_does_not_fit_is_not_written_at_all(void **state)
{
    (void)state;
    size_t n;
    struct golden *all = golden_load(&n);

    for (size_t i = 0; i < n; i++) {
        struct sluice_frame f = golden_frame(&all[i]);
        struct buf out;
        buf_init(&out, all[i].bytes.n - 1);
        assert_int_equal(again(&out, &f), AGAIN_FULL);
        assert_int_equal(out.n, 0);
        buf_fini(&out);
    }
    golden_free(all, n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_type_has_a_vector),
        TEST(every_vector_survives_reading_and_writing),
        TEST(no_truncation_is_read_past_its_end),
        TEST(what_does_not_fit_is_not_written_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
