/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/check.h"
#include "nameless.h"
#include "rewrite_program.h"

static struct rewrite_step *add_step(struct conf *conf,
                                     struct conf_scope *scope,
                                     struct rewrite_conf *c,
                                     enum rewrite_kind kind)
{
    if (c->owner != scope) {
        c->owner = scope;
        c->program = arena_calloc(conf->arena, sizeof *c->program);
    }
    struct rewrite_program *program = c->program;
    struct rewrite_step *step = arena_calloc(conf->arena, sizeof *step);
    step->kind = kind;
    if (program->last)
        program->last->next = step;
    else
        program->first = step;
    program->last = step;
    return step;
}

static int compile(struct conf *conf, struct str text,
                   const struct value **value)
{
    *value = value_compile(conf, conf->variables, text);
    return *value ? 0 : -1;
}

static int compile_regex(struct conf *conf, struct str pattern, bool nocase,
                         struct regex **regex, const struct regex_names **names)
{
    *regex = regex_compile(conf->arena, pattern, nocase, conf->err);
    if (!*regex)
        return -1;
    *names = regex_names_define(conf->variables, *regex, conf->err);
    return *names ? 0 : -1;
}

static int set_break(struct conf *conf, struct conf_scope *scope,
                     const struct directive *row, const struct conf_node *node,
                     void *field)
{
    (void)row, (void)node;
    add_step(conf, scope, field, REWRITE_BREAK);
    return 0;
}

/* ---- set ---- */

static int set_set(struct conf *conf, struct conf_scope *scope,
                   const struct directive *row, const struct conf_node *node,
                   void *field)
{
    struct str word = conf_arg(node, 1);
    (void)row;

    if (word.n < 2 || word.p[0] != '$')
        return conf_fail(conf, "invalid variable name \"%.*s\"", STR_ARG(word));
    struct rewrite_set set = {.variable = NULL};
    struct str name = str_slice(word, 1, word.n);
    /* The one variable of ours that may be assigned: it is the request's own
     * field, not a slot. */
    if (!str_eq_nocase(name, STR("args"))) {
        set.variable = variables_define(conf->variables, name,
                                        variable_get_slot, VARIABLE_CHANGEABLE);
        if (!set.variable)
            return conf_fail(conf, "the duplicate \"%.*s\" variable",
                             STR_ARG(name));
    }
    if (compile(conf, conf_arg(node, 2), &set.value) == -1)
        return -1;
    add_step(conf, scope, field, REWRITE_SET)->set = set;
    return 0;
}

/* ---- return ---- */

static bool is_url(struct str s)
{
    return str_starts(s, STR("http://")) || str_starts(s, STR("https://")) ||
           str_starts(s, STR("$scheme"));
}

static int set_return(struct conf *conf, struct conf_scope *scope,
                      const struct directive *row, const struct conf_node *node,
                      void *field)
{
    struct rewrite_return answer = {.status = 302};
    struct str first = conf_arg(node, 1), text = first;
    uint64_t status;
    (void)row;

    if (str_to_u64(first, 999, &status) && status >= 200) {
        answer.status = (unsigned)status;
        text = node->words_n > 2 ? conf_arg(node, 2) : (struct str){NULL, 0};
    } else if (node->words_n > 2 || !is_url(first)) {
        return conf_fail(conf, "invalid return code \"%.*s\"", STR_ARG(first));
    }
    if (text.p && compile(conf, text, &answer.text) == -1)
        return -1;
    add_step(conf, scope, field, REWRITE_RETURN)->answer = answer;
    return 0;
}

/* ---- rewrite ---- */

static bool begins_capture(struct str s, size_t i)
{
    return s.p[i] == '$' && i + 1 < s.n && s.p[i + 1] >= '1' &&
           s.p[i + 1] <= '9';
}

/* The end of the text or variables that begin at i. */
static size_t end_of_plain(struct str s, size_t i, bool cut_at_args)
{
    while (i < s.n && !begins_capture(s, i) && !(cut_at_args && s.p[i] == '?'))
        i++;
    return i;
}

static int cut_pieces(struct conf *conf, struct str s,
                      struct rewrite_change *change)
{
    bool to_cut = !change->status, begins_args = false;

    change->pieces =
        arena_calloc(conf->arena, (s.n + 1) * sizeof *change->pieces);
    change->has_args = str_find(s, '?', 0) < s.n;
    for (size_t i = 0; i < s.n;) {
        if (to_cut && s.p[i] == '?') {
            begins_args = true;
            to_cut = false;
            i++;
            continue;
        }
        struct rewrite_piece *piece = &change->pieces[change->n++];
        piece->begins_args = begins_args;
        begins_args = false;
        if (begins_capture(s, i)) {
            piece->capture = (unsigned)(s.p[i + 1] - '0');
            i += 2;
            continue;
        }
        size_t end = end_of_plain(s, i, to_cut);
        if (compile(conf, str_slice(s, i, end), &piece->value) == -1)
            return -1;
        i = end;
    }
    return 0;
}

static int read_rewrite_flag(struct conf *conf, struct str word,
                             struct rewrite_change *change)
{
    change->ends = true;
    if (str_eq(word, STR("break")))
        change->is_break = true;
    else if (str_eq(word, STR("redirect")))
        change->status = 302;
    else if (str_eq(word, STR("permanent")))
        change->status = 301;
    else if (!str_eq(word, STR("last")))
        return conf_fail(conf, "invalid parameter \"%.*s\"", STR_ARG(word));
    return 0;
}

static int set_rewrite(struct conf *conf, struct conf_scope *scope,
                       const struct directive *row,
                       const struct conf_node *node, void *field)
{
    struct rewrite_change change = {.keep_args = true};
    struct str to = conf_arg(node, 2);
    (void)row;

    if (compile_regex(conf, conf_arg(node, 1), false, &change.regex,
                      &change.names) == -1)
        return -1;
    if (to.n == 0)
        return conf_fail(conf, "empty replacement");
    if (is_url(to)) {
        change.status = 302;
        change.ends = true;
    }
    if (node->words_n > 3 &&
        read_rewrite_flag(conf, conf_arg(node, 3), &change) == -1)
        return -1;
    if (to.p[to.n - 1] == '?') {
        change.keep_args = false;
        to.n--;
    }
    if (cut_pieces(conf, to, &change) == -1)
        return -1;
    add_step(conf, scope, field, REWRITE_CHANGE)->change = change;
    return 0;
}

/* ---- if ---- */

struct words {
    struct str at[4];
    size_t n;
};

static int bad_condition(struct conf *conf, struct str word)
{
    return conf_fail(conf, "invalid condition \"%.*s\"", STR_ARG(word));
}

/* "($a" "=" "b)" and "(" "$a" "=" "b" ")" are the same three words. */
static int strip_parentheses(struct conf *conf, const struct conf_node *node,
                             struct words *out)
{
    size_t last = node->words_n - 1;
    struct str open = conf_arg(node, 1), close = conf_arg(node, last);

    if (!open.n || open.p[0] != '(')
        return bad_condition(conf, open);
    if (!close.n || close.p[close.n - 1] != ')')
        return bad_condition(conf, close);
    out->n = 0;
    for (size_t i = 1; i <= last; i++) {
        struct str word = conf_arg(node, i);
        bool was_only_parenthesis = false;
        if (i == 1) {
            word = str_slice(word, 1, word.n);
            was_only_parenthesis = word.n == 0;
        }
        if (i == last && word.n) {
            word.n--;
            was_only_parenthesis = word.n == 0;
        }
        if (was_only_parenthesis)
            continue;
        if (out->n == COUNT(out->at))
            return bad_condition(conf, word);
        out->at[out->n++] = word;
    }
    return out->n ? 0 : bad_condition(conf, close);
}

static int read_comparison(struct conf *conf, const struct words *w,
                           struct rewrite_condition *c)
{
    struct str sign = w->at[1];

    c->negate = sign.n && sign.p[0] == '!';
    if (c->negate)
        sign = str_slice(sign, 1, sign.n);
    if (str_eq(sign, STR("="))) {
        c->test = TEST_EQUAL;
        return compile(conf, w->at[2], &c->right);
    }
    c->test = TEST_REGEX;
    if (str_eq(sign, STR("~")) || str_eq(sign, STR("~*")))
        return compile_regex(conf, w->at[2], sign.n == 2, &c->regex, &c->names);
    return conf_fail(conf, "unexpected \"%.*s\" in condition",
                     STR_ARG(w->at[1]));
}

static int read_file_test(struct conf *conf, const struct words *w,
                          struct rewrite_condition *c)
{
    struct str sign = w->at[0];

    c->negate = sign.p[0] == '!';
    switch (sign.p[sign.n - 1]) {
    case 'f':
        c->test = TEST_FILE;
        break;
    case 'd':
        c->test = TEST_DIRECTORY;
        break;
    case 'e':
        c->test = TEST_EXISTS;
        break;
    case 'x':
        c->test = TEST_EXECUTABLE;
        break;
    default:
        return bad_condition(conf, sign);
    }
    return compile(conf, w->at[1], &c->left);
}

static int read_condition(struct conf *conf, const struct conf_node *node,
                          struct rewrite_condition *c)
{
    struct words w = {.n = 0};
    if (strip_parentheses(conf, node, &w) == -1)
        return -1;

    struct str first = w.at[0];
    if (first.n > 1 && first.p[0] == '$') {
        if (w.n != 1 && w.n != 3)
            return bad_condition(conf, first);
        if (compile(conf, first, &c->left) == -1)
            return -1;
        c->test = TEST_TRUTH;
        return w.n == 3 ? read_comparison(conf, &w, c) : 0;
    }
    bool is_file_test =
        (first.n == 2 && first.p[0] == '-') ||
        (first.n == 3 && first.p[0] == '!' && first.p[1] == '-');
    if (!is_file_test || w.n != 2)
        return bad_condition(conf, first);
    return read_file_test(conf, &w, c);
}

static int set_if(struct conf *conf, struct conf_scope *scope,
                  const struct directive *row, const struct conf_node *node,
                  void *field)
{
    struct rewrite_if branch = {.then = NULL};
    const struct conf_scope *made;
    (void)row;

    if (read_condition(conf, node, &branch.condition) == -1)
        return -1;
    if (scope->context == CONF_SERVER) {
        struct conf_scope *child;
        if (conf_block(conf, scope, CONF_SERVER_IF, node, scope->object,
                       &child) == -1)
            return -1;
        made = child;
    } else {
        branch.location =
            nameless_location(conf, scope, CONF_LOCATION_IF, node);
        if (!branch.location)
            return -1;
        made = branch.location->scope;
    }
    const struct rewrite_conf *inner = conf_get(made, &rewrite_module);
    if (inner->owner == made)
        branch.then = inner->program;
    add_step(conf, scope, field, REWRITE_IF)->branch = branch;
    return 0;
}

/* ---- the table ---- */

enum {
    ANYWHERE = CONF_SERVER | CONF_SERVER_IF | CONF_LOCATION | CONF_LOCATION_IF,
};

static const struct directive rewrite_directives[] = {
    {.name = "return",
     .contexts = ANYWHERE,
     .arity = ARGS_1 | ARGS_2,
     .flags = CONF_ORDERED | CONF_REPEATABLE,
     .set = set_return,
     .syntax = "CODE [TEXT] | CODE URL | URL",
     .help = "Answer at once."},
    {.name = "rewrite",
     .contexts = ANYWHERE,
     .arity = ARGS_2 | ARGS_3,
     .flags = CONF_ORDERED | CONF_REPEATABLE,
     .set = set_rewrite,
     .syntax = "REGEX REPLACEMENT [last|break|redirect|permanent]",
     .help = "Change the URI, or redirect, where the pattern matches."},
    {.name = "set",
     .contexts = ANYWHERE,
     .arity = ARGS_2,
     .flags = CONF_ORDERED | CONF_REPEATABLE,
     .set = set_set,
     .syntax = "$VARIABLE VALUE",
     .help = "Assign a variable."},
    {.name = "if",
     .contexts = CONF_SERVER | CONF_LOCATION,
     .arity = ARGS_1_MORE,
     .flags = CONF_ORDERED | CONF_REPEATABLE | CONF_BLOCK,
     .set = set_if,
     .syntax = "(CONDITION)",
     .help = "Run and apply a block where the condition is true."},
    {.name = "break",
     .contexts = ANYWHERE,
     .arity = ARGS_0,
     .flags = CONF_ORDERED | CONF_REPEATABLE,
     .set = set_break,
     .help = "Run no more rewrite directives."},
    {.name = "rewrite_log",
     .contexts = CONF_HTTP | ANYWHERE,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = offsetof(struct rewrite_conf, log),
     .default_text = "off",
     .help = "Log what rewrite does, at level notice."},
    {.name = "uninitialized_variable_warn",
     .contexts = CONF_HTTP | ANYWHERE,
     .arity = ARGS_FLAG,
     .flags = CONF_IGNORED,
     .help = "Accepted; a variable that was not set is empty."},
    {.name = NULL},
};

struct conf_module rewrite_module = {
    .name = "rewrite",
    .size = sizeof(struct rewrite_conf),
    .directives = rewrite_directives,
};
