/* SPDX-License-Identifier: BSD-2-Clause */
#include "backend_conf.h"
#include "ws/close.h"

int backend_set_delivery(struct conf *conf, struct conf_scope *scope,
                         const struct directive *row,
                         const struct conf_node *node, void *field)
{
    struct backend_conf *c = conf_get(scope, &backend_module);
    struct str word = conf_arg(node, 1);
    (void)row;
    (void)field;

    c->set.at_least_once = str_eq(word, STR("at_least_once"));
    if (c->set.at_least_once || str_eq(word, STR("at_most_once")))
        return 0;
    return conf_fail(conf,
                     "invalid value \"%.*s\" in \"delivery\" directive, "
                     "expected \"at_most_once\" or \"at_least_once\"",
                     STR_ARG(word));
}

static int set_loss_hold(struct conf *conf, const struct conf_node *node,
                         struct pool_settings *set)
{
    struct str word = node->words_n > 2 ? conf_arg(node, 2) : STR("");

    set->loss_mode = LOSS_HOLD;
    if (!conf_parse_ms(word, &set->hold_ms) || !set->hold_ms)
        return conf_fail(conf,
                         "invalid time \"%.*s\" in \"on_backend_loss\" "
                         "directive, expected \"hold TIME [any]\"",
                         STR_ARG(word));
    if (node->words_n == 3)
        return 0;
    set->loss_mode = LOSS_HOLD_ANY;
    if (str_eq(conf_arg(node, 3), STR("any")))
        return 0;
    return conf_fail(conf, "invalid parameter \"%.*s\", expected \"any\"",
                     STR_ARG(conf_arg(node, 3)));
}

static int set_loss_close(struct conf *conf, const struct conf_node *node,
                          struct pool_settings *set)
{
    uint64_t v;

    set->loss_mode = LOSS_CLOSE;
    if (node->words_n == 2)
        return 0;
    if (!str_to_u64(conf_arg(node, 2), 4999, &v) ||
        !ws_close_code_may_be_sent((unsigned)v))
        return conf_fail(conf,
                         "invalid close code \"%.*s\", expected 1000 to 1003, "
                         "1007 to 1014 or 3000 to 4999",
                         STR_ARG(conf_arg(node, 2)));
    set->loss_code = (unsigned)v;
    return 0;
}

int backend_set_on_loss(struct conf *conf, struct conf_scope *scope,
                        const struct directive *row,
                        const struct conf_node *node, void *field)
{
    struct backend_conf *c = conf_get(scope, &backend_module);
    struct str word = conf_arg(node, 1);
    (void)row;
    (void)field;

    if (str_eq(word, STR("hold")))
        return set_loss_hold(conf, node, &c->set);
    if (node->words_n <= 3 && str_eq(word, STR("close")))
        return set_loss_close(conf, node, &c->set);
    if (node->words_n == 2 && str_eq(word, STR("reassign"))) {
        c->set.loss_mode = LOSS_REASSIGN;
        return 0;
    }
    return conf_fail(conf,
                     "invalid value \"%.*s\" in \"on_backend_loss\" "
                     "directive, expected \"hold TIME [any]\", \"close "
                     "[CODE]\" or \"reassign\"",
                     STR_ARG(word));
}

/* N or N/s */
static bool parse_rate(struct str word, uint64_t *rate)
{
    if (str_ends(word, STR("/s")))
        word.n -= 2;
    return str_to_u64(word, 1000000, rate);
}

int backend_set_drain(struct conf *conf, struct conf_scope *scope,
                      const struct directive *row, const struct conf_node *node,
                      void *field)
{
    struct backend_conf *c = conf_get(scope, &backend_module);
    (void)row;
    (void)field;

    c->set.drain_is_set = true;
    for (size_t i = 1; i < node->words_n; i++) {
        struct str word = conf_arg(node, i), value;
        uint64_t code = 0;
        bool good = false;
        if (backend_word_is(word, STR("rate"), &value)) {
            good = parse_rate(value, &c->set.drain_rate);
        } else if (backend_word_is(word, STR("jitter"), &value)) {
            good = conf_parse_ms(value, &c->set.drain_jitter_ms) &&
                   c->set.drain_jitter_ms <= 3600000;
        } else if (backend_word_is(word, STR("code"), &value)) {
            good = str_to_u64(value, 4999, &code) &&
                   ws_close_code_may_be_sent((unsigned)code);
            c->set.drain_code = (unsigned)code;
        }
        if (!good)
            return conf_fail(conf,
                             "invalid parameter \"%.*s\" in "
                             "\"websocket_drain\" directive, expected "
                             "\"rate=N/s\", \"jitter=TIME\" of at most 1h or "
                             "\"code=CODE\"",
                             STR_ARG(word));
    }
    return 0;
}

void backend_inherit_drain(struct pool_conf *p)
{
    const struct backend_conf *c = conf_get(p->scope->parent, &backend_module);

    if (p->set.drain_is_set || !c->set.drain_is_set)
        return;
    p->set.drain_rate = c->set.drain_rate;
    p->set.drain_jitter_ms = c->set.drain_jitter_ms;
    p->set.drain_code = c->set.drain_code;
}
