/* SPDX-License-Identifier: BSD-2-Clause */
#include <zlib.h>

#include "encoding.h"

enum {
    PIECE_SIZE = 16 * 1024, /* bytes that inflate() makes at a time */
};

struct gunzip_conf {
    bool on;
    struct encoding_buffers buffers;
};

struct gunzip {
    z_stream z;
    bool started;
    bool between; /* a member ended; another may follow (RFC 1952 2.2) */
};

static void end(void *arg)
{
    struct gunzip *g = arg;
    if (g->started)
        inflateEnd(&g->z);
    g->started = false;
}

static int fail(struct filter *f, int rc)
{
    log_err(&f->request->log, "inflate() failed: %d", rc);
    return -1;
}

static int take(struct filter *f, struct str *in, bool last)
{
    static uint8_t piece[PIECE_SIZE]; /* what is kept of it is copied */
    struct gunzip *g = f->state;

    for (;;) {
        if (g->between && in->n) {
            inflateReset(&g->z);
            g->between = false;
        }
        g->z.next_in = (Bytef *)(uintptr_t)in->p;
        g->z.avail_in = (uInt)in->n;
        g->z.next_out = piece;
        g->z.avail_out = sizeof piece;
        int rc = g->between ? Z_BUF_ERROR : inflate(&g->z, Z_SYNC_FLUSH);
        if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
            return fail(f, rc);
        *in = str_slice(*in, in->n - g->z.avail_in, in->n);
        g->between = g->between || rc == Z_STREAM_END;
        struct iovec iov = {piece, sizeof piece - g->z.avail_out};
        bool room = !iov.iov_len || filter_pass(f, &iov, 1, false);
        if (!in->n && g->z.avail_out)
            break;
        if (!room)
            return 0;
    }
    if (!last)
        return 1;
    if (!g->between)
        return fail(f, Z_BUF_ERROR); /* it was cut short */
    filter_pass_end(f);
    return 1;
}

static const struct filter_type gunzip_type = {.name = "gunzip", .take = take};

void gunzip_filter(struct request *r)
{
    const struct gunzip_conf *c = request_conf(r, &gunzip_module);

    if (!c->on ||
        !str_eq_nocase(response_find(r, STR("Content-Encoding")), STR("gzip")))
        return;
    r->response.vary = true;
    if (encoding_gzip_ok(r))
        return;
    struct gunzip *g = arena_calloc(r->arena, sizeof *g);
    if (inflateInit2(&g->z, MAX_WBITS + 16) != Z_OK) {
        log_write(&r->log, LEVEL_ALERT, "inflateInit2() failed");
        return;
    }
    g->started = true;
    arena_on_destroy(r->arena, end, g);
    response_remove(r, STR("Content-Encoding"));
    response_body_changes(r);
    filters_add(r, &gunzip_type, g);
    size_t ahead = (size_t)(c->buffers.n * c->buffers.size);
    if (ahead < r->output_max)
        r->output_max = ahead;
}

/* ---- configuration ---- */

bool gunzip_is_on(const struct conf_scope *scope)
{
    const struct gunzip_conf *c = conf_get(scope, &gunzip_module);
    return c->on;
}

static void gunzip_defaults(void *module_conf)
{
    struct gunzip_conf *c = module_conf;
    c->buffers = (struct encoding_buffers){32, 4096};
}

enum {
    ANYWHERE = CONF_HTTP | CONF_SERVER | CONF_LOCATION,
};

static const struct directive gunzip_directives[] = {
    {.name = "gunzip",
     .contexts = ANYWHERE,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = offsetof(struct gunzip_conf, on),
     .default_text = "off",
     .help = "Unpack gzipped responses for clients that do not take them."},
    {.name = "gunzip_buffers",
     .contexts = ANYWHERE,
     .arity = ARGS_2,
     .set = encoding_set_buffers,
     .offset = offsetof(struct gunzip_conf, buffers),
     .default_text = "32 4k",
     .syntax = "NUMBER SIZE",
     .help = "Their product bounds what waits for a slow client."},
    {.name = NULL},
};

struct conf_module gunzip_module = {
    .name = "gunzip",
    .size = sizeof(struct gunzip_conf),
    .defaults = gunzip_defaults,
    .directives = gunzip_directives,
};
