/* SPDX-License-Identifier: BSD-2-Clause */
#include <zlib.h>

#include "encoding.h"
#include "serve/subrequest.h"

enum {
    PIECE_SIZE = 16 * 1024, /* bytes that deflate() makes at a time */
    WINDOW_BITS_MIN = 9,    /* zlib mishandles 8 */
};

struct gzip_conf {
    bool on;
    uint64_t level, min_length; /* bytes */
    struct type_set types;
    struct encoding_buffers buffers;
};

/* ---- the filter ---- */

struct gzip {
    z_stream z;
    bool started, ended;
    uint64_t in, out; /* bytes */
};

static void end(void *arg)
{
    struct gzip *g = arg;
    if (g->started && !g->ended)
        deflateEnd(&g->z);
    g->ended = true;
}

/* A small body needs no large window. */
static bool start(struct request *r, struct gzip *g, int64_t length)
{
    const struct gzip_conf *c = request_conf(r, &gzip_module);
    int bits = MAX_WBITS, memory = MAX_MEM_LEVEL - 1;

    while (bits > WINDOW_BITS_MIN && length >= 0 &&
           length < (1 << (bits - 1)) - 262) {
        bits--;
        memory = memory > 1 ? memory - 1 : 1;
    }
    if (deflateInit2(&g->z, (int)c->level, Z_DEFLATED, bits + 16, memory,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        log_write(&r->log, LEVEL_ALERT, "deflateInit2() failed");
        return false;
    }
    g->started = true;
    arena_on_destroy(r->arena, end, g);
    return true;
}

static int take(struct filter *f, struct str *in, bool last)
{
    static uint8_t piece[PIECE_SIZE]; /* what is kept of it is copied */
    struct gzip *g = f->state;
    int flush = last                     ? Z_FINISH
                : f->request->unbuffered ? Z_SYNC_FLUSH
                                         : Z_NO_FLUSH;

    for (;;) {
        g->z.next_in = (Bytef *)(uintptr_t)in->p;
        g->z.avail_in = (uInt)in->n;
        g->z.next_out = piece;
        g->z.avail_out = sizeof piece;
        int rc = deflate(&g->z, flush);
        g->in += in->n - g->z.avail_in;
        *in = str_slice(*in, in->n - g->z.avail_in, in->n);
        struct iovec iov = {piece, sizeof piece - g->z.avail_out};
        g->out += iov.iov_len;
        if (rc == Z_STREAM_END) {
            end(g);
            filter_pass(f, &iov, 1, true);
            return 1;
        }
        if (rc != Z_OK && rc != Z_BUF_ERROR) {
            log_write(&f->request->log, LEVEL_ALERT, "deflate() failed: %d, %d",
                      flush, rc);
            return -1;
        }
        bool room = !iov.iov_len || filter_pass(f, &iov, 1, false);
        if (!in->n && g->z.avail_out)
            return 1;
        if (!room)
            return 0;
    }
}

static const struct filter_type gzip_type = {.name = "gzip", .take = take};

void gzip_filter(struct request *r)
{
    const struct gzip_conf *c = request_conf(r, &gzip_module);
    struct encoding_want want = {&c->types, c->min_length};

    if (!c->on || !encoding_is_wanted(r, &want))
        return;
    r->response.vary = true;
    if (!encoding_gzip_ok(r))
        return;
    struct gzip *g = arena_calloc(r->arena, sizeof *g);
    if (r->head.method != METHOD_HEAD &&
        !start(r, g, r->response.content_length))
        return;
    encoding_begin(r, STR("gzip"), &gzip_type, g, &c->buffers);
}

/* ---- $gzip_ratio ---- */

static bool get_ratio(struct evaluation *e, const struct variable *v,
                      struct str *out)
{
    const struct filter *f = filters_find(e->request, &gzip_type);
    const struct gzip *g = f ? f->state : NULL;
    (void)v;

    if (!g || !g->out)
        return false;
    uint64_t hundredths = (g->in * 1000 / g->out + 5) / 10;
    *out = arena_printf(e->arena, "%llu.%02llu",
                        (unsigned long long)(hundredths / 100),
                        (unsigned long long)(hundredths % 100));
    return true;
}

const struct variable encoding_variables[] = {
    {.name = "gzip_ratio", .get = get_ratio},
    {.name = NULL},
};

/* ---- configuration ---- */

bool gzip_is_on(const struct conf_scope *scope)
{
    const struct gzip_conf *c = conf_get(scope, &gzip_module);
    return c->on;
}

#define FIELD(name) offsetof(struct gzip_conf, name)

enum {
    ANYWHERE = CONF_HTTP | CONF_SERVER | CONF_LOCATION,
};

static void gzip_defaults(void *module_conf)
{
    struct gzip_conf *c = module_conf;
    c->buffers = (struct encoding_buffers){32, 4096};
}

static const struct directive gzip_directives[] = {
    {.name = "gzip",
     .contexts = ANYWHERE | CONF_LOCATION_IF,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(on),
     .default_text = "off",
     .help = "Compress responses for clients that take it."},
    {.name = "gzip_comp_level",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = conf_set_number,
     .offset = FIELD(level),
     .default_text = "1",
     .min = 1,
     .max = 9,
     .help = "How hard to try: 1 is fast, 9 is small."},
    {.name = "gzip_min_length",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = conf_set_size,
     .offset = FIELD(min_length),
     .default_text = "20",
     .help = "The shortest body that is compressed."},
    {.name = "gzip_types",
     .contexts = ANYWHERE,
     .arity = ARGS_1_MORE,
     .set = type_set_set,
     .offset = FIELD(types),
     .syntax = "TYPE ... | *",
     .help = "Media types that are compressed beside text/html."},
    {.name = "gzip_buffers",
     .contexts = ANYWHERE,
     .arity = ARGS_2,
     .set = encoding_set_buffers,
     .offset = FIELD(buffers),
     .default_text = "32 4k",
     .syntax = "NUMBER SIZE",
     .help = "Their product bounds what waits for a slow client."},
    {.name = NULL},
};

struct conf_module gzip_module = {
    .name = "gzip",
    .size = sizeof(struct gzip_conf),
    .defaults = gzip_defaults,
    .directives = gzip_directives,
};
