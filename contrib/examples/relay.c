/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A stage: what one client says, all who are there when it begins hear as it
 * comes, in as many pieces.  usage: relay [socket path], else descriptor 3.
 */
#include <penstock_backend.h>
#include <signal.h>
#include <stdio.h>

static psb_t *backend;
static int app;

static void on_signal(int sig)
{
    (void)sig;
    psb_stop(backend, 1000);
}

/* The stream under way of a client is what psb_data() holds. */
static void on_fragment(psb_client_t *c, int opcode, psb_buf piece, int first,
                        int last, void *ud)
{
    (void)ud;
    if (first) {
        uint64_t id = psb_bstream_begin(backend, app, opcode == 2);
        psb_set_data(c, (void *)(uintptr_t)id);
    }
    uint64_t id = (uintptr_t)psb_data(c);
    psb_bstream_write(backend, id, piece.p, piece.n);
    if (last) {
        psb_bstream_end(backend, id);
        psb_set_data(c, NULL);
    }
}

/* It left in the middle: the others are inside its message. */
static void on_close(psb_client_t *c, int code, psb_buf reason, int cause,
                     void *ud)
{
    (void)code, (void)reason, (void)cause, (void)ud;
    if (psb_data(c))
        psb_bstream_end(backend, (uintptr_t)psb_data(c));
}

int main(int argc, char **argv)
{
    static const psb_handlers h = {.on_fragment = on_fragment,
                                   .on_close = on_close};
    static const psb_app stage = {.name = "stage", .h = &h};

    backend = psb_new("relay");
    if (!backend || (app = psb_app_add(backend, &stage)) == -1)
        return 1;
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    if (argc > 1 ? psb_serve(backend, argv[1]) : psb_serve_fd(backend, 3)) {
        fprintf(stderr, "relay: %s\n", psb_error(backend));
        return 1;
    }
    int result = psb_run(backend);
    psb_free(backend);
    return result ? 1 : 0;
}
