/* SPDX-License-Identifier: BSD-2-Clause */
#include "backend_conf.h"
#include "sluice/frame.h"

int backend_set_link_window(struct conf *conf, struct conf_scope *scope,
                            const struct directive *row,
                            const struct conf_node *node, void *field)
{
    struct backend_conf *c = conf_get(scope, &backend_module);
    uint64_t *sizes[] = {&c->set.link_window_in, &c->set.link_window_out};
    (void)row;
    (void)field;

    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct str word = conf_arg(node, i + 1);
        if (!conf_parse_size(word, sizes[i]) || *sizes[i] < 65536 ||
            *sizes[i] > 1u << 30)
            return conf_fail(conf,
                             "invalid value \"%.*s\" in \"link_window\" "
                             "directive, expected a size from 64k to 1g",
                             STR_ARG(word));
    }
    return 0;
}

int backend_set_keepalive(struct conf *conf, struct conf_scope *scope,
                          const struct directive *row,
                          const struct conf_node *node, void *field)
{
    struct backend_conf *c = conf_get(scope, &backend_module);
    struct str word = conf_arg(node, 1), value;
    (void)row;
    (void)field;

    if (!conf_parse_ms(word, &c->set.keepalive_ms) || !c->set.keepalive_ms ||
        c->set.keepalive_ms > 3600000)
        return conf_fail(conf,
                         "invalid value \"%.*s\" in \"link_keepalive\" "
                         "directive, expected a time of at most 1h",
                         STR_ARG(word));
    c->set.keepalive_timeout_ms = c->set.keepalive_ms * 3;
    if (node->words_n == 2)
        return 0;
    word = conf_arg(node, 2);
    if (!backend_word_is(word, STR("timeout"), &value) ||
        !conf_parse_ms(value, &c->set.keepalive_timeout_ms))
        return conf_fail(conf,
                         "invalid parameter \"%.*s\", expected "
                         "\"timeout=TIME\"",
                         STR_ARG(word));
    if (c->set.keepalive_timeout_ms <= c->set.keepalive_ms)
        return conf_fail(conf,
                         "the timeout of \"link_keepalive\" must be longer "
                         "than \"%.*s\"",
                         STR_ARG(conf_arg(node, 1)));
    return 0;
}

int backend_set_max_clients(struct conf *conf, struct conf_scope *scope,
                            const struct directive *row,
                            const struct conf_node *node, void *field)
{
    struct backend_conf *c = conf_get(scope, &backend_module);
    struct str word = conf_arg(node, 1);
    (void)row;

    if (!str_to_u64(word, SLUICE_SLOT_MAX, field))
        return conf_fail(conf,
                         "invalid value \"%.*s\" in \"max_clients\" "
                         "directive, expected a number up to %d",
                         STR_ARG(word), SLUICE_SLOT_MAX);
    if (node->words_n == 2)
        return 0;
    word = conf_arg(node, 2);
    c->set.evict_oldest = str_eq(word, STR("overflow=evict_oldest"));
    if (c->set.evict_oldest || str_eq(word, STR("overflow=reject")))
        return 0;
    return conf_fail(conf,
                     "invalid parameter \"%.*s\", expected "
                     "\"overflow=reject\" or \"overflow=evict_oldest\"",
                     STR_ARG(word));
}
