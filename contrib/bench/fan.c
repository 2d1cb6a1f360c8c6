/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a client of /pub says, every client of /sub hears.
 *
 *     fan SOCKET
 */
#include <penstock_backend.h>
#include <stdio.h>

static psb_t *backend;

static void on_opened(psb_client_t *c, void *ud)
{
    (void)ud;
    psb_subscribe(c, "fan");
}

static void on_message(psb_client_t *c, int binary, psb_buf m, uint32_t seq,
                       int replay, void *ud)
{
    (void)c, (void)seq, (void)replay, (void)ud;
    psb_publish(backend, "fan", binary, m.p, m.n, 0);
}

int main(int argc, char **argv)
{
    static const psb_handlers hears = {.on_opened = on_opened};
    static const psb_handlers says = {.on_message = on_message};
    static const psb_app sub = {
        .name = "sub", .path = "/sub", .path_kind = PSB_EXACT, .h = &hears};
    static const psb_app pub = {
        .name = "pub", .path = "/pub", .path_kind = PSB_EXACT, .h = &says};

    backend = psb_new("fan");
    if (argc != 2 || !backend || psb_app_add(backend, &sub) == -1 ||
        psb_app_add(backend, &pub) == -1 || psb_serve(backend, argv[1])) {
        fprintf(stderr, "fan: %s\n",
                argc == 2 ? psb_error(backend) : "usage: fan SOCKET");
        return 1;
    }
    return psb_run(backend) ? 1 : 0;
}
