/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/check.h"
#include "engine.h"

/* ---- what the text may say ---- */

static bool arity_fits(unsigned arity, size_t args)
{
    if (arity & ARGS_ANY)
        return true;
    if (args >= 1 && arity & ARGS_1_MORE)
        return true;
    if (args >= 2 && arity & ARGS_2_MORE)
        return true;
    if (args == 1 && arity & ARGS_FLAG)
        return true;
    return args <= 5 && arity & 1u << args;
}

/* nginx's directives that we do not have: who brings an nginx.conf should not
 * look for a typing error.  A "_" at the end: every name that begins so. */
static bool is_known_to_nginx(struct str name)
{
    struct str rest =
        STR("auth_ autoindex_ client_body_in_file_only "
            "client_body_in_single_buffer client_body_temp_path "
            "connection_pool_size debug_connection fastcgi_ flv geo geoip_ "
            "grpc_ gzip_ hash http2 http2_ http3 http3_ image_filter "
            "image_filter_ ip_hash js_ least_time limit_conn limit_conn_ "
            "limit_rate limit_rate_after limit_req limit_req_ mail memcached_ "
            "mp4 mp4_ perl_ proxy_bind proxy_busy_buffers_size proxy_cache "
            "proxy_cache_ proxy_cookie_ proxy_force_ranges proxy_headers_hash_ "
            "proxy_ignore_headers proxy_limit_rate proxy_max_temp_file_size "
            "proxy_no_cache proxy_pass_trailers proxy_request_buffering "
            "proxy_ssl_ proxy_store proxy_store_access proxy_temp_ quic_ "
            "random random_index real_ip_ referer_ request_pool_size resolver "
            "resolver_timeout scgi_ secure_link secure_link_ "
            "server_names_hash_ set_real_ip_from split_clients ssi_ ssl_ state "
            "sticky stream userid userid_ uwsgi_ valid_referers "
            "variables_hash_ working_directory worker_aio_requests "
            "xml_entities xslt_ zone");

    while (rest.p) {
        struct str word = str_cut(&rest, ' ');
        bool family = word.p[word.n - 1] == '_';
        if (family ? str_starts(name, word) : str_eq(name, word))
            return true;
    }
    return false;
}

/* The row of node in this context, or NULL with the sentence. */
static struct entry *find_entry(struct conf *conf, enum conf_context context,
                                const struct conf_node *node)
{
    struct str name = conf_arg(node, 0);
    struct entry *first = map_find(&conf->engine->rows, name);
    for (struct entry *e = first; e; e = e->next)
        if (e->row->contexts & context)
            return e;
    if (first)
        conf_fail(conf, "\"%.*s\" directive is not allowed here",
                  STR_ARG(name));
    else if (is_known_to_nginx(name))
        conf_fail(conf, "\"%.*s\" directive of nginx is not supported",
                  STR_ARG(name));
    else
        conf_fail(conf, "unknown directive \"%.*s\"", STR_ARG(name));
    return NULL;
}

/* In nginx's order; block is this block's number, for duplicates. */
static int check_node(struct conf *conf, struct entry *e,
                      const struct conf_node *node, unsigned block)
{
    const struct directive *row = e->row;
    bool wants_block = row->flags & CONF_BLOCK;

    if (node->is_block && !wants_block)
        return conf_fail(conf, "directive \"%s\" is not terminated by \";\"",
                         row->name);
    if (wants_block && !node->is_block)
        return conf_fail(conf, "directive \"%s\" has no opening \"{\"",
                         row->name);
    if (!arity_fits(row->arity, node->words_n - 1))
        return conf_fail(
            conf, "invalid number of arguments in \"%s\" directive", row->name);
    if (e->block == block && !(row->flags & CONF_REPEATABLE))
        return conf_fail(conf, "\"%s\" directive is duplicate", row->name);
    e->block = block;
    if (row->arity == ARGS_FLAG &&
        !str_eq_nocase(conf_arg(node, 1), STR("on")) &&
        !str_eq_nocase(conf_arg(node, 1), STR("off")))
        return conf_fail(conf,
                         "invalid value \"%.*s\" in \"%s\" directive, it must "
                         "be \"on\" or \"off\"",
                         STR_ARG(conf_arg(node, 1)), row->name);
    return 0;
}

static void move_to(struct conf *conf, const struct conf_node *node,
                    unsigned line)
{
    conf->node = node;
    conf->engine->line = line;
}

/* The entries of a block's directives, in their order, or NULL. */
static struct entry **check_block(struct conf *conf, enum conf_context context,
                                  const struct conf_node *first)
{
    size_t n = 0, i = 0;
    unsigned block = ++conf->engine->blocks;
    for (const struct conf_node *node = first; node; node = node->next)
        n++;
    struct entry **entries =
        arena_alloc(conf->arena, (n + 1) * sizeof *entries);
    for (const struct conf_node *node = first; node; node = node->next) {
        move_to(conf, node, node->line);
        struct entry *e = find_entry(conf, context, node);
        if (!e || check_node(conf, e, node, block) == -1) {
            message_place(conf);
            return NULL;
        }
        entries[i++] = e;
    }
    return entries;
}

/* ---- applying ---- */

/* The groups of a block, as conf/conf.h lists them. */
enum group {
    GROUP_DEFINITION,
    GROUP_PLAIN,
    GROUP_DEFINITION_BLOCK,
    GROUP_ORDERED,
    GROUP_BLOCK,
    GROUP_NONE,
};

static enum group group_of(const struct directive *row)
{
    bool is_block = row->flags & CONF_BLOCK;
    if (row->flags & CONF_ORDERED)
        return GROUP_ORDERED;
    if (row->flags & CONF_DEFINES)
        return is_block ? GROUP_DEFINITION_BLOCK : GROUP_DEFINITION;
    return is_block ? GROUP_BLOCK : GROUP_PLAIN;
}

static int apply_node(struct conf *conf, struct conf_scope *scope,
                      const struct entry *e, const struct conf_node *node)
{
    const struct directive *row = e->row;
    char *module_conf = scope->modules[e->module->index];
    conf_setter *set = row->flags & CONF_IGNORED ? conf_set_ignored : row->set;

    check(set != NULL);
    move_to(conf, node, node->line);
    conf->err->text[0] = '\0';
    if (set(conf, scope, row, node,
            module_conf ? module_conf + row->offset : NULL) == -1)
        return message_place(conf);
    return 0;
}

static int apply_group(struct conf *conf, struct conf_scope *scope,
                       struct entry *const *entries,
                       const struct conf_node *first, enum group group)
{
    size_t i = 0;
    for (const struct conf_node *node = first; node; node = node->next) {
        const struct entry *e = entries[i++];
        if (group_of(e->row) == group && apply_node(conf, scope, e, node) == -1)
            return -1;
    }
    return 0;
}

static int call_on_scope(struct conf *conf, struct conf_scope *scope)
{
    const struct conf_node *node = scope->node;
    for (size_t i = 0; i < conf->list_n; i++) {
        const struct conf_module *m = conf->list[i];
        move_to(conf, node, node ? node->end_line : 0);
        if (m->on_scope && m->on_scope(conf, scope, scope->modules[i]) == -1)
            return message_place(conf);
    }
    return 0;
}

static int apply_block(struct conf *conf, struct conf_scope *scope,
                       const struct conf_node *first)
{
    struct entry **entries = check_block(conf, scope->context, first);
    if (!entries)
        return -1;
    for (enum group g = GROUP_DEFINITION; g < GROUP_BLOCK; g++)
        if (apply_group(conf, scope, entries, first, g) == -1)
            return -1;
    if (call_on_scope(conf, scope) == -1)
        return -1;
    return apply_group(conf, scope, entries, first, GROUP_BLOCK);
}

/* ---- scopes ---- */

/* All modules' structs lie behind each other, so that a copy is one copy. */
static struct conf_scope *scope_create(struct conf *conf,
                                       const struct conf_scope *parent)
{
    const struct conf_engine *engine = conf->engine;
    struct conf_scope *scope = arena_calloc(conf->arena, sizeof *scope);
    char *memory = arena_calloc(conf->arena, engine->scope_size);

    scope->modules =
        arena_calloc(conf->arena, (conf->list_n + 1) * sizeof(void *));
    for (size_t i = 0; i < conf->list_n; i++) {
        size_t size = conf->list[i]->size;
        if (!size)
            continue;
        scope->modules[i] = memory + engine->offsets[i];
        if (parent)
            memcpy(scope->modules[i], parent->modules[i], size);
    }
    return scope;
}

int conf_block(struct conf *conf, struct conf_scope *parent,
               enum conf_context context, const struct conf_node *node,
               void *object, struct conf_scope **made)
{
    struct conf_scope *scope = scope_create(conf, parent);
    struct conf_scope **end = &parent->children;

    check(node->is_block);
    while (*end)
        end = &(*end)->next;
    *end = scope;
    scope->context = context;
    scope->parent = parent;
    scope->node = node;
    scope->object = object;
    if (made)
        *made = scope;
    if (apply_block(conf, scope, node->children) == -1)
        return -1;
    /* What the setter still has to say is about the whole block. */
    move_to(conf, node, node->end_line);
    return 0;
}

int conf_entry_next(struct conf *conf, const struct conf_node *block,
                    const struct conf_node **entry)
{
    const struct conf_node *node = *entry ? (*entry)->next : block->children;
    *entry = node;
    if (!node) {
        move_to(conf, block, block->end_line);
        return 0;
    }
    move_to(conf, node, node->line);
    if (node->is_block)
        return conf_fail(conf, "unexpected \"{\"");
    return 1;
}

static void number_modules(struct conf *conf)
{
    struct conf_engine *engine = conf->engine;
    const size_t align = _Alignof(max_align_t);

    for (conf->list_n = 0; conf->list[conf->list_n];)
        conf->list_n++;
    engine->offsets =
        arena_alloc(conf->arena, (conf->list_n + 1) * sizeof(size_t));
    for (size_t i = 0; i < conf->list_n; i++) {
        conf->list[i]->index = (unsigned)i;
        engine->offsets[i] = engine->scope_size;
        engine->scope_size += (conf->list[i]->size + align - 1) & ~(align - 1);
    }
}

int conf_apply(struct conf *conf)
{
    conf->engine = arena_calloc(conf->arena, sizeof *conf->engine);
    conf->errors = 0;
    conf->err->text[0] = '\0';
    number_modules(conf);
    tables_index(&conf->engine->rows, conf->arena, conf->list);
    conf->main = scope_create(conf, NULL);
    conf->main->context = CONF_MAIN;
    for (size_t i = 0; i < conf->list_n; i++)
        tables_put_defaults(conf, conf->list[i], conf->main->modules[i]);

    if (apply_block(conf, conf->main, conf->tree.top) == -1)
        return -1;
    for (size_t i = 0; i < conf->list_n; i++) {
        move_to(conf, NULL, 0);
        if (conf->list[i]->on_end && conf->list[i]->on_end(conf) == -1)
            return message_place(conf);
    }
    return 0;
}
