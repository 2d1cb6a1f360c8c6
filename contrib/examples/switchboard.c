/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A switchboard: clients say what is to be done, one word and its arguments,
 * and are told what came of it.  usage: switchboard [socket path], else
 * descriptor 3.
 *
 *     id                     "id 1099511627777"
 *     to ID TEXT             TEXT to that client
 *     close ID, kill ID      end it
 *     pull ID ROOM           it joins a room
 *     join ROOM, leave ROOM
 *     say ROOM TEXT          TEXT to the room but me; "said MATCHED QUEUED"
 *     all TEXT, own TEXT     TEXT to everybody; "said MATCHED QUEUED"
 *     who ROOM               "members COUNT ID ..."
 *     stats                  "stats {...}" from each gateway process
 */
#include <inttypes.h>
#include <penstock_backend.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 4096 };

static psb_t *backend;
static int app;

static void on_signal(int sig)
{
    (void)sig;
    psb_stop(backend, 1000);
}

/* Who asked may be gone when the answer comes: its id is kept, not it. */
static void *remember(psb_client_t *c)
{
    psb_cid *id = malloc(sizeof *id);
    if (id)
        *id = psb_id(c);
    return id;
}

static void answer(psb_cid id, const char *format, ...)
{
    char text[TEXT_MAX];
    va_list args;

    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n >= (int)sizeof text)
        n = (int)sizeof text - 1;
    psb_send_to(backend, id, 0, text, (size_t)n);
}

static void on_said(psb_t *b, const psb_delivered *d, void *arg)
{
    psb_cid *id = arg;
    (void)b;
    answer(*id, "said %u %u", d->matched, d->queued);
    free(id);
}

static void on_members(psb_t *b, const psb_members *m, void *arg)
{
    char text[TEXT_MAX];
    psb_cid *id = arg;
    int n = snprintf(text, sizeof text, "members %u", m->count);
    (void)b;

    for (size_t i = 0; i < m->ids_n && n < TEXT_MAX - 32; i++)
        n +=
            snprintf(text + n, sizeof text - (size_t)n, " %" PRIu64, m->ids[i]);
    answer(*id, "%s", text);
    free(id);
}

static void on_stats(psb_t *b, psb_buf json, int last, void *arg)
{
    psb_cid *id = arg;
    (void)b;
    if (json.p)
        answer(*id, "stats %.*s", (int)json.n, (const char *)json.p);
    if (last)
        free(id);
}

/* Cuts the next word off *rest. */
static char *word(char **rest)
{
    char *at = *rest + strspn(*rest, " ");
    char *end = at + strcspn(at, " ");

    *rest = *end ? end + 1 : end;
    *end = '\0';
    return at;
}

/* Is the command about another client? */
static int about_another(const char *what, char *rest)
{
    psb_cid id = strtoull(word(&rest), NULL, 10);

    if (strcmp(what, "to") == 0)
        return psb_send_to(backend, id, 0, rest, strlen(rest)), 1;
    if (strcmp(what, "close") == 0)
        return psb_close_cid(backend, id, 4000, "somebody asked for it"), 1;
    if (strcmp(what, "kill") == 0)
        return psb_terminate_cid(backend, id), 1;
    if (strcmp(what, "pull") == 0)
        return psb_subscribe_cid(backend, id, rest), 1;
    return 0;
}

static void do_it(psb_client_t *c, const char *what, char *rest)
{
    psb_cid me = psb_id(c);
    psb_group how = {.done = on_said};

    if (strcmp(what, "id") == 0) {
        answer(me, "id %" PRIu64, me);
    } else if (strcmp(what, "join") == 0) {
        psb_subscribe(c, rest);
    } else if (strcmp(what, "leave") == 0) {
        psb_unsubscribe(c, rest);
    } else if (strcmp(what, "who") == 0) {
        psb_presence(backend, rest, 1, on_members, remember(c));
    } else if (strcmp(what, "stats") == 0) {
        psb_stats(backend, PSB_STATS_PROCESS, 0, on_stats, remember(c));
    } else if (strcmp(what, "say") == 0) {
        const char *room = word(&rest);
        how.except = &me;
        how.except_n = 1;
        how.arg = remember(c);
        psb_publish_with(backend, room, 0, rest, strlen(rest), &how);
    } else if (strcmp(what, "all") == 0 || strcmp(what, "own") == 0) {
        how.scope = what[0] == 'o' ? PSB_OWN : PSB_ALL;
        how.arg = remember(c);
        psb_broadcast_with(backend, app, 0, rest, strlen(rest), &how);
    } else {
        answer(me, "what?");
    }
}

static void on_message(psb_client_t *c, int binary, psb_buf m, uint32_t seq,
                       int replay, void *ud)
{
    char text[TEXT_MAX];
    char *rest = text;
    (void)seq, (void)replay, (void)ud;

    if (binary || m.n >= sizeof text || memchr(m.p, 0, m.n)) {
        psb_close(c, 1003, "short texts only");
        return;
    }
    memcpy(text, m.p, m.n);
    text[m.n] = '\0';
    char *what = word(&rest);
    char copy[TEXT_MAX];
    strcpy(copy, rest);
    if (!about_another(what, copy))
        do_it(c, what, rest);
}

int main(int argc, char **argv)
{
    static const psb_handlers h = {.on_message = on_message};
    static const psb_app board = {.name = "switchboard", .h = &h};

    backend = psb_new("switchboard");
    if (!backend || (app = psb_app_add(backend, &board)) == -1)
        return 1;
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    if (argc > 1 ? psb_serve(backend, argv[1]) : psb_serve_fd(backend, 3)) {
        fprintf(stderr, "switchboard: %s\n", psb_error(backend));
        return 1;
    }
    int result = psb_run(backend);
    psb_free(backend);
    return result ? 1 : 0;
}
