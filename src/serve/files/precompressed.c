/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/check.h"
#include "serve/encodings.h"

enum precompressed_use {
    STATIC_OFF = 0,
    STATIC_ON = 1,
    STATIC_ALWAYS = 2,
};

struct precompressed_conf {
    unsigned brotli, gzip; /* enum precompressed_use */
};

static bool brotli_ok(struct request *r)
{
    struct str accept =
        http_head_join(&r->head, STR("Accept-Encoding"), r->arena);
    return accept.p && encoding_is_accepted(accept, STR("br"));
}

bool precompressed_next(struct request *r, unsigned *i,
                        struct precompressed *with, bool *accepted)
{
    const struct precompressed_conf *c = request_conf(r, &precompressed_module);
    const struct encoding_conf *e = request_conf(r, &encoding_module);

    if (!c->brotli && !c->gzip)
        return false;
    while (*i < 2) {
        bool is_brotli = (*i)++ == 0;
        unsigned use = is_brotli ? c->brotli : c->gzip;
        if (use == STATIC_OFF)
            continue;
        *accepted = use == STATIC_ALWAYS ||
                    (is_brotli ? brotli_ok(r) : encoding_gzip_ok(r));
        if (!*accepted && !e->vary)
            continue;
        *with = (struct precompressed){
            .suffix = is_brotli ? STR(".br") : STR(".gz"),
            .coding = is_brotli ? STR("br") : STR("gzip"),
            .always = use == STATIC_ALWAYS,
        };
        return true;
    }
    return false;
}

static const struct conf_enum names[] = {
    {"off", STATIC_OFF},
    {"on", STATIC_ON},
    {"always", STATIC_ALWAYS},
    {NULL, 0},
};

enum {
    ANYWHERE = CONF_HTTP | CONF_SERVER | CONF_LOCATION,
};

static const struct directive precompressed_directives[] = {
    {.name = "gzip_static",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = conf_set_enum,
     .offset = offsetof(struct precompressed_conf, gzip),
     .data = names,
     .default_text = "off",
     .help = "Send FILE.gz in place of FILE to clients that take it."},
    {.name = "brotli_static",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = conf_set_enum,
     .offset = offsetof(struct precompressed_conf, brotli),
     .data = names,
     .default_text = "off",
     .help = "Send FILE.br in place of FILE to clients that take it."},
    {.name = NULL},
};

struct conf_module precompressed_module = {
    .name = "precompressed",
    .size = sizeof(struct precompressed_conf),
    .directives = precompressed_directives,
};
