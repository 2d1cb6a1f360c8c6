/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/check.h"
#include "proxy_parts.h"
#include "serve/core.h"

static void proxy_defaults(void *module_conf)
{
    struct proxy_conf *c = module_conf;
    c->http_version = 11;
    c->pass_request_headers = true;
    c->pass_request_body = true;
    c->connect_timeout_ms = 60000;
    c->send_timeout_ms = 60000;
    c->read_timeout_ms = 60000;
    c->buffering = true;
    c->buffer_size = 4096;
    c->buffers = 8;
    c->buffers_size = 4096;
    c->request_buffering = true;
    c->busy_size = 8192;
    c->max_temp_size = UINT64_C(1024) << 20;
    c->temp_write_size = 8192;
    c->next_upstream = NEXT_ERROR | NEXT_TIMEOUT;
}

/* ---- proxy_pass ---- */

static int check_uri_is_allowed(struct conf *conf,
                                const struct conf_scope *scope,
                                const struct location *l)
{
    bool fits = (l->kind == LOCATION_PREFIX || l->kind == LOCATION_EXACT ||
                 l->kind == LOCATION_PREFIX_ONLY) &&
                scope->context == CONF_LOCATION;
    if (fits)
        return 0;
    return conf_fail(conf, "\"proxy_pass\" cannot have URI part in location "
                           "given by regular expression, or inside named "
                           "location, or inside \"if\" statement, or inside "
                           "\"limit_except\" block");
}

static int set_proxy_pass(struct conf *conf, struct conf_scope *scope,
                          const struct directive *row,
                          const struct conf_node *node, void *field)
{
    struct proxy_conf *c = field;
    struct str text = conf_arg(node, 1);
    struct location *l = location_of_scope(scope);
    struct proxy_url url;
    (void)row;

    c->owner = scope;
    c->url_text = text;
    struct value *value = value_compile(conf, conf->variables, text);
    if (!value)
        return -1;
    c->url = value_is_constant(value) ? NULL : value;
    c->upstream = NULL;
    c->tls = false;
    c->uri = (struct str){NULL, 0};
    l->handler = &proxy_handler;
    if (c->url)
        return 0;
    if (!proxy_url_read(text, &url))
        return conf_fail(conf, "invalid URL prefix in \"proxy_pass\", "
                               "expected http:// or https://");
    if (url.uri.p && check_uri_is_allowed(conf, scope, l) == -1)
        return -1;
    c->uri = url.uri;
    c->host = url.host;
    c->port = url.port;
    c->tls = url.tls;
    c->upstream = upstream_of_host(
        conf, proxy_url_key(conf->arena, generation_of(conf), &url), url.port);
    return c->upstream ? 0 : -1;
}

/* ---- lists ---- */

static int set_field(struct conf *conf, struct conf_scope *scope,
                     const struct directive *row, const struct conf_node *node,
                     void *field)
{
    struct proxy_field *f = arena_alloc(conf->arena, sizeof *f);
    (void)row;

    f->name = conf_arg(node, 1);
    if (!http_field_name_is_valid(f->name))
        return conf_fail(conf, "invalid header name \"%.*s\"",
                         STR_ARG(f->name));
    f->value = value_compile(conf, conf->variables, conf_arg(node, 2));
    if (!f->value)
        return -1;
    conf_list_add(conf, scope, field, f);
    return 0;
}

static int add_name(struct conf *conf, struct conf_scope *scope,
                    const struct directive *row, const struct conf_node *node,
                    void *field)
{
    struct str name = conf_arg(node, 1);
    (void)row;
    conf_list_add(conf, scope, field,
                  arena_copy(conf->arena, &name, sizeof name));
    return 0;
}

static int set_limit_rate(struct conf *conf, struct conf_scope *scope,
                          const struct directive *row,
                          const struct conf_node *node, void *field)
{
    struct str text = conf_arg(node, 1);
    struct value *value = value_compile(conf, conf->variables, text);
    struct value **rate = field;
    uint64_t n;
    (void)scope, (void)row;

    if (!value)
        return -1;
    bool constant = value_is_constant(value);
    if (constant && !conf_parse_size(text, &n))
        return conf_fail(conf, "invalid value \"%.*s\"", STR_ARG(text));
    *rate = constant && !n ? NULL : value;
    return 0;
}

static int set_busy_size(struct conf *conf, struct conf_scope *scope,
                         const struct directive *row,
                         const struct conf_node *node, void *field)
{
    struct proxy_conf *c = conf_get(scope, &proxy_module);
    c->busy_said = true;
    return conf_set_size(conf, scope, row, node, field);
}

/* nginx's rules: they keep a response from standing still. */
static int check_sizes(struct conf *conf, const struct conf_scope *scope,
                       struct proxy_conf *c)
{
    uint64_t most =
        c->buffer_size > c->buffers_size ? c->buffer_size : c->buffers_size;

    if (!c->busy_said)
        c->busy_size = 2 * most;
    if (c->buffers < 2)
        return conf_fail_at(conf, scope->node,
                            "there must be at least 2 \"proxy_buffers\"");
    if (c->busy_size < most)
        return conf_fail_at(
            conf, scope->node,
            "\"proxy_busy_buffers_size\" must be equal to or greater than the "
            "maximum of the value of \"proxy_buffer_size\" and one of the "
            "\"proxy_buffers\"");
    if (c->busy_size > (c->buffers - 1) * c->buffers_size)
        return conf_fail_at(conf, scope->node,
                            "\"proxy_busy_buffers_size\" must be less than the "
                            "size of all \"proxy_buffers\" minus one buffer");
    if (c->max_temp_size && c->max_temp_size < most)
        return conf_fail_at(
            conf, scope->node,
            "\"proxy_max_temp_file_size\" must be equal to zero to disable "
            "temporary files usage or must be equal to or greater than the "
            "maximum of the value of \"proxy_buffer_size\" and one of the "
            "\"proxy_buffers\"");
    return 0;
}

static int set_buffers(struct conf *conf, struct conf_scope *scope,
                       const struct directive *row,
                       const struct conf_node *node, void *field)
{
    struct proxy_conf *c = field;
    (void)scope, (void)row;
    if (!str_to_u64(conf_arg(node, 1), 65535, &c->buffers) || !c->buffers)
        return conf_fail(conf,
                         "invalid number \"%.*s\" in \"proxy_buffers\" "
                         "directive",
                         STR_ARG(conf_arg(node, 1)));
    if (!conf_parse_size(conf_arg(node, 2), &c->buffers_size) ||
        !c->buffers_size || c->buffers_size > 1 << 30)
        return conf_fail(conf,
                         "invalid size \"%.*s\" in \"proxy_buffers\" "
                         "directive",
                         STR_ARG(conf_arg(node, 2)));
    return 0;
}

/* ---- what a scope's settings come to ---- */

/* nginx's own fields, unless the configuration sets them. */
static const struct {
    const char *name, *value;
} default_fields[] = {
    {"Host", "$proxy_host"},  {"Connection", ""},
    {"Upgrade", ""},          {"TE", ""},
    {"Keep-Alive", ""},       {"Expect", ""},
    {"Proxy-Connection", ""},
};

static bool list_sets(const struct conf_list *list, struct str name)
{
    for (size_t i = 0; i < list->n; i++)
        if (str_eq_nocase(((struct proxy_field *)list->items[i])->name, name))
            return true;
    return false;
}

static int make_fields(struct conf *conf, struct proxy_conf *c)
{
    size_t most = c->set_fields.n + COUNT(default_fields);
    size_t n = 0;

    c->fields = arena_alloc(conf->arena, most * sizeof *c->fields);
    for (size_t i = 0; i < COUNT(default_fields); i++) {
        struct str name = str_c(default_fields[i].name);
        if (list_sets(&c->set_fields, name))
            continue;
        c->fields[n].name = name;
        c->fields[n].value = value_compile(conf, conf->variables,
                                           str_c(default_fields[i].value));
        if (!c->fields[n++].value)
            return -1;
    }
    for (size_t i = 0; i < c->set_fields.n; i++)
        c->fields[n++] = *(struct proxy_field *)c->set_fields.items[i];
    c->fields_n = n;
    return 0;
}

static int proxy_on_scope(struct conf *conf, struct conf_scope *scope,
                          void *module_conf)
{
    struct proxy_conf *c = module_conf;

    c->limits = (struct http_limits){
        .line_max = (size_t)c->buffer_size,
        .field_max = (size_t)c->buffer_size,
        .head_max = (size_t)c->buffer_size,
        .fields_max = 1000,
        .underscores_ok = true,
        .drop_invalid = true,
    };
    switch (scope->context) {
    case CONF_LOCATION:
    case CONF_LOCATION_IF:
    case CONF_LIMIT_EXCEPT:
        return check_sizes(conf, scope, c) == -1 ? -1 : make_fields(conf, c);
    case CONF_MAIN:
    case CONF_EVENTS:
    case CONF_HTTP:
    case CONF_SERVER:
    case CONF_UPSTREAM:
    case CONF_BACKEND:
    case CONF_SERVER_IF:
        break;
    }
    return 0;
}

/* ---- the table ---- */

static const struct conf_enum next_names[] = {
    {"error", NEXT_ERROR},
    {"timeout", NEXT_TIMEOUT},
    {"invalid_header", NEXT_INVALID_HEADER},
    {"http_500", NEXT_500},
    {"http_502", NEXT_502},
    {"http_503", NEXT_503},
    {"http_504", NEXT_504},
    {"http_403", NEXT_403},
    {"http_404", NEXT_404},
    {"http_429", NEXT_429},
    {"non_idempotent", NEXT_NON_IDEMPOTENT},
    {"off", NEXT_OFF},
    {NULL, 0},
};

static const struct conf_enum version_names[] = {
    {"1.0", 10},
    {"1.1", 11},
    {NULL, 0},
};

static const struct conf_enum upgrade_names[] = {
    {"websocket", 0},
    {"any", 1},
    {NULL, 0},
};

enum { EVERYWHERE = CONF_HTTP | CONF_SERVER | CONF_LOCATION };

#define FIELD(name) offsetof(struct proxy_conf, name)

static const struct directive proxy_directives[] = {
    {.name = "proxy_pass",
     .syntax = "URL",
     .contexts = CONF_LOCATION | CONF_LOCATION_IF | CONF_LIMIT_EXCEPT,
     .arity = ARGS_1,
     .set = set_proxy_pass,
     .help = "http[s]://HOST[:PORT][/URI], http[s]://UPSTREAM or "
             "http://unix:PATH:[/URI]: the server that answers here."},
    {.name = "proxy_set_header",
     .syntax = "NAME VALUE",
     .contexts = EVERYWHERE,
     .arity = ARGS_2,
     .flags = CONF_REPEATABLE,
     .set = set_field,
     .offset = FIELD(set_fields),
     .default_text = "Host $proxy_host",
     .help = "A request field for the upstream; empty values are not sent."},
    {.name = "proxy_hide_header",
     .syntax = "NAME",
     .contexts = EVERYWHERE,
     .arity = ARGS_1,
     .flags = CONF_REPEATABLE,
     .set = add_name,
     .offset = FIELD(hide),
     .help = "A response field not to pass to the client."},
    {.name = "proxy_pass_header",
     .syntax = "NAME",
     .contexts = EVERYWHERE,
     .arity = ARGS_1,
     .flags = CONF_REPEATABLE,
     .set = add_name,
     .offset = FIELD(pass),
     .help = "A response field to pass that is hidden otherwise (Date, "
             "Server, X-Pad, X-Accel-*)."},
    {.name = "proxy_pass_request_headers",
     .contexts = EVERYWHERE,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(pass_request_headers),
     .default_text = "on",
     .help = "Pass the client's fields."},
    {.name = "proxy_pass_request_body",
     .contexts = EVERYWHERE,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(pass_request_body),
     .default_text = "on",
     .help = "Pass the client's body."},
    {.name = "proxy_method",
     .syntax = "METHOD",
     .contexts = EVERYWHERE,
     .arity = ARGS_1,
     .set = value_set,
     .offset = FIELD(method),
     .help = "The method to use instead of the client's."},
    {.name = "proxy_set_body",
     .contexts = EVERYWHERE,
     .arity = ARGS_1,
     .set = value_set,
     .offset = FIELD(set_body),
     .help = "A body to send instead of the client's."},
    {.name = "proxy_http_version",
     .contexts = EVERYWHERE,
     .arity = ARGS_1,
     .set = conf_set_enum,
     .offset = FIELD(http_version),
     .data = version_names,
     .default_text = "1.1",
     .help = "The HTTP version to speak with the upstream."},
    {.name = "proxy_connect_timeout",
     .contexts = EVERYWHERE,
     .arity = ARGS_1,
     .set = conf_set_ms,
     .offset = FIELD(connect_timeout_ms),
     .default_text = "60s",
     .help = "How long connecting may take."},
    {.name = "proxy_send_timeout",
     .contexts = EVERYWHERE,
     .arity = ARGS_1,
     .set = conf_set_ms,
     .offset = FIELD(send_timeout_ms),
     .default_text = "60s",
     .help = "How long the upstream may take nothing of a request."},
    {.name = "proxy_read_timeout",
     .contexts = EVERYWHERE,
     .arity = ARGS_1,
     .set = conf_set_ms,
     .offset = FIELD(read_timeout_ms),
     .default_text = "60s",
     .help = "How long the upstream may be silent."},
    {.name = "proxy_buffering",
     .contexts = EVERYWHERE,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(buffering),
     .default_text = "on",
     .help = "Hold up to proxy_buffers for a slow client, or one "
             "proxy_buffer_size."},
    {.name = "proxy_buffer_size",
     .contexts = EVERYWHERE,
     .arity = ARGS_1,
     .set = conf_set_size,
     .offset = FIELD(buffer_size),
     .default_text = "4k",
     .min = 512,
     .max = 1 << 20,
     .help = "The largest response head that is accepted."},
    {.name = "proxy_buffers",
     .syntax = "NUMBER SIZE",
     .contexts = EVERYWHERE,
     .arity = ARGS_2,
     .set = set_buffers,
     .default_text = "8 4k",
     .help = "Number and size: what is held for a slow client before the "
             "upstream waits."},
    {.name = "proxy_request_buffering",
     .contexts = EVERYWHERE,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(request_buffering),
     .default_text = "on",
     .help = "Read the whole request body before an upstream is asked."},
    {.name = "proxy_busy_buffers_size",
     .syntax = "SIZE",
     .contexts = EVERYWHERE,
     .arity = ARGS_1,
     .set = set_busy_size,
     .offset = FIELD(busy_size),
     .default_text = "8k",
     .help = "How much is read back at once of a response that is in a "
             "file."},
    {.name = "proxy_max_temp_file_size",
     .syntax = "SIZE",
     .contexts = EVERYWHERE,
     .arity = ARGS_1,
     .set = conf_set_size,
     .offset = FIELD(max_temp_size),
     .default_text = "1024m",
     .help = "How much of a response may wait in a file for a slow client; "
             "0: nothing, the upstream waits."},
    {.name = "proxy_temp_file_write_size",
     .syntax = "SIZE",
     .contexts = EVERYWHERE,
     .arity = ARGS_1,
     .set = conf_set_size,
     .offset = FIELD(temp_write_size),
     .default_text = "8k",
     .min = 1,
     .help = "How much goes to such a file in one write."},
    {.name = "proxy_limit_rate",
     .syntax = "RATE",
     .contexts = EVERYWHERE,
     .arity = ARGS_1,
     .set = set_limit_rate,
     .offset = FIELD(limit_rate),
     .default_text = "0",
     .help = "Bytes a second that are read of one response, when it is "
             "buffered; 0 is no limit."},
    {.name = "proxy_ignore_client_abort",
     .contexts = EVERYWHERE,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(ignore_client_abort),
     .default_text = "off",
     .help = "Let the upstream finish when the client leaves."},
    {.name = "proxy_force_ranges",
     .contexts = EVERYWHERE,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(force_ranges),
     .default_text = "off",
     .help = "Serve a part of a response whatever the server says of that."},
    {.name = "proxy_intercept_errors",
     .contexts = EVERYWHERE,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(intercept_errors),
     .default_text = "off",
     .help = "Use error_page for the upstream's statuses of 300 and more."},
    {.name = "proxy_next_upstream",
     .contexts = EVERYWHERE,
     .arity = ARGS_1_MORE,
     .set = conf_set_bits,
     .offset = FIELD(next_upstream),
     .data = next_names,
     .default_text = "error timeout",
     .help = "When to ask another server."},
    {.name = "proxy_next_upstream_tries",
     .contexts = EVERYWHERE,
     .arity = ARGS_1,
     .set = conf_set_number,
     .offset = FIELD(next_tries),
     .default_text = "0",
     .help = "How many servers to ask; 0 is all."},
    {.name = "proxy_next_upstream_timeout",
     .contexts = EVERYWHERE,
     .arity = ARGS_1,
     .set = conf_set_ms,
     .offset = FIELD(next_timeout_ms),
     .default_text = "0",
     .help = "How long to go on asking; 0 is no limit."},
    {.name = "proxy_ignore_headers",
     .syntax = "FIELD ...",
     .contexts = EVERYWHERE,
     .arity = ARGS_1_MORE,
     .set = conf_set_bits,
     .offset = FIELD(ignore_headers),
     .data = proxy_ignore_names,
     .help = "Response fields that are not acted on: X-Accel-Redirect, "
             "X-Accel-Expires, X-Accel-Limit-Rate, X-Accel-Buffering, "
             "X-Accel-Charset, Expires, Cache-Control, Set-Cookie, Vary."},
    {.name = "proxy_pass_trailers",
     .contexts = EVERYWHERE,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(pass_trailers),
     .default_text = "off",
     .help = "Pass the fields behind an upstream's chunked body."},
    {.name = "early_hints",
     .syntax = "CONDITION ...",
     .contexts = EVERYWHERE,
     .arity = ARGS_1_MORE,
     .set = value_list_add,
     .offset = FIELD(early_hints),
     .help = "Pass an upstream's 103 when one of these is neither empty nor "
             "0."},
    {.name = "proxy_websocket",
     .contexts = EVERYWHERE,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(websocket),
     .default_text = "off",
     .help = "Pass WebSocket handshakes and tunnel what follows."},
    {.name = "proxy_upgrade",
     .contexts = EVERYWHERE,
     .arity = ARGS_1,
     .set = conf_set_enum,
     .offset = FIELD(upgrade),
     .data = upgrade_names,
     .default_text = "websocket",
     .help = "Which Upgrade values a proxy_set_header Upgrade may pass: "
             "websocket or any."},
    {.name = NULL},
};

struct conf_module proxy_module = {
    .name = "proxy",
    .size = sizeof(struct proxy_conf),
    .defaults = proxy_defaults,
    .directives = proxy_directives,
    .on_scope = proxy_on_scope,
};
