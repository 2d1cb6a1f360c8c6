/* SPDX-License-Identifier: BSD-2-Clause */
/* conf/engine.h - what conf_apply() and its parts share. */
#ifndef PENSTOCK_CONF_ENGINE_H
#define PENSTOCK_CONF_ENGINE_H

#include "conf/conf.h"

/* A row of some module's table. */
struct entry {
    const struct directive *row; /* row->name NULL never */
    const struct conf_module *module;
    struct entry *next; /* the same name in other contexts */
    unsigned block;     /* number of the last block it was seen in */
};

struct conf_engine {
    struct map rows;   /* name -> first struct entry */
    size_t *offsets;   /* of each module's struct in a scope's memory */
    size_t scope_size; /* of all of them */
    unsigned blocks;   /* applied so far */
    unsigned line;     /* that messages about conf->node name */
};

/* All rows by name; entries of one name in order of the modules. */
void tables_index(struct map *rows, struct arena *arena,
                  struct conf_module *const *list);

/* Fill a module's struct of the main scope: the rows' defaults, then its own.
 */
void tables_put_defaults(struct conf *conf, const struct conf_module *m,
                         void *module_conf);

/* Put row->default_text into its field of the module's struct when row has a
 * one of the common setters.  False: the text is no value of that setter; the
 * field is untouched then. */
bool setter_put_default(struct conf *conf, const struct directive *row,
                        void *module_conf);

/* Bytes of the field of row's setter; 0: not one of the common setters that
 * put_default knows. */
size_t setter_field_size(const struct directive *row);

/* value as a person would write it for row's setter: "8k".  False: row has no
 * setter of numbers, sizes or times. */
bool setter_show(const struct directive *row, uint64_t value, char *out,
                 size_t n);

/* Add conf->node's place to the sentence in err, unless it has one. */
int message_place(struct conf *conf);

#endif
