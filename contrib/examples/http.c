/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Answers HTTP requests: says what was asked, and sends a body back as it
 * comes.  usage: http [socket path], else descriptor 3.
 */
#include <penstock_backend.h>
#include <signal.h>
#include <stdio.h>

static psb_t *backend;

static void on_signal(int sig)
{
    (void)sig;
    psb_stop(backend, 1000);
}

static void on_http(psb_client_t *c, const psb_info *i, int more, void *ud)
{
    static const char *const headers[] = {"Content-Type", "text/plain", NULL};
    char line[1024];
    (void)ud;

    int n = snprintf(line, sizeof line, "%.*s %.*s\n", (int)i->method.n,
                     (const char *)i->method.p, (int)i->target.n,
                     (const char *)i->target.p);
    if (n >= (int)sizeof line)
        n = (int)sizeof line - 1;
    psb_http_respond(c, 200, headers, line, (size_t)n, more);
}

static void on_writable(psb_client_t *c, void *ud)
{
    (void)ud;
    psb_resume(c);
}

/* A client that does not read is read no more. */
static void on_http_body(psb_client_t *c, psb_buf piece, int more, void *ud)
{
    (void)ud;
    if (psb_http_write(c, piece.p, piece.n, more) == 1 && more)
        psb_pause(c);
}

int main(int argc, char **argv)
{
    static const psb_handlers h = {.on_http = on_http,
                                   .on_http_body = on_http_body,
                                   .on_writable = on_writable};
    static const psb_app app = {.name = "http", .h = &h};

    backend = psb_new("http");
    if (!backend || psb_app_add(backend, &app) == -1)
        return 1;
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    if (argc > 1 ? psb_serve(backend, argv[1]) : psb_serve_fd(backend, 3)) {
        fprintf(stderr, "http: %s\n", psb_error(backend));
        return 1;
    }
    int result = psb_run(backend);
    psb_free(backend);
    return result ? 1 : 0;
}
