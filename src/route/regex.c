/* SPDX-License-Identifier: BSD-2-Clause */
#include "route/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>

#include "base/check.h"

enum {
    MATCH_LIMIT = 100000,       /* steps, until regex_set_match_limit() */
    HEAP_LIMIT_KIB = 8192,      /* of the interpreter, without a JIT */
    JIT_STACK_FIRST = 32 << 10, /* bytes */
    JIT_STACK_MAX = 512 << 10,
    SUBJECT_SHOWN = 256, /* bytes of a subject in a log line */
};

struct group_name {
    struct str name;
    unsigned group;
};

struct regex {
    pcre2_code *code;
    struct str pattern;
    struct group_name *names;
    unsigned names_n;
    struct log_limit log;
};

/* Matching is done one at a time, so a process needs one of each. */
static struct {
    pcre2_match_context *context;
    pcre2_match_data *data;
    pcre2_jit_stack *jit_stack;
    uint32_t match_limit;
} engine = {.match_limit = MATCH_LIMIT};

static void engine_start(void)
{
    if (engine.context)
        return;
    engine.context = pcre2_match_context_create(NULL);
    engine.data = pcre2_match_data_create(REGEX_CAPTURES_MAX, NULL);
    engine.jit_stack =
        pcre2_jit_stack_create(JIT_STACK_FIRST, JIT_STACK_MAX, NULL);
    check(engine.context && engine.data);
    if (engine.jit_stack)
        pcre2_jit_stack_assign(engine.context, NULL, engine.jit_stack);
    pcre2_set_heap_limit(engine.context, HEAP_LIMIT_KIB);
    regex_set_match_limit(engine.match_limit);
}

void regex_set_match_limit(uint32_t limit)
{
    engine.match_limit = limit;
    if (!engine.context)
        return;
    /* The JIT knows the first, the interpreter both. */
    pcre2_set_match_limit(engine.context, limit);
    pcre2_set_depth_limit(engine.context, limit);
}

static void free_code(void *arg)
{
    struct regex *r = arg;
    pcre2_code_free(r->code);
}

/* nginx's sentence. */
static void explain(struct err *err, int error, struct str pattern,
                    size_t offset)
{
    PCRE2_UCHAR text[256];
    if (pcre2_get_error_message(error, text, sizeof text) < 0)
        memcpy(text, "unknown error", sizeof "unknown error");
    err_set(err, "pcre2_compile() failed: %s in \"%.*s\"", (char *)text,
            STR_ARG(pattern));
    size_t n = strlen(err->text);
    if (offset < pattern.n)
        snprintf(err->text + n, sizeof err->text - n, " at \"%.*s\"",
                 (int)(pattern.n - offset), pattern.p + offset);
}

/* PCRE2's table of names: entries of one size, the group in two bytes (the
 * higher first), then the name with a NUL. */
static int read_names(struct regex *r, struct arena *arena, struct err *err)
{
    uint32_t count = 0, size = 0;
    PCRE2_SPTR entry = NULL;

    pcre2_pattern_info(r->code, PCRE2_INFO_NAMECOUNT, &count);
    pcre2_pattern_info(r->code, PCRE2_INFO_NAMEENTRYSIZE, &size);
    pcre2_pattern_info(r->code, PCRE2_INFO_NAMETABLE, &entry);
    r->names = arena_alloc(arena, count * sizeof *r->names);
    r->names_n = count;
    for (uint32_t i = 0; i < count; i++, entry += size) {
        struct group_name *name = &r->names[i];
        name->group = (unsigned)entry[0] << 8 | entry[1];
        name->name = arena_str(arena, str_c((const char *)entry + 2));
        if (name->group >= REGEX_CAPTURES_MAX)
            return err_set(err,
                           "group \"%.*s\" is number %u in \"%.*s\", the "
                           "highest that is kept is %d",
                           STR_ARG(name->name), name->group,
                           STR_ARG(r->pattern), REGEX_CAPTURES_MAX - 1);
    }
    return 0;
}

struct regex *regex_compile(struct arena *arena, struct str pattern,
                            bool nocase, struct err *err)
{
    int error = 0;
    size_t offset = 0;

    engine_start();
    pcre2_code *code =
        pcre2_compile((PCRE2_SPTR)(pattern.n ? pattern.p : ""), pattern.n,
                      nocase ? PCRE2_CASELESS : 0, &error, &offset, NULL);
    if (!code) {
        explain(err, error, pattern, offset);
        return NULL;
    }
    struct regex *r = arena_calloc(arena, sizeof *r);
    r->code = code;
    r->pattern = arena_str(arena, pattern);
    arena_on_destroy(arena, free_code, r);
    if (read_names(r, arena, err) == -1)
        return NULL;
    /* May be impossible (a kernel that forbids writable code, a pattern with
     * (*NO_JIT)): the interpreter then does it, under the same limits. */
    (void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
    return r;
}

static void report(struct regex *r, int error, struct str subject)
{
    PCRE2_UCHAR text[128];
    uint64_t skipped;

    if (!log_limit_pass(&r->log, &skipped))
        return;
    if (pcre2_get_error_message(error, text, sizeof text) < 0)
        text[0] = '\0';
    log_err(&log_process,
            "pcre2_match() failed: %s on \"%.*s\" using \"%.*s\", %llu more "
            "since the last such line",
            (char *)text, STR_ARG(str_slice(subject, 0, SUBJECT_SHOWN)),
            STR_ARG(r->pattern), (unsigned long long)skipped);
}

static void copy_captures(struct captures *c, struct str subject, int pairs)
{
    /* 0: there are more groups than we keep. */
    unsigned n = pairs > 0 ? (unsigned)pairs : REGEX_CAPTURES_MAX;
    const size_t *at = pcre2_get_ovector_pointer(engine.data);

    c->subject = subject;
    c->n = n;
    memcpy(c->at, at, 2 * n * sizeof *at);
}

bool regex_match(struct regex *r, struct str subject, struct captures *captures)
{
    PCRE2_SPTR text = (PCRE2_SPTR)(subject.n ? subject.p : "");
    int got = pcre2_match(r->code, text, subject.n, 0, 0, engine.data,
                          engine.context);
    if (got < 0) {
        if (got != PCRE2_ERROR_NOMATCH)
            report(r, got, subject);
        return false;
    }
    if (captures)
        copy_captures(captures, subject, got);
    return true;
}

bool regex_name(const struct regex *r, unsigned i, struct str *name,
                unsigned *group)
{
    if (i >= r->names_n)
        return false;
    *name = r->names[i].name;
    *group = r->names[i].group;
    return true;
}

struct str captures_get(const struct captures *c, unsigned n)
{
    if (n >= c->n)
        return (struct str){NULL, 0};
    size_t from = c->at[2 * n], to = c->at[2 * n + 1];
    /* \K in an assertion can place the start behind the end. */
    if (from == PCRE2_UNSET || to > c->subject.n || from > to)
        return (struct str){NULL, 0};
    return str_n(c->subject.n ? c->subject.p + from : "", to - from);
}

struct str regex_pattern(const struct regex *r)
{
    return r->pattern;
}
