/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Decides who may come in, and echoes to those who did.  usage: gate [socket
 * path], else descriptor 3.  The origin that is let in is $GATE_ORIGIN, or
 * http://localhost:8080; clients without an Origin are no browsers.
 */
#include <penstock_backend.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static psb_t *backend;
static const char *allowed = "http://localhost:8080";

static void on_signal(int sig)
{
    (void)sig;
    psb_stop(backend, 1000);
}

static int is(psb_buf b, const char *text)
{
    return b.n == strlen(text) && memcmp(b.p, text, b.n) == 0;
}

/* True when the query has the argument, and something in it. */
static int has_argument(psb_buf target, const char *name)
{
    const char *p = (const char *)target.p, *end = p + target.n;
    size_t n = strlen(name);

    p = target.n ? memchr(p, '?', target.n) : NULL;
    while (p && ++p < end) {
        size_t left = (size_t)(end - p);
        if (left > n + 1 && memcmp(p, name, n) == 0 && p[n] == '=' &&
            p[n + 1] != '&')
            return 1;
        p = memchr(p, '&', left);
    }
    return 0;
}

static int refuse(psb_client_t *c, int status, const char *const *headers,
                  const char *text)
{
    psb_buf body = {(const uint8_t *)text, strlen(text)};
    psb_reject(c, status, headers, body, text);
    return status;
}

static int on_open(psb_client_t *c, const psb_info *info, void *ud)
{
    static const char *const known[] = {"gate.v2", "gate.v1"};
    static const char *const ask[] = {"WWW-Authenticate", "Bearer",
                                      "Content-Type", "text/plain", NULL};
    psb_buf offer;
    (void)ud;

    if (info->origin.p && !is(info->origin, allowed))
        return refuse(c, 403, NULL, "not from this origin\n");
    if (!has_argument(info->target, "token"))
        return refuse(c, 401, ask, "a token, please\n");
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; (offer = psb_offer(c, i)).p; i++)
            if (is(offer, known[k]))
                return psb_accept(c, known[k], NULL) ? 500 : PSB_ACCEPT;
    return refuse(c, 400, NULL, "speak gate.v2 or gate.v1\n");
}

static void on_message(psb_client_t *c, int binary, psb_buf m, uint32_t seq,
                       int replay, void *ud)
{
    (void)seq, (void)replay, (void)ud;
    psb_send(c, binary, m.p, m.n);
}

int main(int argc, char **argv)
{
    static const psb_handlers h = {.on_open = on_open,
                                   .on_message = on_message};
    static const psb_app app = {.name = "gate", .h = &h};

    if (getenv("GATE_ORIGIN"))
        allowed = getenv("GATE_ORIGIN");
    backend = psb_new("gate");
    if (!backend || psb_app_add(backend, &app) == -1)
        return 1;
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    if (argc > 1 ? psb_serve(backend, argv[1]) : psb_serve_fd(backend, 3)) {
        fprintf(stderr, "gate: %s\n", psb_error(backend));
        return 1;
    }
    int result = psb_run(backend);
    psb_free(backend);
    return result ? 1 : 0;
}
