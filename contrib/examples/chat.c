/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A room: what one client says, all hear.  usage: chat [socket path], else
 * descriptor 3.
 *
 *     {"type":"chat","from":"...1a2b","text":"hello"}
 *     {"type":"count","clients":3}
 */
#include <inttypes.h>
#include <penstock_backend.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TEXT_MAX = 16 * 1024 /* bytes of one message */
};

static psb_t *backend;
static int app;
static size_t members; /* clients that have their 101 */

static void on_signal(int sig)
{
    (void)sig;
    psb_stop(backend, 1000);
}

static void tell_count(void)
{
    char json[64];
    int n = snprintf(json, sizeof json, "{\"type\":\"count\",\"clients\":%zu}",
                     members);
    psb_broadcast(backend, app, 0, json, (size_t)n, 0);
}

/* RFC 8259 section 7; the text is UTF-8, the gateway has checked it. */
static size_t escape(char *out, psb_buf text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = text.p[i];
        if (c == '"' || c == '\\')
            out[n++] = '\\';
        if (c < 0x20)
            n += (size_t)sprintf(out + n, "\\u%04x", c);
        else
            out[n++] = (char)c;
    }
    return n;
}

static void on_opened(psb_client_t *c, void *ud)
{
    static char joined;
    (void)ud;
    psb_set_data(c, &joined);
    members++;
    tell_count();
}

static void on_message(psb_client_t *c, int binary, psb_buf text, uint32_t seq,
                       int replay, void *ud)
{
    static char json[6 * TEXT_MAX + 128];
    (void)seq, (void)replay, (void)ud;

    if (binary) {
        psb_close(c, 1003, "text only");
        return;
    }
    if (text.n > TEXT_MAX) {
        psb_close(c, 1009, "too long");
        return;
    }
    size_t n = (size_t)sprintf(
        json, "{\"type\":\"chat\",\"from\":\"%" PRIx64 "\",\"text\":\"",
        psb_id(c));
    n += escape(json + n, text);
    json[n++] = '"';
    json[n++] = '}';
    psb_broadcast(backend, app, 0, json, n, 0);
}

static void on_close(psb_client_t *c, int code, psb_buf reason, int cause,
                     void *ud)
{
    (void)code, (void)reason, (void)cause, (void)ud;
    if (!psb_data(c))
        return; /* it never was in the room */
    members--;
    tell_count();
}

int main(int argc, char **argv)
{
    static const psb_handlers h = {
        .on_opened = on_opened, .on_message = on_message, .on_close = on_close};
    static const psb_app room = {.name = "chat", .h = &h};

    backend = psb_new("chat");
    if (!backend || (app = psb_app_add(backend, &room)) == -1)
        return 1;
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    if (argc > 1 ? psb_serve(backend, argv[1]) : psb_serve_fd(backend, 3)) {
        fprintf(stderr, "chat: %s\n", psb_error(backend));
        return 1;
    }
    int result = psb_run(backend);
    psb_free(backend);
    return result ? 1 : 0;
}
