/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/core.h"

#include "base/check.h"
#include "blocks.h"

static void core_defaults(void *field)
{
    struct core_conf *c = field;
    c->client_header_timeout_ms = 60000;
    c->client_header_buffer_size = 1024;
    c->large_buffers = 4;
    c->large_buffer_size = 8192;
    c->max_headers = 1000;
    c->ignore_invalid_headers = true;
    c->merge_slashes = true;
    c->client_body_timeout_ms = 60000;
    c->client_max_body_size = 1024 * 1024;
    c->send_timeout_ms = 60000;
    c->keepalive_timeout_ms = 75000;
    c->keepalive_requests = 1000;
    c->keepalive_time_ms = 3600000;
    c->keepalive_disable = KEEPALIVE_DISABLE_MSIE6;
    c->lingering_close = LINGERING_ON;
    c->lingering_time_ms = 30000;
    c->lingering_timeout_ms = 5000;
    c->tcp_nodelay = true;
    c->chunked_transfer_encoding = true;
    c->server_tokens = TOKENS_ON;
    c->absolute_redirect = true;
    c->port_in_redirect = true;
}

static int set_large_buffers(struct conf *conf, struct conf_scope *scope,
                             const struct directive *row,
                             const struct conf_node *node, void *field)
{
    struct core_conf *c = field;
    (void)scope, (void)row;
    if (!str_to_u64(conf_arg(node, 1), 1 << 16, &c->large_buffers) ||
        c->large_buffers == 0)
        return conf_fail(conf,
                         "invalid number \"%.*s\" in "
                         "\"large_client_header_buffers\" directive",
                         STR_ARG(conf_arg(node, 1)));
    if (!conf_parse_size(conf_arg(node, 2), &c->large_buffer_size) ||
        c->large_buffer_size == 0)
        return conf_fail(conf,
                         "invalid size \"%.*s\" in "
                         "\"large_client_header_buffers\" directive",
                         STR_ARG(conf_arg(node, 2)));
    if (c->large_buffer_size > 1 << 20 || c->large_buffers > 1024)
        return conf_fail(conf, "a request head of that size is not "
                               "supported, expected at most 1024 buffers of "
                               "at most 1m");
    return 0;
}

static int set_keepalive_timeout(struct conf *conf, struct conf_scope *scope,
                                 const struct directive *row,
                                 const struct conf_node *node, void *field)
{
    struct core_conf *c = field;
    uint64_t header_ms = 0;
    (void)scope, (void)row;
    if (!conf_parse_ms(conf_arg(node, 1), &c->keepalive_timeout_ms))
        return conf_fail(conf, "invalid value");
    if (node->words_n == 3 && !conf_parse_ms(conf_arg(node, 2), &header_ms))
        return conf_fail(conf, "invalid value");
    c->keepalive_header_s = header_ms / 1000;
    return 0;
}

static const struct conf_enum keepalive_disable_names[] = {
    {"none", KEEPALIVE_DISABLE_NONE},
    {"msie6", KEEPALIVE_DISABLE_MSIE6},
    {"safari", KEEPALIVE_DISABLE_SAFARI},
    {NULL, 0},
};

static const struct conf_enum lingering_names[] = {
    {"off", LINGERING_OFF},
    {"on", LINGERING_ON},
    {"always", LINGERING_ALWAYS},
    {NULL, 0},
};

static int set_tokens(struct conf *conf, struct conf_scope *scope,
                      const struct directive *row, const struct conf_node *node,
                      void *field)
{
    static const char *const names[] = {"off", "on", "build"};
    struct core_conf *c = field;
    (void)scope, (void)row;

    for (unsigned i = 0; i < COUNT(names); i++)
        if (str_eq(conf_arg(node, 1), str_c(names[i]))) {
            c->server_tokens = i;
            return 0;
        }
    c->server_tokens = TOKENS_TEXT;
    c->server_text = value_compile(conf, conf->variables, conf_arg(node, 1));
    return c->server_text ? 0 : -1;
}

/* A server's head is never larger than its buffers together. */
static int core_on_scope(struct conf *conf, struct conf_scope *scope,
                         void *module_conf)
{
    struct core_conf *c = module_conf;
    (void)conf, (void)scope;
    size_t line = (size_t)c->large_buffer_size;
    c->limits = (struct http_limits){
        .line_max = line,
        .field_max = line,
        .head_max = line * (size_t)c->large_buffers,
        .fields_max = (size_t)c->max_headers,
        .underscores_ok = c->underscores_in_headers,
        .drop_invalid = c->ignore_invalid_headers,
    };
    return 0;
}

enum {
    HTTP_SERVER = CONF_HTTP | CONF_SERVER,
    HTTP_SERVER_LOCATION = CONF_HTTP | CONF_SERVER | CONF_LOCATION,
};

#define FIELD(name) offsetof(struct core_conf, name)

static const struct directive core_directives[] = {
    {.name = "http",
     .contexts = CONF_MAIN,
     .arity = ARGS_0,
     .flags = CONF_BLOCK,
     .set = block_http,
     .help = "Everything about serving HTTP and WebSocket."},
    {.name = "server",
     .contexts = CONF_HTTP,
     .arity = ARGS_0,
     .flags = CONF_BLOCK | CONF_REPEATABLE,
     .set = block_server,
     .help = "One virtual server."},
    {.name = "location",
     .syntax = "[= | ^~ | ~ | ~*] URI | @NAME",
     .contexts = CONF_SERVER | CONF_LOCATION,
     .arity = ARGS_1 | ARGS_2,
     .flags = CONF_BLOCK | CONF_REPEATABLE,
     .set = block_location,
     .help = "Settings for URIs: = exact, ^~ prefix, ~ regex, ~* regex "
             "without case, @name, or a plain prefix."},
    {.name = "listen",
     .syntax = "ADDRESS[:PORT] | PORT | unix:PATH [PARAMETER ...]",
     .contexts = CONF_SERVER,
     .arity = ARGS_1_MORE,
     .flags = CONF_REPEATABLE,
     .set = listen_set,
     .default_text = "*:80",
     .help = "Address, port, range of ports or unix:path to accept on."},
    {.name = "server_name",
     .syntax = "NAME ...",
     .contexts = CONF_SERVER,
     .arity = ARGS_1_MORE,
     .flags = CONF_REPEATABLE,
     .set = server_name_set,
     .default_text = "\"\"",
     .help = "Host names of this server: exact, *.wildcard, wildcard.*, "
             "~regex."},
    {.name = "client_header_timeout",
     .contexts = HTTP_SERVER,
     .arity = ARGS_1,
     .set = conf_set_ms,
     .offset = FIELD(client_header_timeout_ms),
     .default_text = "60s",
     .help = "How long a request head may take to arrive."},
    {.name = "client_header_buffer_size",
     .contexts = HTTP_SERVER,
     .arity = ARGS_1,
     .set = conf_set_size,
     .offset = FIELD(client_header_buffer_size),
     .default_text = "1k",
     .help = "Accepted for compatibility: heads are read into the worker's "
             "one buffer."},
    {.name = "large_client_header_buffers",
     .syntax = "NUMBER SIZE",
     .contexts = HTTP_SERVER,
     .arity = ARGS_2,
     .set = set_large_buffers,
     .default_text = "4 8k",
     .help = "Number times size bounds the head; size bounds each line."},
    {.name = "max_headers",
     .contexts = HTTP_SERVER,
     .arity = ARGS_1,
     .set = conf_set_number,
     .offset = FIELD(max_headers),
     .default_text = "1000",
     .min = 1,
     .max = 100000,
     .help = "Most fields of one request."},
    {.name = "ignore_invalid_headers",
     .contexts = HTTP_SERVER,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(ignore_invalid_headers),
     .default_text = "on",
     .help = "Drop fields with unusual names instead of refusing them."},
    {.name = "underscores_in_headers",
     .contexts = HTTP_SERVER,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(underscores_in_headers),
     .default_text = "off",
     .help = "Take _ in field names as usual."},
    {.name = "merge_slashes",
     .contexts = HTTP_SERVER,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(merge_slashes),
     .default_text = "on",
     .help = "Take // in a path for / when a location is chosen."},
    {.name = "client_body_timeout",
     .contexts = HTTP_SERVER_LOCATION,
     .arity = ARGS_1,
     .set = conf_set_ms,
     .offset = FIELD(client_body_timeout_ms),
     .default_text = "60s",
     .help = "How long a client may pause inside a request body."},
    {.name = "client_max_body_size",
     .contexts = HTTP_SERVER_LOCATION,
     .arity = ARGS_1,
     .set = conf_set_size,
     .offset = FIELD(client_max_body_size),
     .default_text = "1m",
     .help = "Largest request body (413 above); 0 is no limit."},
    {.name = "send_timeout",
     .contexts = HTTP_SERVER_LOCATION,
     .arity = ARGS_1,
     .set = conf_set_ms,
     .offset = FIELD(send_timeout_ms),
     .default_text = "60s",
     .help = "How long a client may take nothing of what is sent to it."},
    {.name = "keepalive_timeout",
     .syntax = "TIME [TIME]",
     .contexts = HTTP_SERVER_LOCATION,
     .arity = ARGS_1 | ARGS_2,
     .set = set_keepalive_timeout,
     .default_text = "75s",
     .help = "How long an idle connection is kept; 0 is not at all.  The "
             "second value is sent as Keep-Alive: timeout=."},
    {.name = "keepalive_requests",
     .contexts = HTTP_SERVER_LOCATION,
     .arity = ARGS_1,
     .set = conf_set_number,
     .offset = FIELD(keepalive_requests),
     .default_text = "1000",
     .help = "Requests on one connection before it is closed."},
    {.name = "keepalive_time",
     .contexts = HTTP_SERVER_LOCATION,
     .arity = ARGS_1,
     .set = conf_set_ms,
     .offset = FIELD(keepalive_time_ms),
     .default_text = "1h",
     .help = "Age at which a connection is closed after its request."},
    {.name = "keepalive_min_timeout",
     .contexts = HTTP_SERVER_LOCATION,
     .arity = ARGS_1,
     .set = conf_set_ms,
     .offset = FIELD(keepalive_min_timeout_ms),
     .default_text = "0",
     .help = "For how long a graceful stop leaves an idle connection open."},
    {.name = "keepalive_disable",
     .contexts = HTTP_SERVER_LOCATION,
     .arity = ARGS_1_MORE,
     .set = conf_set_bits,
     .offset = FIELD(keepalive_disable),
     .data = keepalive_disable_names,
     .default_text = "msie6",
     .help = "Browsers whose connections are not kept."},
    {.name = "lingering_close",
     .contexts = HTTP_SERVER_LOCATION,
     .arity = ARGS_1,
     .set = conf_set_enum,
     .offset = FIELD(lingering_close),
     .data = lingering_names,
     .default_text = "on",
     .help = "Read on for a while before closing, so that the client gets "
             "the response."},
    {.name = "lingering_time",
     .contexts = HTTP_SERVER_LOCATION,
     .arity = ARGS_1,
     .set = conf_set_ms,
     .offset = FIELD(lingering_time_ms),
     .default_text = "30s",
     .help = "How long that may take in all."},
    {.name = "lingering_timeout",
     .contexts = HTTP_SERVER_LOCATION,
     .arity = ARGS_1,
     .set = conf_set_ms,
     .offset = FIELD(lingering_timeout_ms),
     .default_text = "5s",
     .help = "How long the client may be silent meanwhile."},
    {.name = "reset_timedout_connection",
     .contexts = HTTP_SERVER_LOCATION,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(reset_timedout_connection),
     .default_text = "off",
     .help = "Reset rather than close what timed out."},
    {.name = "tcp_nodelay",
     .contexts = HTTP_SERVER_LOCATION,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(tcp_nodelay),
     .default_text = "on",
     .help = "Send without waiting for full segments."},
    {.name = "chunked_transfer_encoding",
     .contexts = HTTP_SERVER_LOCATION,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(chunked_transfer_encoding),
     .default_text = "on",
     .help = "Use chunked coding for bodies of unknown length."},
    {.name = "server_tokens",
     .contexts = HTTP_SERVER_LOCATION,
     .arity = ARGS_1,
     .set = set_tokens,
     .default_text = "on",
     .syntax = "on | off | build | TEXT",
     .help = "Show the version in Server and on error pages, or another text; "
             "an empty one leaves the field out."},
    {.name = "absolute_redirect",
     .contexts = HTTP_SERVER_LOCATION,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(absolute_redirect),
     .default_text = "on",
     .help = "Make redirects of our own absolute."},
    {.name = "port_in_redirect",
     .contexts = HTTP_SERVER_LOCATION,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(port_in_redirect),
     .default_text = "on",
     .help = "Name the port in them."},
    {.name = "server_name_in_redirect",
     .contexts = HTTP_SERVER_LOCATION,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(server_name_in_redirect),
     .default_text = "off",
     .help = "Use the first server_name in them rather than Host."},
    {.name = "error_page",
     .syntax = "CODE ... [=[CODE]] URI",
     .contexts = HTTP_SERVER_LOCATION | CONF_LOCATION_IF,
     .arity = ARGS_2_MORE,
     .flags = CONF_REPEATABLE,
     .set = error_page_set,
     .offset = FIELD(error_pages),
     .help = "CODE... [=[ANSWER]] URI: what to serve instead of an error."},
    {.name = "recursive_error_pages",
     .contexts = HTTP_SERVER_LOCATION,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(recursive_error_pages),
     .default_text = "off",
     .help = "Let an error page's own error have an error page."},
    {.name = NULL},
};

struct conf_module core_module = {
    .name = "core",
    .size = sizeof(struct core_conf),
    .defaults = core_defaults,
    .directives = core_directives,
    .on_scope = core_on_scope,
    .on_end = blocks_on_end,
};
