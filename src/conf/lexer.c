/* SPDX-License-Identifier: BSD-2-Clause */
#include "lexer.h"

#include "base/check.h"

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Blanks and comments between words. */
static void skip_space(struct lexer *l)
{
    bool in_comment = false;
    for (; l->p < l->end; l->p++) {
        if (*l->p == '\n') {
            l->line++;
            in_comment = false;
        } else if (*l->p == '#') {
            in_comment = true;
        } else if (!in_comment && !is_space(*l->p)) {
            return;
        }
    }
}

static int fail_unexpected(char c, struct err *err)
{
    return err_set(err, "unexpected \"%c\"", c);
}

static int fail_at_end(const struct lexer *l, struct err *err)
{
    if (l->is_parameter)
        return err_set(err, "unexpected end of parameter, expecting \";\"");
    return err_set(err, "unexpected end of file, expecting \";\" or \"}\"");
}

static int fail_too_long(const char *start, char quote, struct err *err)
{
    if (quote)
        return err_set(err,
                       "too long parameter, probably missing terminating "
                       "\"%c\" character",
                       quote);
    return err_set(err, "too long parameter \"%.10s...\" started", start);
}

/* The escapes that mean something; any other backslash stays. */
static struct str unescape(struct arena *arena, struct str raw)
{
    if (!memchr(raw.p, '\\', raw.n))
        return raw;
    char *text = arena_alloc(arena, raw.n);
    size_t n = 0;
    for (size_t i = 0; i < raw.n; i++) {
        char c = raw.p[i];
        char next = i + 1 < raw.n ? raw.p[i + 1] : '\0';
        if (c == '\\') {
            switch (next) {
            case '"':
            case '\'':
            case '\\':
                c = next, i++;
                break;
            case 't':
                c = '\t', i++;
                break;
            case 'r':
                c = '\r', i++;
                break;
            case 'n':
                c = '\n', i++;
                break;
            default:
                break;
            }
        }
        text[n++] = c;
    }
    return str_n(text, n);
}

static int add_word(struct lexer *l, struct str raw, bool quoted,
                    struct err *err)
{
    struct words *w = l->words;
    /* No C string further on shall end earlier than it looks. */
    if (memchr(raw.p, '\0', raw.n))
        return err_set(err, "unexpected NUL character in a word");
    if (++w->total > CONF_WORDS_MAX)
        return err_set(err, "the configuration has more than %d words",
                       CONF_WORDS_MAX);
    if (w->n == w->capacity) {
        w->capacity = w->capacity ? w->capacity * 2 : 16;
        w->items = xrealloc(w->items, w->capacity * sizeof *w->items);
    }
    w->items[w->n++] = (struct conf_word){
        .text = unescape(l->arena, raw),
        .quoted = quoted,
    };
    return 0;
}

/* Does c, outside quotes or inside those of quote, end the word? */
static bool ends_word(char c, char quote)
{
    if (quote)
        return c == quote;
    return is_space(c) || c == ';' || c == '{';
}

/*
 * One word; p is at its first character.  Afterwards p is at what ended it,
 * which for a quoted one is the character behind the closing quote.
 */
static int read_word(struct lexer *l, struct err *err)
{
    char quote = *l->p == '"' || *l->p == '\'' ? *l->p++ : '\0';
    const char *start = l->p;
    unsigned start_line = l->line;
    bool escaped = false;
    bool variable = false; /* directly behind a '$': "{" belongs to it */

    for (; l->p < l->end; l->p++) {
        char c = *l->p;
        if (l->p - start > CONF_WORD_MAX && !l->is_parameter) {
            l->line = start_line;
            return fail_too_long(start, quote, err);
        }
        if (c == '\n' && (quote || escaped))
            l->line++;
        if (escaped) {
            escaped = false;
            continue;
        }
        if (c == '{' && variable)
            continue;
        variable = c == '$';
        escaped = c == '\\';
        if (ends_word(c, quote))
            break;
    }
    if (l->p == l->end)
        return fail_at_end(l, err);
    struct str raw = str_n(start, (size_t)(l->p - start));
    if (quote)
        l->p++;
    return add_word(l, raw, quote, err);
}

/* Behind a closing quote stands a blank, an end, or (for if) a ")". */
static int check_after_quote(const struct lexer *l, struct err *err)
{
    if (l->p == l->end)
        return fail_at_end(l, err);
    if (is_space(*l->p) || strchr(";{)", *l->p))
        return 0;
    return fail_unexpected(*l->p, err);
}

/* A character that is a token: it may only end what has begun, and "}" only
 * what has not. */
static int read_token(struct lexer *l, struct err *err)
{
    char c = *l->p++;
    if (c == '}' ? l->words->n != 0 : l->words->n == 0)
        return fail_unexpected(c, err);
    return c == ';' ? TOKEN_SEMICOLON : c == '{' ? TOKEN_OPEN : TOKEN_CLOSE;
}

int lexer_next(struct lexer *l, struct err *err)
{
    l->words->n = 0;
    for (;;) {
        skip_space(l);
        if (l->p == l->end)
            return l->words->n ? fail_at_end(l, err) : TOKEN_END;
        if (*l->p == ';' || *l->p == '{' || *l->p == '}')
            return read_token(l, err);
        bool quoted = *l->p == '"' || *l->p == '\'';
        if (read_word(l, err) == -1)
            return -1;
        if (quoted && check_after_quote(l, err) == -1)
            return -1;
    }
}
