/* SPDX-License-Identifier: BSD-2-Clause */
#include "ssi.h"

#include <time.h>

#include "base/clock.h"

enum {
    COMMANDS_MAX = 16384, /* of one response */
    TIME_MAX = 512,       /* bytes of a formatted time */
};

static const struct str errmsg_default =
    STR_INIT("[an error occurred while processing the directive]");
static const struct str timefmt_default = STR_INIT("%A, %d-%b-%Y %H:%M:%S %Z");

/* ---- the body ---- */

static void give(struct ssi *s, struct str text)
{
    if (s->in_block) {
        if (!buf_put(&s->block, text.p, text.n))
            log_err(&s->request->log, "SSI block is too large");
    } else if (!s->silent) {
        splice_text(&s->splice, text);
    }
}

static void give_error(struct ssi *s)
{
    if (!s->silent && !s->in_block && !s->conf->silent_errors)
        splice_text(&s->splice, s->errmsg);
}

/* A command within a block stays text, but for the one that ends it. */
static void command(struct ssi *s, const struct ssi_event *ev)
{
    if (s->in_block && !str_eq(ev->name, STR("endblock"))) {
        give(s, STR("<!--#"));
        give(s, ev->text);
        give(s, STR("-->"));
        return;
    }
    if (!ssi_run(s, ev))
        give_error(s);
}

static bool is_waiting(struct ssi *s)
{
    if (s->waiting && s->waiting->ended)
        s->waiting = NULL;
    return s->waiting || s->capturing;
}

static int take(struct filter *f, struct str *in, bool last)
{
    struct ssi *s = f->state;
    struct ssi_event ev;

    for (;;) {
        if (is_waiting(s) || !splice_has_room(&s->splice))
            return 0;
        if (!ssi_parser_next(&s->parser, in, last, &ev))
            break;
        switch (ev.type) {
        case SSI_TEXT:
            give(s, ev.text);
            break;
        case SSI_COMMAND:
            if (++s->commands > COMMANDS_MAX) {
                log_err(&f->request->log, "too many SSI commands");
                return -1;
            }
            command(s, &ev);
            break;
        case SSI_ERROR:
            log_err(&f->request->log, "invalid SSI command");
            give_error(s);
            break;
        }
    }
    if (!last)
        return 1;
    return splice_end(&s->splice) ? 1 : 0;
}

static void drain(struct filter *f)
{
    splice_drain(&((struct ssi *)f->state)->splice);
}

static const struct filter_type ssi_type = {
    .name = "ssi",
    .take = take,
    .drain = drain,
};

/* ---- what a page remembers ---- */

bool ssi_set(struct ssi *s, struct ssi_variable **list, struct str name,
             struct str value)
{
    enum { PAGE_MAX = 1024 * 1024 }; /* bytes */
    struct arena *arena = s->request->main->arena;

    s->page->size += name.n + value.n + sizeof **list;
    if (s->page->size > PAGE_MAX) {
        log_err(&s->request->log, "SSI variables and blocks are too large");
        return false;
    }
    for (struct ssi_variable *v = *list; v; v = v->next)
        if (str_eq(v->name, name)) {
            v->value = arena_str(arena, value);
            return true;
        }
    struct ssi_variable *v = arena_alloc(arena, sizeof *v);
    *v = (struct ssi_variable){arena_str(arena, name), arena_str(arena, value),
                               *list};
    *list = v;
    return true;
}

struct str ssi_block(const struct ssi *s, struct str name)
{
    for (struct ssi_variable *v = s->page->blocks; v; v = v->next)
        if (str_eq(v->name, name))
            return v->value;
    return (struct str){NULL, 0};
}

/* ---- the head ---- */

static void fini(void *arg)
{
    struct ssi *s = arg;
    ssi_parser_fini(&s->parser);
    buf_fini(&s->block);
}

void ssi_filter(struct request *r)
{
    enum { BLOCK_MAX = 256 * 1024 }; /* bytes */
    const struct ssi_conf *c = request_conf(r, &ssi_module);

    if (!c->on || !r->response.content_length ||
        !type_set_has(&c->types, NULL, r->response.content_type))
        return;
    struct ssi *s = arena_calloc(r->arena, sizeof *s);
    s->request = r;
    s->conf = c;
    s->errmsg = errmsg_default;
    s->timefmt = timefmt_default;
    if (!r->main->ssi)
        r->main->ssi = arena_calloc(r->main->arena, sizeof *r->main->ssi);
    s->page = r->main->ssi;
    ssi_parser_init(&s->parser, (size_t)c->value_length);
    buf_init(&s->block, BLOCK_MAX);
    arena_on_destroy(r->arena, fini, s);
    response_body_changes(r);
    if (!c->last_modified && !request_is_sub(r))
        response_forget_validators(r);
    splice_init(&s->splice, filters_add(r, &ssi_type, s));
}

/* ---- $date_local, $date_gmt ---- */

static bool get_date(struct evaluation *e, const struct variable *v,
                     struct str *out)
{
    const struct filter *f = filters_find(e->request, &ssi_type);
    const struct ssi *s = f ? f->state : NULL;
    time_t now = clock_wall_s();
    char text[TIME_MAX];
    struct tm tm;

    if (s && str_eq(s->timefmt, STR("%s"))) {
        *out = arena_printf(e->arena, "%lld", (long long)now);
        return true;
    }
    if (v->arg)
        gmtime_r(&now, &tm);
    else
        localtime_r(&now, &tm);
    size_t n =
        strftime(text, sizeof text,
                 arena_cstr(e->arena, s ? s->timefmt : timefmt_default), &tm);
    *out = arena_str(e->arena, str_n(text, n));
    return n > 0;
}

const struct variable ssi_variables[] = {
    {.name = "date_local", .get = get_date, .flags = VARIABLE_VOLATILE},
    {.name = "date_gmt", .get = get_date, .arg = 1, .flags = VARIABLE_VOLATILE},
    {.name = NULL},
};

/* ---- configuration ---- */

bool ssi_is_on(const struct conf_scope *scope)
{
    const struct ssi_conf *c = conf_get(scope, &ssi_module);
    return c->on;
}

#define FIELD(name) offsetof(struct ssi_conf, name)

enum {
    ANYWHERE = CONF_HTTP | CONF_SERVER | CONF_LOCATION,
};

static const struct directive ssi_directives[] = {
    {.name = "ssi",
     .contexts = ANYWHERE | CONF_LOCATION_IF,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(on),
     .default_text = "off",
     .help = "Do what <!--# commands --> in responses say."},
    {.name = "ssi_silent_errors",
     .contexts = ANYWHERE,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(silent_errors),
     .default_text = "off",
     .help = "Put no message where a command failed."},
    {.name = "ssi_types",
     .contexts = ANYWHERE,
     .arity = ARGS_1_MORE,
     .set = type_set_set,
     .offset = FIELD(types),
     .syntax = "TYPE ... | *",
     .help = "Media types that are looked at beside text/html."},
    {.name = "ssi_last_modified",
     .contexts = ANYWHERE,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(last_modified),
     .default_text = "off",
     .help = "Keep Last-Modified of what is looked at."},
    {.name = "ssi_value_length",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = conf_set_size,
     .offset = FIELD(value_length),
     .default_text = "256",
     .min = 1,
     .max = 65536,
     .help = "The longest value of a command's parameter."},
    {.name = "ssi_min_file_chunk",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .flags = CONF_IGNORED,
     .help = "Accepted; what goes through filters is in memory."},
    {.name = "subrequest_output_buffer_size",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = conf_set_size,
     .offset = FIELD(output_buffer),
     .default_text = "4k",
     .min = 1,
     .max = 1 << 20,
     .help = "The longest body that an include with set= may have."},
    {.name = NULL},
};

struct conf_module ssi_module = {
    .name = "ssi",
    .size = sizeof(struct ssi_conf),
    .directives = ssi_directives,
};
