/* SPDX-License-Identifier: BSD-2-Clause */
/* Sends every message back.  usage: echo [socket path], else descriptor 3. */
#include <penstock_backend.h>
#include <signal.h>
#include <stdio.h>

static psb_t *backend;

static void on_signal(int sig)
{
    (void)sig;
    psb_stop(backend, 1000);
}

static void on_message(psb_client_t *c, int binary, psb_buf m, uint32_t seq,
                       int replay, void *ud)
{
    (void)seq, (void)replay, (void)ud;
    psb_send(c, binary, m.p, m.n);
}

int main(int argc, char **argv)
{
    static const psb_handlers h = {.on_message = on_message};
    static const psb_app app = {.name = "echo", .h = &h};

    backend = psb_new("echo");
    if (!backend || psb_app_add(backend, &app) == -1)
        return 1;
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    if (argc > 1 ? psb_serve(backend, argv[1]) : psb_serve_fd(backend, 3)) {
        fprintf(stderr, "echo: %s\n", psb_error(backend));
        return 1;
    }
    int result = psb_run(backend);
    psb_free(backend);
    return result ? 1 : 0;
}
