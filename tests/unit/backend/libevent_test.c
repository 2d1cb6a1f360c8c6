/* SPDX-License-Identifier: BSD-2-Clause */
#include "penstock_backend_libevent.h"

#include "unit/backend/gateway.h"

static psb_client_t *client;

static int on_open(psb_client_t *c, const psb_info *info, void *ud)
{
    (void)info, (void)ud;
    client = c;
    return PSB_ACCEPT;
}

static void spin(struct event_base *base)
{
    for (int i = 0; i < 5; i++)
        event_base_loop(base, EVLOOP_NONBLOCK);
}

static void lives_in_a_libevent_loop(void **state)
{
    (void)state;
    static const psb_handlers h = {.on_open = on_open};
    const psb_app app = {.name = "t", .h = &h};
    struct event_base *base = event_base_new();
    psb_t *b = psb_new("t");
    struct gateway g;
    struct sluice_frame f;

    psb_app_add(b, &app);
    assert_int_equal(psb_attach(b, &psb_libevent_ops, base), 0);
    gateway_connect(&g, b);
    spin(base);
    assert_heard(&g, SLUICE_HELLO, &f);
    gateway_hello(&g);
    spin(base);
    assert_heard(&g, SLUICE_REGISTER, &f);
    assert_heard(&g, SLUICE_READY, &f);
    gateway_open(&g, 5);
    gateway_data(&g, SLUICE_TEXT, 5, false, "x");
    gateway_say(&g);
    spin(base);
    assert_heard(&g, SLUICE_ACCEPT, &f);

    /* What is sent outside of any callback leaves too. */
    assert_int_equal(psb_send(client, 0, "hi", 2), 0);
    assert_int_equal(gateway_hear(&g, &f), 0);
    spin(base);
    assert_heard(&g, SLUICE_TEXT, &f);
    assert_str(sluice_payload(&f), "hi");

    /* The timer returns the credit of "x". */
    usleep(110000);
    spin(base);
    assert_heard(&g, SLUICE_ACK, &f);

    psb_stop(b, 0);
    spin(base);
    assert_true(psb_is_stopped(b));
    psb_free(b);
    event_base_free(base);
    gateway_fini(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(lives_in_a_libevent_loop)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
