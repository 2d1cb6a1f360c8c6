/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Speaks a protocol of its own with clients that ask for it: "Upgrade: lines",
 * then every line comes back.  For a pool with `allow_tunnel on`.
 * usage: tunnel [socket path], else descriptor 3.
 */
#include <penstock_backend.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static psb_t *backend;

static void on_signal(int sig)
{
    (void)sig;
    psb_stop(backend, 1000);
}

static void on_http(psb_client_t *c, const psb_info *i, int more, void *ud)
{
    static const char head[] = "HTTP/1.1 101 Switching Protocols\r\n"
                               "Connection: Upgrade\r\n"
                               "Upgrade: lines\r\n\r\n";
    psb_buf wanted = psb_header(c, "Upgrade");
    (void)i;
    (void)more;
    (void)ud;

    if (wanted.n != 5 || strncasecmp((const char *)wanted.p, "lines", 5) != 0 ||
        psb_accept_tunnel(c) == -1)
        psb_http_respond(c, 400, NULL, "no lines\n", 9, 0);
    else
        psb_tunnel_write(c, head, sizeof head - 1, 1);
}

/* A client that does not read is read no more; the last word is ours too. */
static void on_tunnel(psb_client_t *c, psb_buf bytes, int more, void *ud)
{
    (void)ud;
    if (psb_tunnel_write(c, bytes.p, bytes.n, more) == 1 && more)
        psb_pause(c);
}

static void on_writable(psb_client_t *c, void *ud)
{
    (void)ud;
    psb_resume(c);
}

int main(int argc, char **argv)
{
    static const psb_handlers h = {
        .on_http = on_http, .on_tunnel = on_tunnel, .on_writable = on_writable};
    static const psb_app app = {.name = "tunnel", .h = &h};

    backend = psb_new("tunnel");
    if (!backend || psb_app_add(backend, &app) == -1)
        return 1;
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    if (argc > 1 ? psb_serve(backend, argv[1]) : psb_serve_fd(backend, 3)) {
        fprintf(stderr, "tunnel: %s\n", psb_error(backend));
        return 1;
    }
    int result = psb_run(backend);
    psb_free(backend);
    return result ? 1 : 0;
}
