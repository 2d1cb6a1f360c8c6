/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf/lexer.h - the words of one directive, and what ends it.
 *
 * nginx's rules to the letter: see nginx's own binary for the arbiter.  A
 * lexer reads one text; several lexers (a file and what it includes) take
 * turns with one list of words.
 */
#ifndef PENSTOCK_CONF_LEXER_H
#define PENSTOCK_CONF_LEXER_H

#include "conf/tree.h"

/* What a directive ended with. */
enum conf_token {
    TOKEN_END = 0,   /* of the text; no words */
    TOKEN_SEMICOLON, /* name args ; */
    TOKEN_OPEN,      /* name args { */
    TOKEN_CLOSE,     /* } ; no words */
};

/* The words since the last token; grows on the heap. */
struct words {
    struct conf_word *items;
    size_t n, capacity;
    size_t total; /* of all directives so far, at most CONF_WORDS_MAX */
};

struct lexer {
    struct arena *arena; /* for words that differ from their spelling */
    struct words *words;
    const char *p, *end; /* what is left of the text, which must stay */
    unsigned line;       /* where p stands, from 1 */
    bool is_parameter;   /* the text of -g: no file, no bound on a word */
};

/* Read on to the next token: an enum conf_token with its words in
 * lexer->words, or -1 with nginx's sentence (lexer->line is its line). */
int lexer_next(struct lexer *lexer, struct err *err);

#endif
