/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/list.h"

#include "support/test.h"

struct item {
    char letter;
    struct list link;
};

/* The letters forwards; walking backwards must give the same. */
static const char *letters(struct list *head)
{
    static char text[16];
    size_t n = 0;
    LIST_EACH(link, after, head)
    text[n++] = CONTAINER(link, struct item, link)->letter;
    text[n] = '\0';
    size_t back = n;
    for (struct list *link = head->prev; link != head; link = link->prev)
        assert_int_equal(CONTAINER(link, struct item, link)->letter,
                         text[--back]);
    assert_int_equal(back, 0);
    return text;
}

static void items_go_in_and_out_anywhere(void **state)
{
    (void)state;
    struct item a = {.letter = 'a'}, b = {.letter = 'b'}, c = {.letter = 'c'};
    struct list head;
    list_init(&head);
    assert_true(list_is_empty(&head));
    assert_null(list_pop_front(&head));

    list_push_back(&head, &b.link);
    list_push_back(&head, &c.link);
    list_push_front(&head, &a.link);
    assert_string_equal(letters(&head), "abc");
    list_remove(&b.link);
    assert_false(list_is_linked(&b.link));
    list_remove(&b.link); /* is in no list: nothing happens */
    assert_string_equal(letters(&head), "ac");
    list_insert_before(&c.link, &b.link);
    assert_string_equal(letters(&head), "abc");
    assert_ptr_equal(list_pop_front(&head), &a.link);
    assert_false(list_is_linked(&a.link));
    assert_string_equal(letters(&head), "bc");

    LIST_EACH(link, after, &head)
    list_remove(link);
    assert_true(list_is_empty(&head));
}

static void splices_a_whole_list(void **state)
{
    (void)state;
    struct item a = {.letter = 'a'}, b = {.letter = 'b'}, c = {.letter = 'c'};
    struct list to, from;
    list_init(&to);
    list_init(&from);
    list_push_back(&to, &a.link);
    list_splice(&to, &from);
    assert_string_equal(letters(&to), "a");
    list_push_back(&from, &b.link);
    list_push_back(&from, &c.link);
    list_splice(&to, &from);
    assert_string_equal(letters(&to), "abc");
    assert_true(list_is_empty(&from));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(items_go_in_and_out_anywhere),
        TEST(splices_a_whole_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
