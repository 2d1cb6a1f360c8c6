/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rooms: /NAME is a room, and what one client there says, all hear.  A
 * channel is a room, so clients may be at any worker and of any backend.
 * usage: rooms [socket path], else descriptor 3.
 */
#include <penstock_backend.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static psb_t *backend;

static void on_signal(int sig)
{
    (void)sig;
    psb_stop(backend, 1000);
}

static int on_open(psb_client_t *c, const psb_info *i, void *ud)
{
    char *room = strndup((const char *)i->path.p, i->path.n);
    (void)ud;

    /* Before the answer: what is said from now on is not missed. */
    if (!room || psb_subscribe(c, room) == -1) {
        free(room);
        return 404;
    }
    psb_set_data(c, room);
    return PSB_ACCEPT;
}

static void on_message(psb_client_t *c, int binary, psb_buf m, uint32_t seq,
                       int replay, void *ud)
{
    (void)seq, (void)replay, (void)ud;
    psb_publish(backend, psb_data(c), binary, m.p, m.n, psb_id(c));
}

static void on_close(psb_client_t *c, int code, psb_buf reason, int cause,
                     void *ud)
{
    (void)code, (void)reason, (void)cause, (void)ud;
    free(psb_data(c));
}

int main(int argc, char **argv)
{
    static const psb_handlers h = {
        .on_open = on_open, .on_message = on_message, .on_close = on_close};
    static const psb_app app = {.name = "rooms", .h = &h};

    backend = psb_new("rooms");
    if (!backend || psb_app_add(backend, &app) == -1)
        return 1;
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    if (argc > 1 ? psb_serve(backend, argv[1]) : psb_serve_fd(backend, 3)) {
        fprintf(stderr, "rooms: %s\n", psb_error(backend));
        return 1;
    }
    int result = psb_run(backend);
    psb_free(backend);
    return result ? 1 : 0;
}
