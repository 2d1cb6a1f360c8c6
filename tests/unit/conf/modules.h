/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/unit/conf/modules.h - a small set of modules with every kind of row.
 *
 * Setters and hooks of the set write what they were called for to a
 * transcript: "name=args@line".
 */
#ifndef PENSTOCK_TESTS_UNIT_CONF_MODULES_H
#define PENSTOCK_TESTS_UNIT_CONF_MODULES_H

#include <inttypes.h>

#include "conf/conf.h"
#include "unit/conf/parsing.h"

struct kinds {
    bool flag;
    uint64_t number, size, ms, sec;
    struct str str;
    const char *path;
    unsigned choice, bits;
    struct conf_list list;
};

struct trace {
    uint64_t depth; /* set by on_scope: the parent's and one more */
    struct str note;
};

/* What one application of a text leaves behind. */
struct applied {
    struct arena *arena;
    struct conf conf;
    struct err err;
    struct buf transcript;
    struct buf warnings;
};

static const struct conf_enum choices[] = {
    {"off", 0}, {"on", 1}, {"always", 2}, {NULL, 0}};
static const struct conf_enum bit_names[] = {
    {"error", 1}, {"timeout", 2}, {"never", 4}, {NULL, 0}};

static void say(struct conf *conf, const struct conf_node *node)
{
    struct applied *a = conf->result;
    for (size_t i = 0; i < node->words_n; i++)
        buf_printf(&a->transcript, "%s%.*s",
                   i == 1 ? "="
                   : i    ? ","
                          : "",
                   STR_ARG(node->words[i].text));
    buf_put_u8(&a->transcript, ' ');
}

static int set_note(struct conf *conf, struct conf_scope *scope,
                    const struct directive *row, const struct conf_node *node,
                    void *field)
{
    (void)scope, (void)row;
    say(conf, node);
    *(struct str *)field = conf_arg(node, 1);
    if (str_eq(conf_arg(node, 1), STR("bare")))
        return conf_fail(conf, "invalid value");
    if (str_eq(conf_arg(node, 1), STR("mute")))
        return -1;
    if (str_eq(conf_arg(node, 1), STR("wordy")))
        return conf_fail(conf, "a sentence that says it all");
    if (str_eq(conf_arg(node, 1), STR("elsewhere")))
        return conf_fail_at(conf, conf->tree.top, "the first is wrong");
    if (str_eq(conf_arg(node, 1), STR("warn")))
        conf_warn(conf, "mind %d", 7);
    return 0;
}

static int set_item(struct conf *conf, struct conf_scope *scope,
                    const struct directive *row, const struct conf_node *node,
                    void *field)
{
    (void)row;
    if (str_eq(conf_arg(node, 1), STR("off")))
        conf_list_clear(scope, field);
    else
        conf_list_add(conf, scope, field,
                      (void *)(uintptr_t)conf_arg_c(conf, node, 1));
    return 0;
}

/* row->data: the context that the block makes. */
static int set_block(struct conf *conf, struct conf_scope *scope,
                     const struct directive *row, const struct conf_node *node,
                     void *field)
{
    struct conf_scope *made = NULL;
    (void)field;
    say(conf, node);
    if (conf_block(conf, scope, *(const enum conf_context *)row->data, node,
                   conf->result, &made) == -1)
        return -1;
    struct str last = conf_arg(node, node->words_n - 1);
    if (node->words_n > 1 && str_eq(last, STR("refuse")))
        return conf_fail(conf, "the block lacks something");
    return 0;
}

static int set_data(struct conf *conf, struct conf_scope *scope,
                    const struct directive *row, const struct conf_node *node,
                    void *field)
{
    const struct conf_node *entry = NULL;
    int rc;
    (void)scope, (void)row, (void)field;
    while ((rc = conf_entry_next(conf, node, &entry)) == 1) {
        say(conf, entry);
        if (str_eq(conf_arg(entry, 0), STR("wrong")))
            return conf_fail(conf, "the entry is wrong");
    }
    if (rc == 0 && node->words_n > 1)
        return conf_fail(conf, "the data lack something");
    return rc;
}

static int trace_scope(struct conf *conf, struct conf_scope *scope,
                       void *module_conf)
{
    struct applied *a = conf->result;
    struct trace *t = module_conf;
    buf_printf(&a->transcript, "[%" PRIu64 ":%.*s] ", t->depth,
               STR_ARG(t->note));
    t->depth++;
    if (str_eq(t->note, STR("fail-on-scope")))
        return conf_fail(conf, "the scope is wrong");
    (void)scope;
    return 0;
}

static int trace_end(struct conf *conf)
{
    struct applied *a = conf->result;
    buf_printf(&a->transcript, "end");
    for (const struct conf_node *n = conf->tree.top; n; n = n->next) {
        if (str_eq(conf_arg(n, 0), STR("fail_at_end")))
            return conf_fail_at(conf, n, "the end is wrong");
        if (str_eq(conf_arg(n, 0), STR("fail_without_place")))
            return conf_fail(conf, "no place is wrong");
    }
    return 0;
}

static void kinds_defaults(void *module_conf)
{
    struct kinds *k = module_conf;
    k->choice = 1;
}

static const enum conf_context makes_http = CONF_HTTP,
                               makes_server = CONF_SERVER,
                               makes_location = CONF_LOCATION,
                               makes_if = CONF_LOCATION_IF,
                               makes_upstream = CONF_UPSTREAM;
enum { ANYWHERE = (1 << 10) - 1 };

#define KIND(field) .offset = offsetof(struct kinds, field)

static const struct directive kinds_rows[] = {
    {.name = "flag",
     .contexts = ANYWHERE,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     KIND(flag),
     .default_text = "on",
     .help = "A flag."},
    {.name = "number",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = conf_set_number,
     KIND(number),
     .default_text = "5",
     .min = 2,
     .max = 9,
     .help = "A number."},
    {.name = "size",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = conf_set_size,
     KIND(size),
     .default_text = "8k",
     .min = 125,
     .max = 1 << 30,
     .help = "A size."},
    {.name = "ms",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = conf_set_ms,
     KIND(ms),
     .default_text = "60s",
     .min = 1000,
     .help = "A time."},
    {.name = "sec",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = conf_set_sec,
     KIND(sec),
     .default_text = "1h",
     .max = 86400,
     .help = "A longer time."},
    {.name = "str",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = conf_set_str,
     KIND(str),
     .default_text = "\"\"",
     .help = "A text."},
    {.name = "path",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = conf_set_path,
     KIND(path),
     .default_text = "logs/x",
     .help = "A path."},
    {.name = "choice",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = conf_set_enum,
     KIND(choice),
     .data = choices,
     .default_text = "on",
     .help = "A choice."},
    {.name = "bits",
     .contexts = ANYWHERE,
     .arity = ARGS_1_MORE,
     .set = conf_set_bits,
     KIND(bits),
     .data = bit_names,
     .default_text = "error timeout",
     .help = "Several choices, with a sentence about them that is long enough "
             "to need a second line in the reference."},
    {.name = "item",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .flags = CONF_REPEATABLE,
     .set = set_item,
     KIND(list),
     .syntax = "TEXT | off",
     .help = "An item of a list."},
    {.name = "ignored",
     .contexts = ANYWHERE,
     .arity = ARGS_ANY,
     .flags = CONF_IGNORED,
     .help = "Tunes nothing."},
    {0},
};

#define NOTE .offset = offsetof(struct trace, note), .set = set_note

static const struct directive trace_rows[] = {
    {.name = "note",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     NOTE,
     .help = "A note."},
    {.name = "main_only",
     .contexts = CONF_MAIN,
     .arity = ARGS_1 | ARGS_3,
     NOTE,
     .help = "A note for main."},
    {.name = "fail_at_end",
     .contexts = CONF_MAIN,
     .arity = ARGS_0,
     .set = conf_set_ignored,
     .help = "Fails at the end."},
    {.name = "fail_without_place",
     .contexts = CONF_MAIN,
     .arity = ARGS_0,
     .set = conf_set_ignored,
     .help = "Fails at the end, at no place."},
    {.name = "format",
     .contexts = CONF_HTTP,
     .arity = ARGS_2_MORE,
     .flags = CONF_DEFINES | CONF_REPEATABLE,
     NOTE,
     .help = "A definition."},
    {.name = "set",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .flags = CONF_ORDERED | CONF_REPEATABLE,
     NOTE,
     .help = "Ordered."},
    {.name = "if",
     .contexts = CONF_LOCATION,
     .arity = ARGS_ANY,
     .flags = CONF_ORDERED | CONF_REPEATABLE | CONF_BLOCK,
     .set = set_block,
     .data = &makes_if,
     .help = "Ordered block."},
    {.name = "data",
     .contexts = ANYWHERE,
     .arity = ARGS_0 | ARGS_1,
     .flags = CONF_BLOCK | CONF_DEFINES | CONF_REPEATABLE,
     .set = set_data,
     .help = "Entries."},
    {.name = "upstream",
     .contexts = CONF_HTTP,
     .arity = ARGS_1,
     .flags = CONF_BLOCK | CONF_DEFINES | CONF_REPEATABLE,
     .set = set_block,
     .data = &makes_upstream,
     .help = "A defining block."},
    {.name = "http",
     .contexts = CONF_MAIN,
     .arity = ARGS_0,
     .flags = CONF_BLOCK,
     .set = set_block,
     .data = &makes_http,
     .help = "One block."},
    {.name = "server",
     .contexts = CONF_HTTP,
     .arity = ARGS_0 | ARGS_1,
     .flags = CONF_BLOCK | CONF_REPEATABLE,
     .set = set_block,
     .data = &makes_server,
     .help = "Blocks."},
    {.name = "server",
     .contexts = CONF_UPSTREAM,
     .arity = ARGS_1 | ARGS_2,
     .flags = CONF_REPEATABLE,
     NOTE,
     .help = "The same name elsewhere."},
    {.name = "location",
     .contexts = CONF_SERVER | CONF_LOCATION,
     .arity = ARGS_1 | ARGS_2,
     .flags = CONF_BLOCK | CONF_REPEATABLE,
     .set = set_block,
     .data = &makes_location,
     .help = "Nested blocks."},
    {0},
};

static struct conf_module kinds_module = {.name = "kinds",
                                          .size = sizeof(struct kinds),
                                          .defaults = kinds_defaults,
                                          .directives = kinds_rows};
static struct conf_module empty_module = {.name = "empty"};
static struct conf_module trace_module = {.name = "trace",
                                          .size = sizeof(struct trace),
                                          .directives = trace_rows,
                                          .on_scope = trace_scope,
                                          .on_end = trace_end};
static struct conf_module *const test_modules[] = {&kinds_module, &empty_module,
                                                   &trace_module, NULL};

static void collect_warning(void *arg, const char *sentence)
{
    buf_printf(arg, "%s\n", sentence);
}

/* Apply a text that parses; the caller ends it with applied_fini(). */
static inline int apply_text(struct applied *a, const char *text)
{
    *a = (struct applied){.arena = arena_create(4096)};
    a->conf = (struct conf){
        .arena = a->arena,
        .list = test_modules,
        .prefix = "/prefix/",
        .err = &a->err,
        .warn = collect_warning,
        .warn_arg = &a->warnings,
        .result = a,
    };
    if (parse_text(&a->conf.tree, a->arena, text, NULL, &a->err) == -1)
        fail_msg("%s: %s", text, a->err.text);
    return conf_apply(&a->conf);
}

static inline void applied_fini(struct applied *a)
{
    arena_destroy(a->arena);
    buf_fini(&a->transcript);
    buf_fini(&a->warnings);
}

/* The text must be refused with this sentence. */
static inline void expect_refusal(const char *text, const char *sentence)
{
    struct applied a;
    if (apply_text(&a, text) != -1)
        fail_msg("accepted: %s", text);
    if (strcmp(a.err.text, sentence) != 0)
        fail_msg("%s\n  says:    %s\n  expected: %s", text, a.err.text,
                 sentence);
    applied_fini(&a);
}

static inline void expect_good(struct applied *a, const char *text)
{
    if (apply_text(a, text) == -1)
        fail_msg("%s: %s", text, a->err.text);
}

#endif
