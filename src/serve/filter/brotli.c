/* SPDX-License-Identifier: BSD-2-Clause */
#include <brotli/encode.h>

#include "encoding.h"
#include "serve/subrequest.h"

struct brotli_conf {
    bool on;
    uint64_t level, min_length, window; /* bytes */
    struct type_set types;
    struct encoding_buffers buffers;
};

/* ---- the filter ---- */

static void end(void *arg)
{
    BrotliEncoderDestroyInstance(arg);
}

static int take(struct filter *f, struct str *in, bool last)
{
    BrotliEncoderState *b = f->state;
    BrotliEncoderOperation op = last ? BROTLI_OPERATION_FINISH
                                : f->request->unbuffered
                                    ? BROTLI_OPERATION_FLUSH
                                    : BROTLI_OPERATION_PROCESS;

    for (;;) {
        const uint8_t *next = (const uint8_t *)in->p;
        size_t n = in->n, none = 0;
        if (!BrotliEncoderCompressStream(b, op, &n, &next, &none, NULL, NULL)) {
            log_write(&f->request->log, LEVEL_ALERT,
                      "BrotliEncoderCompressStream() failed");
            return -1;
        }
        *in = str_slice(*in, in->n - n, in->n);
        size_t size = 0;
        const uint8_t *out = BrotliEncoderTakeOutput(b, &size);
        struct iovec iov = {(void *)(uintptr_t)out, size};
        if (BrotliEncoderIsFinished(b)) {
            filter_pass(f, &iov, 1, true);
            return 1;
        }
        bool room = !size || filter_pass(f, &iov, 1, false);
        if (!in->n && !last && !BrotliEncoderHasMoreOutput(b))
            return 1;
        if (!room)
            return 0;
    }
}

static const struct filter_type brotli_type = {.name = "brotli", .take = take};

static bool is_accepted(struct request *r)
{
    struct str accept =
        http_head_join(&r->head, STR("Accept-Encoding"), r->arena);
    return !request_is_sub(r) && accept.p &&
           encoding_is_accepted(accept, STR("br"));
}

static uint32_t window_bits(uint64_t size)
{
    uint32_t bits = BROTLI_MIN_WINDOW_BITS;
    while (bits < BROTLI_MAX_WINDOW_BITS && UINT64_C(1) << bits < size)
        bits++;
    return bits;
}

void brotli_filter(struct request *r)
{
    const struct brotli_conf *c = request_conf(r, &brotli_module);
    struct encoding_want want = {&c->types, c->min_length};

    if (!c->on || !encoding_is_wanted(r, &want))
        return;
    r->response.vary = true;
    if (!is_accepted(r))
        return;
    BrotliEncoderState *b = NULL;
    if (r->head.method != METHOD_HEAD) {
        b = BrotliEncoderCreateInstance(NULL, NULL, NULL);
        if (!b) {
            log_write(&r->log, LEVEL_ALERT,
                      "BrotliEncoderCreateInstance() failed");
            return;
        }
        arena_on_destroy(r->arena, end, b);
        BrotliEncoderSetParameter(b, BROTLI_PARAM_QUALITY, (uint32_t)c->level);
        BrotliEncoderSetParameter(b, BROTLI_PARAM_LGWIN,
                                  window_bits(c->window));
        int64_t length = r->response.content_length;
        if (length > 0 && length < 1 << 30)
            BrotliEncoderSetParameter(b, BROTLI_PARAM_SIZE_HINT,
                                      (uint32_t)length);
    }
    encoding_begin(r, STR("br"), &brotli_type, b, &c->buffers);
}

/* ---- configuration ---- */

bool brotli_is_on(const struct conf_scope *scope)
{
    const struct brotli_conf *c = conf_get(scope, &brotli_module);
    return c->on;
}

#define FIELD(name) offsetof(struct brotli_conf, name)

static void brotli_defaults(void *module_conf)
{
    struct brotli_conf *c = module_conf;
    c->buffers = (struct encoding_buffers){32, 4096};
}

static int set_window(struct conf *conf, struct conf_scope *scope,
                      const struct directive *row, const struct conf_node *node,
                      void *field)
{
    uint64_t *size = field;
    (void)scope, (void)row;

    if (!conf_parse_size(conf_arg(node, 1), size) || *size < 1024 ||
        *size > 16 << 20 || *size & (*size - 1))
        return conf_fail(conf,
                         "invalid value \"%.*s\", expected a power of two "
                         "from 1k to 16m",
                         STR_ARG(conf_arg(node, 1)));
    return 0;
}

enum {
    ANYWHERE = CONF_HTTP | CONF_SERVER | CONF_LOCATION,
};

static const struct directive brotli_directives[] = {
    {.name = "brotli",
     .contexts = ANYWHERE | CONF_LOCATION_IF,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(on),
     .default_text = "off",
     .help = "Compress with Brotli for clients that take it; before gzip."},
    {.name = "brotli_comp_level",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = conf_set_number,
     .offset = FIELD(level),
     .default_text = "6",
     .max = 11,
     .help = "How hard to try: 0 is fast, 11 is small."},
    {.name = "brotli_min_length",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = conf_set_size,
     .offset = FIELD(min_length),
     .default_text = "20",
     .help = "The shortest body that is compressed."},
    {.name = "brotli_types",
     .contexts = ANYWHERE,
     .arity = ARGS_1_MORE,
     .set = type_set_set,
     .offset = FIELD(types),
     .syntax = "TYPE ... | *",
     .help = "Media types that are compressed beside text/html."},
    {.name = "brotli_window",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = set_window,
     .offset = FIELD(window),
     .default_text = "512k",
     .syntax = "SIZE",
     .help = "How far back a match may lie: a power of two, 1k to 16m."},
    {.name = "brotli_buffers",
     .contexts = ANYWHERE,
     .arity = ARGS_2,
     .set = encoding_set_buffers,
     .offset = FIELD(buffers),
     .default_text = "32 4k",
     .syntax = "NUMBER SIZE",
     .help = "Their product bounds what waits for a slow client."},
    {.name = NULL},
};

struct conf_module brotli_module = {
    .name = "brotli",
    .size = sizeof(struct brotli_conf),
    .defaults = brotli_defaults,
    .directives = brotli_directives,
};
