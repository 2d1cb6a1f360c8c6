/* SPDX-License-Identifier: BSD-2-Clause */
/* serve/filter/ssi.h - what the files of SSI share. */
#ifndef PENSTOCK_SERVE_SSI_H
#define PENSTOCK_SERVE_SSI_H

#include "encoding.h"
#include "serve/body_filters.h"
#include "splice.h"
#include "ssi_parser.h"

struct ssi_conf {
    bool on, silent_errors, last_modified;
    uint64_t value_length;  /* bytes */
    uint64_t output_buffer; /* bytes of an include with set= */
    struct type_set types;
};

/* `set`, `block` and captures are of the whole page: those of the main
 * request, with all that it includes. */
struct ssi_page {
    struct ssi_variable {
        struct str name, value;
        struct ssi_variable *next;
    } * variables, *blocks;
    size_t size; /* bytes of them */
    struct captures captures;
};

enum ssi_condition {
    SSI_NO_CONDITION = 0,
    SSI_IN_IF,
    SSI_IN_ELSE,
};

struct ssi {
    struct ssi_parser parser;
    struct splice splice;
    struct request *request;
    const struct ssi_conf *conf;
    struct ssi_page *page;
    struct str errmsg, timefmt;
    unsigned commands, regexes;
    enum ssi_condition condition;
    bool silent;      /* in a branch that is not taken */
    bool branch_done; /* one of the branches was */
    bool in_block;
    struct str block_name;
    struct buf block;
    struct splice_part *waiting; /* include wait="yes" */
    bool capturing;              /* include set="x" */
};

/* Do what a command says; false: put the error message there. */
bool ssi_run(struct ssi *s, const struct ssi_event *ev);

/* The body of a block, or p NULL. */
struct str ssi_block(const struct ssi *s, struct str name);
/* False: the page would hold too much. */
bool ssi_set(struct ssi *s, struct ssi_variable **list, struct str name,
             struct str value);

#endif
