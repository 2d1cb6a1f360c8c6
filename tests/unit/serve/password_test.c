/* SPDX-License-Identifier: BSD-2-Clause */
#include "access/password.h"

#include "support/test.h"

static void knows_the_kinds_of_hashes(void **state)
{
    (void)state;
    static const struct {
        const char *why, *hash, *password;
        bool fits, slow;
    } rows[] = {
        {"Apache's own example", "$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/",
         "myPassword", true, true},
        {"another password", "$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/",
         "mypassword", false, true},
        {"a cut hash", "$apr1$r31.....$HqJZimcKQFAMYayBlzkrA", "myPassword",
         false, true},
        {"no salt", "$apr1$", "myPassword", false, true},
        {"RFC 2307's PLAIN", "{PLAIN}secret", "secret", true, false},
        {"a longer one", "{PLAIN}secret", "secret1", false, false},
        {"nothing", "{PLAIN}", "", true, false},
        {"SHA", "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "secret", true, false},
        {"SHA of another", "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "Secret", false,
         false},
        {"SHA with a salt", "{SHA}5en6G6MezRroT3XKqkdPOmY/BfRhYWFh", "secret",
         false, false},
        {"SSHA without one", "{SSHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "secret",
         true, false},
        {"SSHA that is too short", "{SSHA}5en6", "secret", false, false},
        {"SSHA that is no base64", "{SSHA}!", "secret", false, false},
        {"DES", "abFZSxKKdq5s2", "abcdefgh", false, false},
        {"an unknown kind", "$9$x$y", "secret", false, true},
        {"an empty hash", "", "", false, false},
        {"an asterisk", "*0", "", false, false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct str hash = str_c(rows[i].hash);
        if (password_fits(hash, str_c(rows[i].password)) != rows[i].fits)
            fail_msg("%s: %s", rows[i].why, rows[i].hash);
        assert_int_equal(password_is_slow(hash), rows[i].slow);
    }
}

static void refuses_what_is_no_password(void **state)
{
    (void)state;
    static char long_one[PASSWORD_MAX + 2];
    memset(long_one, 'x', PASSWORD_MAX + 1);
    assert_false(password_fits(STR("{PLAIN}x"), str_c(long_one)));
    assert_false(password_fits(STR("{PLAIN}"), str_n("\0", 1)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(knows_the_kinds_of_hashes),
        TEST(refuses_what_is_no_password),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
