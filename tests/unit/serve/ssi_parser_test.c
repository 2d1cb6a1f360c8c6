/* SPDX-License-Identifier: BSD-2-Clause */
#include "../../../src/serve/filter/ssi_parser.h"

#include "support/feed.h"
#include "support/test.h"

enum { VALUE_MAX = 20 };

struct play {
    struct ssi_parser parser;
    struct buf out;
    const char *why, *expected;
};

/* As in nginx a value is shorter than ssi_value_length.
 * Text as it stands, {name a=1 b=2} for a command, ! for an error. */
static void take_all(struct play *p, struct str *in, bool last)
{
    struct ssi_event ev;

    while (ssi_parser_next(&p->parser, in, last, &ev) == 1) {
        switch (ev.type) {
        case SSI_TEXT:
            buf_put_str(&p->out, ev.text);
            break;
        case SSI_COMMAND:
            buf_printf(&p->out, "{%.*s", STR_ARG(ev.name));
            for (size_t i = 0; i < ev.parameters_n; i++)
                buf_printf(&p->out, " %.*s=%.*s",
                           STR_ARG(ev.parameters[i].name),
                           STR_ARG(ev.parameters[i].value));
            buf_put_str(&p->out, STR("}"));
            break;
        case SSI_ERROR:
            buf_put_str(&p->out, STR("!"));
            break;
        }
    }
    assert_int_equal(in->n, 0);
}

static void begin(void *arg)
{
    struct play *p = arg;
    ssi_parser_init(&p->parser, VALUE_MAX);
    buf_clear(&p->out);
}

static int feed(void *arg, struct span *in)
{
    struct str s = str_n(in->p, in->n);
    take_all(arg, &s, false);
    span_advance(in, in->n);
    return 0;
}

static void end(void *arg, const char *how)
{
    struct play *p = arg;
    struct str none = STR("");

    take_all(p, &none, true);
    if (!str_eq(buf_str(&p->out), str_c(p->expected)))
        fail_msg("%s, %s: got %.*s, expected %s", p->why, how,
                 STR_ARG(buf_str(&p->out)), p->expected);
    ssi_parser_fini(&p->parser);
}

static void finds_commands_in_text(void **state)
{
    (void)state;
    static const struct {
        const char *why, *input, *expected;
    } rows[] = {
        {"nothing", "", ""},
        {"text alone", "a <b> <!-- c --> d", "a <b> <!-- c --> d"},
        {"a command", "a<!--# echo var=\"x\" -->b", "a{echo var=x}b"},
        {"no spaces", "<!--#echo var='x'-->", "{echo var=x}"},
        {"many spaces", "<!--#\r\n echo\tvar = 'x'  -->", "{echo var=x}"},
        {"two at once", "<!--#a--><!--#b-->", "{a}{b}"},
        {"a mark that begins twice", "<<!--#a--><!-<!--#b-->", "<{a}<!-{b}"},
        {"the end within quotes", "<!--# e v='-->' --> -->", "{e v=-->} -->"},
        {"one quote in the other", "<!--# e v=\"a'b\" -->", "{e v=a'b}"},
        {"an escaped quote", "<!--# e v='a\\'b' -->", "{e v=a\\'b}"},
        {"more dashes", "<!--# e v='' --->x", "!x"},
        {"no name", "<!--# -->x", "!x"},
        {"a name in capitals", "<!--# Echo -->", "!"},
        {"a value without quotes", "<!--# e v=x -->y", "!y"},
        {"a parameter without a value", "<!--# e v -->y", "!y"},
        {"a value as long as may be", "<!--# e v='0123456789012345678' -->",
         "{e v=0123456789012345678}"},
        {"a longer value", "<!--# e v='01234567890123456789' -->x", "!x"},
        {"what looks like a beginning at the end", "a<!--", "a<!--"},
        {"a command that does not end", "a<!--# echo", "a"},
    };
    struct play p = {.why = NULL};

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct feed f = {&p, begin, feed, end};
        p.why = rows[i].why;
        p.expected = rows[i].expected;
        feed_every_split(&f, rows[i].input, strlen(rows[i].input));
    }
    buf_fini(&p.out);
}

static void skips_a_command_that_is_too_large(void **state)
{
    (void)state;
    struct play p = {.why = "large", .expected = "a!b"};
    struct feed f = {&p, begin, feed, end};
    struct buf input = {.max = 0};

    buf_put_str(&input, STR("a<!--# echo "));
    for (unsigned i = 0; i < 3000; i++)
        buf_put_str(&input, STR("xx "));
    buf_put_str(&input, STR("-->b"));
    feed_every_split(&f, input.p, input.n);
    buf_fini(&input);
    buf_fini(&p.out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(finds_commands_in_text),
        TEST(skips_a_command_that_is_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
