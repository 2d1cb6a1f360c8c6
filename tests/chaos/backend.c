/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Answers numbered messages, and checks that none is missing, repeated without
 * a mark, or out of order.  What it knows of a client is in the state that it
 * leaves with the gateway: it may be killed at any time.  Faults are lines of
 * the error log that begin with CHAOS.  usage: backend [/socket/path], else
 * descriptor 3.
 */
#include <penstock_backend.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct known {
    uint32_t last;
};

static psb_t *backend;

static void on_signal(int sig)
{
    (void)sig;
    psb_stop(backend, 5000);
}

static void remember(psb_client_t *c, psb_buf state)
{
    struct known *k = calloc(1, sizeof *k);
    if (!k)
        abort();
    if (state.n == sizeof *k)
        memcpy(k, state.p, sizeof *k);
    psb_set_data(c, k);
}

static int on_open(psb_client_t *c, const psb_info *i, void *ud)
{
    (void)i, (void)ud;
    remember(c, (psb_buf){NULL, 0});
    return PSB_ACCEPT;
}

static void on_resume(psb_client_t *c, const psb_info *i, psb_buf state,
                      uint32_t unacked, void *ud)
{
    (void)unacked, (void)ud;
    remember(c, state);
    if (i->truncated)
        psb_log(backend, 3, "CHAOS: a message of %llx was cut",
                (unsigned long long)psb_id(c));
}

static void on_message(psb_client_t *c, int binary, psb_buf m, uint32_t seq,
                       int replay, void *ud)
{
    struct known *k = psb_data(c);
    char text[32] = "";
    (void)binary, (void)ud;

    memcpy(text, m.p, m.n < sizeof text - 1 ? m.n : sizeof text - 1);
    uint32_t number = (uint32_t)strtoul(text, NULL, 10);
    if (number == 0)
        return; /* of a client that sends garbage */
    char fill = (char)('a' + number % 26);
    bool whole = m.n > 8 && m.p[m.n - 1] == (uint8_t)fill;
    bool again = replay && number <= k->last;
    if (!whole || number != seq || (number != k->last + 1 && !again))
        psb_log(backend, 3,
                "CHAOS: %llx: message %u (seq %u, %zu bytes, replay %d, whole "
                "%d) after %u",
                (unsigned long long)psb_id(c), number, seq, m.n, replay, whole,
                k->last);
    if (number > k->last)
        k->last = number;
    /* The answer first: it may come twice, but never not at all. */
    int n =
        snprintf(text, sizeof text, "%u%s", number, replay ? " replay" : "");
    psb_send(c, 0, text, (size_t)n);
    psb_set_state(c, (psb_buf){(const uint8_t *)k, sizeof *k}, seq);
}

static void on_close(psb_client_t *c, int code, psb_buf reason, int cause,
                     void *ud)
{
    (void)code, (void)reason, (void)cause, (void)ud;
    free(psb_data(c));
}

int main(int argc, char **argv)
{
    static const psb_handlers h = {.on_open = on_open,
                                   .on_resume = on_resume,
                                   .on_message = on_message,
                                   .on_close = on_close};
    static const psb_app app = {.name = "chaos", .h = &h};

    backend = psb_new("chaos");
    if (!backend || psb_app_add(backend, &app) == -1)
        return 1;
    signal(SIGTERM, on_signal);
    bool by_itself = argc > 1 && argv[1][0] == '/';
    if (by_itself ? psb_serve(backend, argv[1]) : psb_serve_fd(backend, 3))
        return 1;
    int result = psb_run(backend);
    psb_free(backend);
    return result ? 1 : 0;
}
