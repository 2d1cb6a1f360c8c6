/* SPDX-License-Identifier: BSD-2-Clause */
#include "roster.h"

#include "world.h"

enum { MANY = 5 };

static struct paper *papers[MANY];
static uint64_t ids[MANY];

static void open_many(void)
{
    world_start(1);
    for (int i = 0; i < MANY; i++)
        papers[i] = paper_open(fake_of(0), &ids[i]);
}

static void close_many(void)
{
    for (int i = 0; i < MANY; i++)
        if (papers[i])
            paper_free(papers[i]);
}

/* The slots of a page, as a number of one digit each. */
static unsigned page(const struct roster_ask *ask, struct roster_page *p)
{
    struct buf question = {0}, answer = {0};
    struct str json;
    uint32_t slot;
    unsigned digits = 0;

    roster_put_ask(ask, &question);
    roster_answer_list(buf_str(&question), &answer);
    assert_true(roster_get_page(p, buf_str(&answer)));
    while (roster_next(&p->all, &slot, &json)) {
        assert_int_equal(json.p[0], '{');
        assert_int_equal(json.p[json.n - 1], '}');
        digits = digits * 10 + slot + 1;
    }
    assert_int_equal(p->all.n, 0);
    buf_fini(&question);
    buf_fini(&answer);
    return digits;
}

static void goes_on_where_a_page_ended(void **state)
{
    (void)state;
    struct roster_page p;
    static const struct {
        const char *why;
        struct roster_ask ask;
        unsigned slots, next;
        bool finished;
    } cases[] = {
        {"a page", {.limit = 2}, 12, 2, false},
        {"the next", {.process = 3, .slot = 2, .limit = 2}, 34, 4, false},
        {"the last", {.process = 3, .slot = 4, .limit = 2}, 5, 5, true},
        {"all", {.limit = 9}, 12345, 5, true},
        {"behind all", {.process = 3, .slot = 77, .limit = 9}, 0, 77, true},
        {"an earlier process",
         {.process = 2, .slot = 4, .limit = 9},
         12345,
         5,
         true},
        {"a later process", {.process = 4, .limit = 9}, 0, 5, true},
    };

    open_many();
    for (size_t i = 0; i < COUNT(cases); i++) {
        unsigned slots = page(&cases[i].ask, &p);
        if (slots != cases[i].slots || p.next != cases[i].next ||
            p.finished != cases[i].finished || p.process != 3)
            fail_msg("%s: %u, next %u, finished %d", cases[i].why, slots,
                     p.next, p.finished);
    }
    close_many();
}

static void finds_by_names_and_by_id(void **state)
{
    (void)state;
    struct roster_page p;
    struct roster_ask ask = {.limit = 9, .pool = STR("test")};

    open_many();
    assert_int_equal(page(&ask, &p), 12345);
    ask.pool = STR("tes");
    assert_int_equal(page(&ask, &p), 0);
    ask = (struct roster_ask){.limit = 9, .app = STR("none")};
    assert_int_equal(page(&ask, &p), 0);
    ask = (struct roster_ask){.limit = 9, .id = ids[3]};
    assert_int_equal(page(&ask, &p), 4);
    ask.id += 1 << 24; /* the slot's next client */
    assert_int_equal(page(&ask, &p), 0);
    close_many();
}

static void kills_one(void **state)
{
    (void)state;
    struct roster_kill k = {.code = 4000, .reason = STR("x")};
    struct roster_page p;
    struct roster_ask ask = {.limit = 9};
    struct buf question = {0}, answer = {0};

    open_many();
    k.id = ids[1];
    roster_put_kill(&k, &question);
    roster_answer_kill(buf_str(&question), &answer);
    assert_str(buf_str(&answer), "1");
    paper_expect(papers[1], "\x88\x03\x0f\xa0x", 5);
    struct sluice_frame f = fake_expect(fake_of(0), SLUICE_CLOSED);
    assert_int_equal(f.header.cid, ids[1]);
    assert_int_equal(f.header.aux, 4000);
    assert_int_equal(page(&ask, &p), 1345);
    buf_clear(&answer);
    roster_answer_kill(buf_str(&question), &answer);
    assert_int_equal(answer.n, 0); /* it is gone */
    buf_fini(&question);
    buf_fini(&answer);
    close_many();
}

/* They come from a worker of ours, whose version may be another one's after
 * an upgrade of the program. */
static void takes_no_half_questions_and_answers(void **state)
{
    (void)state;
    struct roster_ask ask = {.limit = 9, .pool = STR("test")};
    struct roster_kill k = {.id = 1};
    struct roster_page p;
    struct buf question = {0};

    world_start(1);
    roster_put_ask(&ask, &question);
    for (size_t n = 0; n < question.n; n++) {
        struct buf answer = {0};
        roster_answer_list(str_n(question.p, n), &answer);
        assert_true(roster_get_page(&p, buf_str(&answer)));
        assert_false(roster_get_page(&p, str_n(answer.p, 11)));
        buf_fini(&answer);
    }
    buf_clear(&question);
    roster_put_kill(&k, &question);
    for (size_t n = 0; n < question.n; n++) {
        struct buf answer = {0};
        roster_answer_kill(str_n(question.p, n), &answer);
        assert_int_equal(answer.n, 0);
    }
    buf_fini(&question);
}

#define WORLD_TEST(name)                                                       \
    cmocka_unit_test_setup_teardown(name, world_begin, world_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(goes_on_where_a_page_ended),
        WORLD_TEST(finds_by_names_and_by_id),
        WORLD_TEST(kills_one),
        WORLD_TEST(takes_no_half_questions_and_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
