/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/conf.h"
#include "engine.h"

static int check_row(const struct conf_module *m, const struct directive *d,
                     struct err *err)
{
    if (!d->set)
        return err_set(err, "%s: \"%s\" has no setter", m->name, d->name);
    if (!d->help)
        return err_set(err, "%s: \"%s\" has no help", m->name, d->name);
    if (!d->contexts || !d->arity)
        return err_set(err, "%s: \"%s\" has no context or no arity", m->name,
                       d->name);
    if ((d->set == conf_set_enum || d->set == conf_set_bits) && !d->data)
        return err_set(err, "%s: \"%s\" has no names for its values", m->name,
                       d->name);
    if (conf_setter_is_common(d->set) && d->offset >= m->size)
        return err_set(err, "%s: \"%s\" has no field in the module's struct",
                       m->name, d->name);
    return 0;
}

/* Does an earlier row claim the name in one of the contexts? */
static const struct conf_module *find_rival(struct conf_module *const *list,
                                            const struct directive *d)
{
    for (; *list; list++)
        for (const struct directive *o = (*list)->directives; o && o->name;
             o++) {
            if (o == d)
                return NULL;
            if (strcmp(o->name, d->name) == 0 && o->contexts & d->contexts)
                return *list;
        }
    return NULL;
}

/* A stated default must be something a configuration could say. */
static int check_defaults(struct conf_module *const *list, struct err *err)
{
    struct arena *arena = arena_create(4096);
    struct conf conf = {
        .arena = arena, .list = list, .prefix = "/", .err = err};
    int rc = 0;

    for (size_t i = 0; list[i] && rc == 0; i++) {
        void *fields = arena_calloc(arena, list[i]->size + 1);
        for (const struct directive *d = list[i]->directives;
             d && d->name && rc == 0; d++)
            if (d->default_text && conf_setter_is_common(d->set))
                rc = conf_set_default(&conf, NULL, d,
                                      (char *)fields + d->offset);
    }
    arena_destroy(arena);
    return rc;
}

int conf_check_tables(struct conf_module *const *list, struct err *err)
{
    for (size_t i = 0; list[i]; i++)
        for (const struct directive *d = list[i]->directives; d && d->name;
             d++) {
            if (check_row(list[i], d, err) == -1)
                return -1;
            const struct conf_module *rival = find_rival(list, d);
            if (rival)
                return err_set(err, "%s: \"%s\" is %s's already", list[i]->name,
                               d->name, rival->name);
        }
    return check_defaults(list, err);
}
