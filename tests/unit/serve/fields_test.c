/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/fields.h"

#include "support/test.h"

static void finds_one_argument(void **state)
{
    (void)state;
    static const struct {
        const char *args, *name, *value; /* NULL: not there */
    } cases[] = {
        {"a=1&b=2", "a", "1"}, {"a=1&b=2", "b", "2"}, {"A=1", "a", "1"},
        {"a=1&a=2", "a", "1"}, {"a=", "a", ""},       {"a", "a", NULL},
        {"a&a=3", "a", "3"},   {"xa=1", "a", NULL},   {"ax=1", "a", NULL},
        {"a=b=c", "a", "b=c"}, {"&&a=1&", "a", "1"},  {"=1", "", NULL},
        {"", "a", NULL},       {"a=%41", "a", "%41"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct str out = {NULL, 0};
        bool found =
            fields_find_arg(str_c(cases[i].args), str_c(cases[i].name), &out);
        if (found != (cases[i].value != NULL) ||
            (found && !str_eq(out, str_c(cases[i].value))))
            fail_msg("%s in %s: %.*s", cases[i].name, cases[i].args,
                     STR_ARG(out));
    }
}

static void finds_one_cookie(void **state)
{
    (void)state;
    static const struct {
        const char *field, *name, *value;
    } cases[] = {
        {"a=1; b=2", "b", "2"},    {"a=1;b=2", "b", "2"},
        {"a = 1 ; b=2", "a", "1"}, {"A=1", "a", "1"},
        {"a", "a", NULL},          {"xa=1; ax=2", "a", NULL},
        {"a=x=y", "a", "x=y"},     {"", "a", NULL},
        {"; ;a=1", "a", "1"},      {"a=; b=1", "a", ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct str out = {NULL, 0};
        bool found = fields_find_cookie(str_c(cases[i].field),
                                        str_c(cases[i].name), &out);
        if (found != (cases[i].value != NULL) ||
            (found && !str_eq(out, str_c(cases[i].value))))
            fail_msg("%s in %s: %.*s", cases[i].name, cases[i].field,
                     STR_ARG(out));
    }
}

static void reads_the_user_of_basic_credentials(void **state)
{
    (void)state;
    static const struct {
        const char *why, *field, *user;
    } cases[] = {
        {"user and password", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Aladdin"},
        {"scheme without case",
         "basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Aladdin"},
        {"no padding", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ", "Aladdin"},
        {"an empty password", "Basic YTo=", "a"},
        {"no user", "Basic OmI=", NULL},
        {"no colon", "Basic YWI=", NULL},
        {"another scheme", "Bearer YTo=", NULL},
        {"not base64", "Basic a*==", NULL},
        {"one digit too many", "Basic YTo=Y", NULL},
        {"a length that no text has", "Basic YTpiY", NULL},
        {"nothing", "Basic ", NULL},
    };
    struct arena *arena = arena_create(256);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct str out = {NULL, 0};
        bool found = fields_basic_user(str_c(cases[i].field), arena, &out);
        if (found != (cases[i].user != NULL) ||
            (found && !str_eq(out, str_c(cases[i].user))))
            fail_msg("%s: %.*s", cases[i].why, STR_ARG(out));
    }
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(finds_one_argument),
        TEST(finds_one_cookie),
        TEST(reads_the_user_of_basic_credentials),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
