/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/rewrite_program.h - what the rewrite directives are compiled to.
 */
#ifndef PENSTOCK_SERVE_REWRITE_PROGRAM_H
#define PENSTOCK_SERVE_REWRITE_PROGRAM_H

#include "serve/rewrite.h"

enum rewrite_test {
    TEST_TRUTH = 1, /* neither empty nor "0" */
    TEST_EQUAL,
    TEST_REGEX,
    TEST_FILE,
    TEST_DIRECTORY,
    TEST_EXISTS,
    TEST_EXECUTABLE,
};

struct rewrite_condition {
    enum rewrite_test test;
    bool negate;
    const struct value *left;  /* or the path */
    const struct value *right; /* of TEST_EQUAL */
    struct regex *regex;
    const struct regex_names *names;
};

struct rewrite_if {
    struct rewrite_condition condition;
    const struct rewrite_program *then; /* NULL: settings only */
    struct location *location;          /* NULL: in a server */
};

struct rewrite_set {
    const struct variable *variable; /* NULL: $args */
    const struct value *value;
};

struct rewrite_return {
    unsigned status;
    const struct value *text; /* NULL: none */
};

/* A replacement is cut at its captures, since they alone are escaped. */
struct rewrite_piece {
    const struct value *value; /* NULL: a capture */
    unsigned capture;
    bool begins_args; /* the replacement's "?" stood in front of it */
};

struct rewrite_change {
    struct regex *regex;
    const struct regex_names *names;
    struct rewrite_piece *pieces;
    size_t n;
    bool has_args;   /* a "?" stands in the replacement */
    bool keep_args;  /* no "?" at its end: the request's are appended */
    unsigned status; /* 301, 302: a redirect; 0: the URI is changed */
    bool ends;       /* last, break or a redirect */
    bool is_break;
};

enum rewrite_kind {
    REWRITE_BREAK = 1,
    REWRITE_SET,
    REWRITE_IF,
    REWRITE_RETURN,
    REWRITE_CHANGE,
};

struct rewrite_step {
    enum rewrite_kind kind;
    union {
        struct rewrite_set set;
        struct rewrite_if branch;
        struct rewrite_return answer;
        struct rewrite_change change;
    };
    struct rewrite_step *next;
};

struct rewrite_program {
    struct rewrite_step *first, *last;
};

#endif
