/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdarg.h>
#include <stdio.h>

#include "engine.h"

/* Append " in FILE:LINE"; a long sentence is cut rather than its place. */
static void append_place(struct err *err, const struct conf_node *node,
                         unsigned line)
{
    struct err where;
    if (!node)
        return;
    if (line)
        err_set(&where, " in %s:%u", node->file, line);
    else
        err_set(&where, " in %s", node->file);
    size_t place_n = strlen(where.text), n = strlen(err->text);
    if (n + place_n >= sizeof err->text)
        n = sizeof err->text - 1 - place_n;
    memcpy(err->text + n, where.text, place_n + 1);
}

/* What nginx's setters return as a string gets the directive's name. */
static void complete(struct err *err, const struct conf_node *node)
{
    static const char *const bare[] = {"invalid value", "invalid number",
                                       "is duplicate"};
    for (size_t i = 0; i < sizeof bare / sizeof *bare; i++)
        if (strcmp(err->text, bare[i]) == 0) {
            err_set(err, "\"%.*s\" directive %s", STR_ARG(node->words[0].text),
                    bare[i]);
            return;
        }
    if (!err->text[0])
        err_set(err, "invalid \"%.*s\" directive",
                STR_ARG(node->words[0].text));
}

int message_place(struct conf *conf)
{
    if (conf->errors)
        return -1;
    if (conf->node) {
        complete(conf->err, conf->node);
        append_place(conf->err, conf->node, conf->engine->line);
    }
    conf->errors = 1;
    return -1;
}

/* The arguments may be pieces of err itself: format aside. */
static void set_sentence(struct err *err, const char *format, va_list args)
{
    struct err text;
    vsnprintf(text.text, sizeof text.text, format, args);
    *err = text;
}

int conf_fail(struct conf *conf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    set_sentence(conf->err, format, args);
    va_end(args);
    return -1;
}

int conf_fail_at(struct conf *conf, const struct conf_node *node,
                 const char *format, ...)
{
    va_list args;
    va_start(args, format);
    set_sentence(conf->err, format, args);
    va_end(args);
    append_place(conf->err, node, node ? node->line : 0);
    conf->errors = 1;
    return -1;
}

void conf_warn(struct conf *conf, const char *format, ...)
{
    struct err text;
    va_list args;
    if (!conf->warn)
        return;
    va_start(args, format);
    set_sentence(&text, format, args);
    va_end(args);
    append_place(&text, conf->node, conf->engine ? conf->engine->line : 0);
    conf->warn(conf->warn_arg, text.text);
}
