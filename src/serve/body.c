/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/body.h"

#include <errno.h>
#include <unistd.h>

#include "base/check.h"
#include "serve/temp.h"

enum {
    FIRST_PIECE = 1024, /* bytes of memory for a body of unknown size */
};

static const struct body_conf *conf_of(const struct request *r)
{
    return request_conf(r, &body_module);
}

static void close_file(void *arg)
{
    struct request_body *b = arg;

    if (b->fd == -1)
        return;
    close(b->fd);
    b->fd = -1;
    if (!b->stays)
        unlink(b->file.p);
}

void body_start(struct request *r)
{
    struct request_body *b = arena_calloc(r->arena, sizeof *b);
    uint64_t most = conf_of(r)->buffer_size;

    b->fd = -1;
    if (r->head.body == BODY_LENGTH)
        b->capacity =
            (size_t)(r->head.content_length < most ? r->head.content_length
                                                   : most);
    if (b->capacity)
        b->p = arena_alloc(r->arena, b->capacity);
    r->body = b;
}

/* ---- the file ---- */

static bool trouble(struct request *r, const char *call, const char *name)
{
    log_errno(&r->log, LEVEL_CRIT, errno, "%s \"%s\" failed", call, name);
    return false;
}

static bool open_file(struct request *r)
{
    struct request_body *b = r->body;
    const struct temp_conf *temp = request_conf(r, &temp_module);
    unsigned only = conf_of(r)->in_file_only;

    b->fd = temp_file_create(&temp->client_body, r->arena, &b->file);
    if (b->fd == -1)
        return trouble(r, "open()", b->file.p);
    b->stays = only == IN_FILE_ON;
    arena_on_destroy(r->arena, close_file, b);
    if (only == IN_FILE_OFF)
        log_warn(&r->log,
                 "a client request body is buffered to a temporary file %s",
                 b->file.p);
    return true;
}

static bool write_out(struct request *r, const uint8_t *p, size_t n,
                      uint64_t offset)
{
    if (temp_file_write(r->body->fd, p, n, offset, 0) == -1)
        return trouble(r, "pwrite()", r->body->file.p);
    return true;
}

/* What is in memory goes to the file. */
static bool flush(struct request *r)
{
    struct request_body *b = r->body;

    if (b->fd == -1 && !open_file(r))
        return false;
    if (!write_out(r, b->p, b->n, b->size - b->n))
        return false;
    b->n = 0;
    return true;
}

/* ---- pieces ---- */

static void grow(struct request *r, size_t wanted)
{
    struct request_body *b = r->body;
    size_t most = (size_t)conf_of(r)->buffer_size;
    size_t capacity = b->capacity ? b->capacity : FIRST_PIECE;

    while (capacity < wanted && capacity < most)
        capacity *= 2;
    if (capacity > most)
        capacity = most;
    if (capacity <= b->capacity)
        return;
    uint8_t *bigger = arena_alloc(r->arena, capacity);
    if (b->n)
        memcpy(bigger, b->p, b->n);
    b->p = bigger;
    b->capacity = capacity;
}

bool body_put(struct request *r, const uint8_t *p, size_t n)
{
    struct request_body *b = r->body;

    if (b->n + n > b->capacity)
        grow(r, b->n + n);
    if (b->n + n > b->capacity) {
        if (!flush(r))
            return false;
        if (n > b->capacity) {
            if (!write_out(r, p, n, b->size))
                return false;
            b->size += n;
            return true;
        }
    }
    if (n)
        memcpy(b->p + b->n, p, n);
    b->n += n;
    b->size += n;
    return true;
}

bool body_end(struct request *r)
{
    struct request_body *b = r->body;
    bool to_file = b->fd != -1 || (conf_of(r)->in_file_only && b->size);
    b->complete = !to_file || flush(r);
    return b->complete;
}

/* ---- variables ---- */

static bool get_body(struct evaluation *e, const struct variable *v,
                     struct str *out)
{
    const struct request_body *b = e->request->body;
    (void)v;
    if (!b || !b->complete || b->fd != -1 || !b->size)
        return false;
    *out = str_n(b->p, b->n);
    return true;
}

static bool get_body_file(struct evaluation *e, const struct variable *v,
                          struct str *out)
{
    const struct request_body *b = e->request->body;
    (void)v;
    if (!b || !b->complete || b->fd == -1)
        return false;
    *out = b->file;
    return true;
}

const struct variable body_variables[] = {
    {.name = "request_body", .get = get_body},
    {.name = "request_body_file", .get = get_body_file},
    {.name = NULL},
};

/* ---- directives ---- */

static const struct conf_enum in_file_names[] = {
    {"off", IN_FILE_OFF},
    {"on", IN_FILE_ON},
    {"clean", IN_FILE_CLEAN},
    {NULL, 0},
};

enum { EVERYWHERE = CONF_HTTP | CONF_SERVER | CONF_LOCATION };

#define FIELD(name) offsetof(struct body_conf, name)

static void body_defaults(void *module_conf)
{
    struct body_conf *c = module_conf;
    c->buffer_size = 16384;
}

static const struct directive body_directives[] = {
    {.name = "client_body_buffer_size",
     .contexts = EVERYWHERE,
     .arity = ARGS_1,
     .set = conf_set_size,
     .offset = FIELD(buffer_size),
     .default_text = "16k",
     .min = 1,
     .max = 1 << 30,
     .help = "What of a request body is held in memory; more goes to a file, "
             "or (proxy_request_buffering off) can not be sent twice."},
    {.name = "client_body_in_file_only",
     .contexts = EVERYWHERE,
     .arity = ARGS_1,
     .set = conf_set_enum,
     .offset = FIELD(in_file_only),
     .data = in_file_names,
     .default_text = "off",
     .help = "Put every request body into a file: on leaves it there, clean "
             "removes it with the request."},
    {.name = "client_body_in_single_buffer",
     .contexts = EVERYWHERE,
     .arity = ARGS_FLAG,
     .flags = CONF_IGNORED,
     .help = "Accepted; a body that is in memory always is in one piece."},
    {.name = NULL},
};

struct conf_module body_module = {
    .name = "body",
    .size = sizeof(struct body_conf),
    .defaults = body_defaults,
    .directives = body_directives,
};
