/* SPDX-License-Identifier: BSD-2-Clause */
#include "http/condition.h"
#include "serve/core.h"
#include "serve/pages.h"
#include "serve/static.h"
#include "serve/subrequest.h"

enum {
    MODIFIED = 23349600, /* Mon, 28 Sep 1970 06:00:00 GMT, as nginx says */
};

/* GIF89a: one transparent pixel, two colours, a graphic control block. */
static const uint8_t gif[] = {
    'G', 'I',  'F',  '8',  '9', 'a',  1, 0, 1, 0,    0x80, 1, 0,   0, 0,
    0,   0xff, 0xff, 0xff, '!', 0xf9, 4, 1, 0, 0,    1,    0, ',', 0, 0,
    0,   0,    1,    0,    1,   0,    0, 2, 2, 0x4c, 1,    0, ';',
};

static int gif_start(struct request *r)
{
    const struct static_conf *c = request_conf(r, &static_module);
    struct http_validators have = {.modified = MODIFIED};

    if (r->head.method != METHOD_GET && r->head.method != METHOD_HEAD)
        return 405;
    unsigned answer = request_is_sub(r)
                          ? 200
                          : http_condition_evaluate(&r->head, &have,
                                                    (enum http_since)c->since);
    if (answer == 412)
        return 412;
    r->response.last_modified = MODIFIED;
    r->response.allow_ranges = false;
    if (answer == 304)
        return request_respond(r, 304, STR(""), STR(""));
    return request_respond(r, 200, STR("image/gif"), str_n(gif, sizeof gif));
}

static const struct handler gif_handler = {
    .name = "empty_gif",
    .start = gif_start,
};

static int set_empty_gif(struct conf *conf, struct conf_scope *scope,
                         const struct directive *row,
                         const struct conf_node *node, void *field)
{
    (void)conf, (void)row, (void)node, (void)field;
    location_of_scope(scope)->handler = &gif_handler;
    return 0;
}

static const struct directive empty_gif_directives[] = {
    {.name = "empty_gif",
     .contexts = CONF_LOCATION,
     .arity = ARGS_0,
     .set = set_empty_gif,
     .help = "Answer with a transparent image of one pixel."},
    {.name = NULL},
};

struct conf_module empty_gif_module = {
    .name = "empty_gif",
    .directives = empty_gif_directives,
};
