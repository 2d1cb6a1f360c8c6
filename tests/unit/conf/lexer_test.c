/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/lexer.h"

#include "unit/conf/parsing.h"

/* The tokens of a text: words between bars, then ; { } or . at its end. */
static int lex(struct buf *out, struct str text, bool is_parameter,
               unsigned *line, struct err *err)
{
    struct arena *arena = arena_create(4096);
    struct words words = {0};
    /* In memory of its own size: reading past it is seen. */
    char *copy = malloc(text.n + 1);
    memcpy(copy, text.p, text.n);
    struct lexer l = {.arena = arena,
                      .words = &words,
                      .p = copy,
                      .end = copy + text.n,
                      .line = 1,
                      .is_parameter = is_parameter};
    int token;
    do {
        token = lexer_next(&l, err);
        for (size_t i = 0; token > 0 && i < words.n; i++)
            buf_printf(out, "%s%.*s", i ? "|" : "",
                       STR_ARG(words.items[i].text));
        if (token >= 0)
            buf_put_u8(out, (uint8_t) ".;{}"[token]);
    } while (token > 0);
    *line = l.line;
    free(copy);
    free(words.items);
    arena_destroy(arena);
    return token;
}

static void takes_words_apart_as_nginx_does(void **state)
{
    (void)state;
    static const struct {
        const char *why, *text, *expected;
    } good[] = {
        {"nothing", "", "."},
        {"blanks", " \t\r\n", "."},
        {"a comment to the end", "# a;", "."},
        {"a comment between words", "a # b;\n c;", "a|c;."},
        {"a number sign inside a word", "a b#c;", "a|b#c;."},
        {"a block", "a b { c; }", "a|b{c;}."},
        {"no blanks needed", "a{b;}", "a{b;}."},
        {"quotes", "a \"b c\" 'd;e';", "a|b c|d;e;."},
        {"an empty word", "a \"\" '';", "a||;."},
        {"a quote inside a word", "a b\"c d';", "a|b\"c|d';."},
        {"the other quote in quotes", "a \"b'c\" 'd\"e';", "a|b'c|d\"e;."},
        {"escaped quotes", "a \"b\\\"c\" 'd\\'e';", "a|b\"c|d'e;."},
        {"an escaped backslash", "a \"b\\\\\";", "a|b\\;."},
        {"letters", "a b\\tc\\rd\\ne;", "a|b\tc\rd\ne;."},
        {"other backslashes stay", "a ~\\.php\\d$;", "a|~\\.php\\d$;."},
        {"an escaped end", "a b\\;c\\{d\\ e;", "a|b\\;c\\{d\\ e;."},
        {"an escape at the start", "a \\include;", "a|\\include;."},
        {"a variable in braces", "a ${b}c;", "a|${b}c;."},
        {"in the middle", "a x${b}${c};", "a|x${b}${c};."},
        {"in quotes", "a \"${b}\";", "a|${b};."},
        {"two opening braces", "a ${{b;", "a|${{b;."},
        {"a closing brace in a word", "a b};", "a|b};."},
        {"a regex with braces needs quotes", "a \"^[0-9]{2}$\";",
         "a|^[0-9]{2}$;."},
        {"a brace ends a word", "a b{c;", "a|b{c;."},
        {"a ) behind a quote", "if (a = \"b\") {", "if|(a|=|b|){."},
        {"a block right behind a quote", "a \"b\"{", "a|b{."},
        {"a semicolon right behind a quote", "a 'b';", "a|b;."},
        {"a newline in quotes", "a 'b\nc';", "a|b\nc;."},
        {"carriage returns", "a\r\nb;\r\n", "a|b;."},
        {"bytes that are no ASCII", "a \xc3\xa9\xff;", "a|\xc3\xa9\xff;."},
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        struct buf out = {0};
        struct err err = {""};
        unsigned line;
        int end = lex(&out, str_c(good[i].text), false, &line, &err);
        buf_put_u8(&out, 0);
        if (end != 0 || strcmp((char *)out.p, good[i].expected) != 0)
            fail_msg("%s: %s (%s)", good[i].why, out.p, err.text);
        buf_fini(&out);
    }
}

#define END "unexpected end of file, expecting \";\" or \"}\""

static void says_what_nginx_says_at_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned line;
        const char *sentence;
    } bad[] = {
        {";", 1, "unexpected \";\""},
        {"\n{", 2, "unexpected \"{\""},
        {"a {\n};", 2, "unexpected \";\""},
        {"a\nb }", 2, "unexpected \"}\""},
        {"a \"b\"c;", 1, "unexpected \"c\""},
        {"a 'b\n'\"c\";", 2, "unexpected \"\"\""},
        {"a \"b\"#c\n;", 1, "unexpected \"#\""},
        {"a \"b\"}", 1, "unexpected \"}\""},
        {"a", 1, END},
        {"a b", 1, END},
        {"a b\n\n", 3, END},
        {"a # b;", 1, END},
        {"a \"b;\n", 2, END},
        {"a \"b\"", 1, END},
        {"a \"b\\\"", 1, END},
        {"a b\\", 1, END},
        {"\\", 1, END},
        {"$", 1, END},
        {"a ${b", 1, END},
        {"a \\\n", 2, END},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct buf out = {0};
        struct err err = {""};
        unsigned line;
        int end = lex(&out, str_c(bad[i].text), false, &line, &err);
        if (end != -1 || line != bad[i].line ||
            strcmp(err.text, bad[i].sentence) != 0)
            fail_msg("%s: %d, %u: %s", bad[i].text, end, line, err.text);
        buf_fini(&out);
    }
}

static void the_command_line_has_a_sentence_of_its_own(void **state)
{
    (void)state;
    struct buf out = {0};
    struct err err = {""};
    unsigned line;
    assert_int_equal(lex(&out, STR("daemon off"), true, &line, &err), -1);
    assert_string_equal(err.text,
                        "unexpected end of parameter, expecting \";\"");
    buf_fini(&out);
}

/* `a `, then a word of n bytes with what is around it. */
static int lex_long(size_t n, const char *before, const char *after,
                    bool is_parameter, struct err *err)
{
    struct buf text = {0}, out = {0};
    unsigned line;
    buf_printf(&text, "a\n%s", before);
    for (size_t i = 0; i < n; i++)
        buf_put_u8(&text, 'x');
    buf_printf(&text, "%s", after);
    int end = lex(&out, buf_str(&text), is_parameter, &line, err);
    if (end == -1)
        assert_int_equal(line, 2); /* where the word starts */
    buf_fini(&text);
    buf_fini(&out);
    return end;
}

static void bounds_a_word_where_nginx_does(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(lex_long(4095, "", ";", false, &err), 0);
    assert_int_equal(lex_long(4096, "", ";", true, &err), 0);
    assert_int_equal(lex_long(4095, "\"", "\";", false, &err), 0);
    assert_int_equal(lex_long(4096, "", ";", false, &err), -1);
    assert_string_equal(err.text, "too long parameter \"xxxxxxxxxx...\" "
                                  "started");
    assert_int_equal(lex_long(4096, "'", "';", false, &err), -1);
    assert_string_equal(err.text, "too long parameter, probably missing "
                                  "terminating \"'\" character");
    assert_int_equal(lex_long(9000, "#", "\n;", false, &err), 0);
}

static void refuses_a_nul_inside_a_word_only(void **state)
{
    (void)state;
    struct buf out = {0};
    struct err err = {""};
    unsigned line;
    assert_int_equal(lex(&out, STR("a b\0c;"), false, &line, &err), -1);
    assert_string_equal(err.text, "unexpected NUL character in a word");
    assert_int_equal(lex(&out, STR("a 'b';\0"), false, &line, &err), -1);
    assert_int_equal(lex(&out, STR("# \0\na;"), false, &line, &err), 0);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(takes_words_apart_as_nginx_does),
        TEST(says_what_nginx_says_at_its_line),
        TEST(the_command_line_has_a_sentence_of_its_own),
        TEST(bounds_a_word_where_nginx_does),
        TEST(refuses_a_nul_inside_a_word_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
