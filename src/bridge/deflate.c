/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/deflate.h"

#include <stdlib.h>

#include "base/check.h"

enum {
    ROOM = 64 << 10,      /* bytes that are inflated at a time */
    OUT_KEPT = 512 << 10, /* a larger output buffer is not kept */
    INFLATERS_KEPT = 16,
    LOOKAHEAD = 262, /* what zlib's deflater can not use of its window */
};

/* What the sessions of a worker borrow. */
static struct {
    struct ws_deflater *deflaters[WS_WINDOW_BITS_MAX + 1]; /* by window */
    struct ws_inflater *inflaters[INFLATERS_KEPT];
    size_t inflaters_n;
    struct buf out;
    uint8_t room[ROOM];
} worker;

struct ws_deflater *deflate_take(unsigned bits, unsigned level)
{
    struct ws_deflater *d = worker.deflaters[bits];

    if (!d)
        return ws_deflater_create(bits, level);
    worker.deflaters[bits] = NULL;
    ws_deflater_reset(d, level);
    return d;
}

void deflate_give(struct ws_deflater *d, unsigned bits)
{
    if (worker.deflaters[bits])
        ws_deflater_destroy(d);
    else
        worker.deflaters[bits] = d;
}

/* They read every stream: of the largest window. */
static struct ws_inflater *take_inflater(void)
{
    return worker.inflaters_n ? worker.inflaters[--worker.inflaters_n]
                              : ws_inflater_create(WS_WINDOW_BITS_MAX);
}

static void give_inflater(struct ws_inflater *i)
{
    if (worker.inflaters_n == INFLATERS_KEPT)
        ws_inflater_destroy(i);
    else
        worker.inflaters[worker.inflaters_n++] = i;
}

void deflate_fini(void)
{
    for (size_t i = 0; i < COUNT(worker.deflaters); i++) {
        ws_deflater_destroy(worker.deflaters[i]);
        worker.deflaters[i] = NULL;
    }
    while (worker.inflaters_n)
        ws_inflater_destroy(worker.inflaters[--worker.inflaters_n]);
    buf_fini(&worker.out);
}

/* The output buffer, empty.  A large message of before has left it. */
struct buf *deflate_room(void)
{
    if (worker.out.capacity > OUT_KEPT)
        buf_fini(&worker.out);
    buf_clear(&worker.out);
    return &worker.out;
}

/* ---- life ---- */

struct session_deflate *deflate_agree(const struct deflate_conf *conf,
                                      struct str offers)
{
    struct ws_deflate_params agreed;
    char answer[WS_EXTENSION_TEXT_MAX];

    if (!conf->on || !offers.n ||
        !ws_deflate_negotiate(offers, &conf->wish, &agreed, answer))
        return NULL;
    struct session_deflate *d = xcalloc(1, sizeof *d + strlen(answer) + 1);
    d->agreed = agreed;
    memcpy(d->answer, answer, strlen(answer) + 1);
    return d;
}

void deflate_release(struct session_deflate *d)
{
    if (!d)
        return;
    ws_inflater_destroy(d->inflater);
    ws_deflater_destroy(d->deflater);
    d->inflater = NULL;
    d->deflater = NULL;
}

void deflate_destroy(struct session_deflate *d)
{
    deflate_release(d);
    free(d);
}

/* ---- from the client ---- */

void deflate_begin_in(struct session_deflate *d, bool text, uint64_t max)
{
    bool kept = d->agreed.client_takeover;

    if (!d->inflater)
        d->inflater =
            kept ? ws_inflater_create(d->agreed.client_bits) : take_inflater();
    ws_inflater_begin(d->inflater, kept, text, max);
}

int deflate_next_in(struct session_deflate *d, struct span *in, bool end,
                    struct ws_piece *piece)
{
    int got = ws_inflater_next(d->inflater, in, end,
                               (struct span){worker.room, ROOM}, piece);
    if (got == 1 && piece->last && !d->agreed.client_takeover) {
        give_inflater(d->inflater);
        d->inflater = NULL;
    }
    return got;
}

/* ---- to the client ---- */

unsigned deflate_window_for(uint64_t n, unsigned bits)
{
    unsigned enough = bits < 9 ? bits : 9;
    while (enough < bits && 1u << enough < n + LOOKAHEAD)
        enough++;
    return enough;
}

bool deflate_shared(unsigned bits, unsigned level, struct str data,
                    struct str *out)
{
    struct ws_deflater *z = deflate_take(bits, level);
    struct buf *b = deflate_room();

    ws_deflate(z, data.p, data.n, true, b);
    deflate_give(z, bits);
    *out = buf_str(b);
    return out->n < data.n;
}

static void prepare_own(struct session_deflate *d, unsigned level)
{
    if (!d->deflater)
        d->deflater = ws_deflater_create(d->agreed.server_bits, level);
    else if (d->stale)
        ws_deflater_reset(d->deflater, level);
    d->stale = false;
}

bool deflate_out(struct session_deflate *d, const struct deflate_conf *conf,
                 struct str data, bool first, bool last, struct str *out)
{
    bool kept = d->agreed.server_takeover;
    unsigned bits = d->agreed.server_bits;

    if (first && last && !kept)
        return deflate_shared(deflate_window_for(data.n, bits), conf->level,
                              data, out);
    if (first && kept)
        prepare_own(d, conf->level);
    else if (first)
        d->deflater = deflate_take(bits, conf->level);
    struct buf *b = deflate_room();
    ws_deflate(d->deflater, data.p, data.n, last, b);
    *out = buf_str(b);
    d->deflating = !last;
    if (last && !kept) {
        deflate_give(d->deflater, bits);
        d->deflater = NULL;
    }
    return true;
}

/* ---- websocket_deflate ---- */

const struct deflate_conf deflate_defaults = {
    .level = 1,
    .min = 256,
    .wish = {.server_bits = WS_WINDOW_BITS_MAX,
             .client_bits = WS_WINDOW_BITS_MAX},
};

static int set_number(struct conf *conf, struct str word, const char *name,
                      unsigned least, unsigned most, uint8_t *out)
{
    struct str value = str_slice(word, str_find(word, '=', 0) + 1, word.n);
    uint64_t n;

    if (!str_to_u64(value, most, &n) || n < least)
        return conf_fail(conf,
                         "invalid parameter \"%.*s\", expected \"%s=\" and a "
                         "number from %u to %u",
                         STR_ARG(word), name, least, most);
    *out = (uint8_t)n;
    return 0;
}

static int set_takeover(struct conf *conf, struct str word,
                        struct ws_deflate_params *wish)
{
    struct str rest = str_slice(word, strlen("takeover="), word.n);
    unsigned seen = 0;

    wish->client_takeover = wish->server_takeover = false;
    if (str_eq(rest, STR("off")))
        return 0;
    while (rest.p) {
        struct str who = str_cut(&rest, ',');
        bool client = str_eq(who, STR("client"));
        unsigned bit = client ? 1 : 2;
        if ((!client && !str_eq(who, STR("server"))) || seen & bit)
            return conf_fail(conf,
                             "invalid parameter \"%.*s\", expected "
                             "\"takeover=\" and off, client, server or "
                             "client,server",
                             STR_ARG(word));
        seen |= bit;
    }
    wish->client_takeover = seen & 1;
    wish->server_takeover = seen & 2;
    return 0;
}

static int set_option(struct conf *conf, struct str word,
                      struct deflate_conf *c)
{
    if (str_starts(word, STR("level=")))
        return set_number(conf, word, "level", 1, 9, &c->level);
    if (str_starts(word, STR("window="))) {
        if (set_number(conf, word, "window", WS_WINDOW_BITS_MIN,
                       WS_WINDOW_BITS_MAX, &c->wish.server_bits) == -1)
            return -1;
        c->wish.client_bits = c->wish.server_bits;
        return 0;
    }
    if (str_starts(word, STR("takeover=")))
        return set_takeover(conf, word, &c->wish);
    if (str_starts(word, STR("min="))) {
        if (conf_parse_size(str_slice(word, 4, word.n), &c->min) &&
            c->min <= 1u << 30)
            return 0;
        return conf_fail(conf,
                         "invalid parameter \"%.*s\", expected \"min=\" and a "
                         "size up to 1g",
                         STR_ARG(word));
    }
    return conf_fail(conf,
                     "invalid parameter \"%.*s\", expected \"level=\", "
                     "\"window=\", \"min=\" or \"takeover=\"",
                     STR_ARG(word));
}

int deflate_conf_set(struct conf *conf, struct conf_scope *scope,
                     const struct directive *row, const struct conf_node *node,
                     void *field)
{
    struct deflate_conf *c = field;
    struct str word = conf_arg(node, 1);
    (void)scope;
    (void)row;

    *c = deflate_defaults;
    if (str_eq(word, STR("off"))) {
        if (node->words_n > 2)
            return conf_fail(conf, "invalid parameter \"%.*s\"",
                             STR_ARG(conf_arg(node, 2)));
        return 0;
    }
    if (!str_eq(word, STR("on")))
        return conf_fail(conf,
                         "invalid value \"%.*s\" in \"websocket_deflate\" "
                         "directive, it must be \"on\" or \"off\"",
                         STR_ARG(word));
    c->on = true;
    for (size_t i = 2; i < node->words_n; i++)
        if (set_option(conf, conf_arg(node, i), c) == -1)
            return -1;
    return 0;
}
