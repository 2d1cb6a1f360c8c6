/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/backend/gateway.h"

struct app {
    psb_t *b;
    struct buf heard;
};

static void on_log(psb_t *b, psb_client_t *c, int level, psb_buf text, void *ud)
{
    struct app *a = ud;
    assert_ptr_equal(b, a->b);
    buf_printf(&a->heard, "log %d %llu %.*s;", level,
               c ? (unsigned long long)psb_id(c) : 0, (int)text.n, text.p);
}

static const psb_handlers handlers = {.on_log = on_log};

static void begin(struct app *a, struct gateway *g)
{
    psb_app app = {.name = "a", .h = &handlers, .ud = a};

    *a = (struct app){.b = psb_new("test")};
    assert_int_equal(psb_app_add(a->b, &app), 1);
    gateway_connect(g, a->b);
}

static void finish(struct app *a, struct gateway *g)
{
    psb_free(a->b);
    buf_fini(&a->heard);
    gateway_fini(g);
}

static void assert_hears(struct app *a, const char *what)
{
    assert_str(buf_str(&a->heard), what);
    buf_clear(&a->heard);
}

static void put_log(struct gateway *g, uint64_t cid, unsigned level,
                    const char *text)
{
    struct sluice_log line = {
        .cid = cid, .level = (uint16_t)level, .text = str_c(text)};
    sluice_log_put(&g->out, &line);
}

static void asks_for_lines_as_it_debugs(void **state)
{
    (void)state;
    struct app a;
    struct gateway g;
    struct sluice_frame f;
    static const struct {
        int debug;
        unsigned level;
    } steps[] = {{1, 6}, {2, 7}, {9, 7}, {0, 0xffff}, {-1, 0xffff}};

    begin(&a, &g);
    gateway_greet(&g, a.b);
    for (size_t i = 0; i < COUNT(steps); i++) {
        psb_set_debug(a.b, steps[i].debug);
        turn(a.b);
        assert_heard(&g, SLUICE_SETLOG, &f);
        assert_int_equal(f.header.aux, steps[i].level);
    }
    finish(&a, &g);
}

static void asks_every_gateway_that_comes(void **state)
{
    (void)state;
    struct app a;
    struct gateway g;
    struct sluice_frame f;

    begin(&a, &g);
    psb_set_debug(a.b, 1);
    gateway_hello(&g);
    turn(a.b);
    assert_heard(&g, SLUICE_HELLO, &f);
    assert_heard(&g, SLUICE_REGISTER, &f);
    assert_heard(&g, SLUICE_SETLOG, &f);
    assert_heard(&g, SLUICE_READY, &f);
    finish(&a, &g);
}

static void hands_lines_of_the_gateway_on(void **state)
{
    (void)state;
    struct app a;
    struct gateway g;
    char text[64];

    begin(&a, &g);
    gateway_greet(&g, a.b);
    gateway_open(&g, 1);
    put_log(&g, 0, 3, "of the link");
    put_log(&g, cid_of(1), 7, "of a client");
    put_log(&g, cid_of(2), 6, "of nobody");
    gateway_say(&g);
    turn(a.b);
    snprintf(text, sizeof text, "log 7 %llu of a client;",
             (unsigned long long)cid_of(1));
    assert_true(str_starts(buf_str(&a.heard), STR("log 3 0 of the link;")));
    buf_drop(&a.heard, strlen("log 3 0 of the link;"));
    assert_true(str_starts(buf_str(&a.heard), str_c(text)));
    buf_drop(&a.heard, strlen(text));
    assert_hears(&a, "log 6 0 of nobody;");
    finish(&a, &g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asks_for_lines_as_it_debugs),
        cmocka_unit_test(asks_every_gateway_that_comes),
        cmocka_unit_test(hands_lines_of_the_gateway_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
