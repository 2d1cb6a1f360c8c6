/* SPDX-License-Identifier: BSD-2-Clause */
#include "inquiry.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/bytes.h"
#include "relay.h"
#include "world.h"

static struct {
    unsigned each, done, missing;
    struct buf sent; /* to the other workers, the last */
    unsigned sendings;
} saw;

static void on_each(void *arg, struct str answer)
{
    (void)arg;
    (void)answer;
    saw.each++;
}

static void on_done(void *arg, unsigned missing)
{
    (void)arg;
    saw.done++;
    saw.missing += missing;
}

static bool to_others(void *owner, int fd)
{
    char bytes[4096];
    (void)owner;

    ssize_t n = pread(fd, bytes, sizeof bytes, 0);
    assert_true(n > 0);
    buf_clear(&saw.sent);
    buf_put(&saw.sent, bytes, (size_t)n);
    saw.sendings++;
    return true;
}

static void from_another(const void *bytes, size_t n)
{
    int fd = memfd_create("test", MFD_CLOEXEC);

    assert_int_equal(write(fd, bytes, n), n);
    bridge_relayed(fd);
    close(fd);
}

static int begin(void **state)
{
    memset(&saw, 0, sizeof saw);
    int rc = world_begin(state);
    world_start(1);
    bridge_set_relay(to_others, NULL);
    return rc;
}

static int end(void **state)
{
    bridge_set_relay(NULL, NULL);
    buf_fini(&saw.sent);
    return world_end(state);
}

static struct inquiry *ask(void)
{
    return inquiry_ask(INQUIRY_POOLS, STR(""), on_each, on_done, NULL);
}

static void has_a_limit(void **state)
{
    struct inquiry *all[INQUIRIES_MAX];
    (void)state;

    for (size_t i = 0; i < COUNT(all); i++) {
        all[i] = ask();
        assert_non_null(all[i]);
        assert_int_equal(saw.each, i + 1);
    }
    assert_null(ask());
    assert_int_equal(saw.done, 0);
    inquiry_cancel(all[0]);
    inquiry_cancel(all[COUNT(all) - 1]);
    world_turn();
    assert_int_equal(saw.done, COUNT(all) - 2);
    assert_int_equal(saw.missing, 0);
    assert_non_null(ask());
    world_turn();
    assert_int_equal(saw.done, COUNT(all) - 1);
}

/* kind, what, 0, asker, serial, answerer */
static void takes_what_others_say(void **state)
{
    static const struct {
        const char *why;
        uint8_t kind, what;
        size_t n; /* bytes of the head that come */
        bool answered;
    } rows[] = {
        {"a question", RELAY_QUESTION, INQUIRY_POOLS, 16, true},
        {"another", RELAY_QUESTION, INQUIRY_LIST, 16, true},
        {"one about nothing", RELAY_QUESTION, INQUIRY_KILL, 16, true},
        {"the last", RELAY_QUESTION, INQUIRY_PUBLISH, 16, true},
        {"what nobody answers", RELAY_QUESTION, INQUIRY_PUBLISH + 1, 16, false},
        {"the largest", RELAY_QUESTION, 255, 16, false},
        {"half a head", RELAY_QUESTION, INQUIRY_POOLS, 15, false},
        {"a byte", RELAY_QUESTION, INQUIRY_POOLS, 1, false},
        {"an answer that nobody waits for", RELAY_ANSWER, 0, 16, false},
        {"half of one", RELAY_ANSWER, 0, 15, false},
        {"a kind that is none", RELAY_ANSWER + 1, 0, 16, false},
    };
    (void)state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        char head[16] = {(char)rows[i].kind, (char)rows[i].what};
        /* Answers are for this process. */
        le32_put(head + 4, (uint32_t)getpid());
        le32_put(head + 8, 0x01020304);
        saw.sendings = 0;
        from_another(head, rows[i].n);
        if (saw.sendings != rows[i].answered)
            fail_msg("%s: answered %u times", rows[i].why, saw.sendings);
        if (!rows[i].answered)
            continue;
        assert_true(saw.sent.n >= 16);
        assert_int_equal(saw.sent.p[0], RELAY_ANSWER);
        assert_int_equal(saw.sent.p[1], rows[i].what);
        assert_memory_equal(saw.sent.p + 4, head + 4, 8);
        assert_int_equal(le32_get((char *)saw.sent.p + 12), getpid());
    }
    assert_int_equal(saw.each, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(has_a_limit, begin, end),
        cmocka_unit_test_setup_teardown(takes_what_others_say, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
