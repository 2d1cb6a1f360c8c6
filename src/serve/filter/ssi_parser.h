/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/filter/ssi_parser.h - text with <!--# commands --> in it.
 *
 * Pulled: text is given as it stands, a command when it is complete.  A
 * command that is malformed, or larger than it may be, is SSI_ERROR and its
 * rest is skipped.  Pure.
 */
#ifndef PENSTOCK_SERVE_SSI_PARSER_H
#define PENSTOCK_SERVE_SSI_PARSER_H

#include "base/buf.h"

enum {
    SSI_PARAMETERS_MAX = 16,
    SSI_NAME_MAX = 32, /* bytes of a command's or a parameter's name */
};

enum ssi_event_type {
    SSI_TEXT = 1,
    SSI_COMMAND,
    SSI_ERROR,
};

struct ssi_parameter {
    struct str name, value;
};

/* What it points to is good until the next call. */
struct ssi_event {
    enum ssi_event_type type;
    struct str text; /* of SSI_TEXT; a command's as it was written */
    struct str name;
    struct ssi_parameter parameters[SSI_PARAMETERS_MAX];
    size_t parameters_n;
};

struct ssi_parser {
    struct buf command; /* from behind "<!--#" */
    size_t value_max;   /* bytes that one value stays below, as in nginx */
    unsigned matched;   /* bytes of "<!--#", or of "-->" when skipping */
    unsigned dashes;
    char quote; /* in a value that began with it; 0: in none */
    bool escaped, inside, skipping, done;
};

void ssi_parser_init(struct ssi_parser *p, size_t value_max);
void ssi_parser_fini(struct ssi_parser *p);

/* 1 = an event, 0 = all of *in is taken.  last: nothing follows; what looked
 * like the beginning of a command was text. */
int ssi_parser_next(struct ssi_parser *p, struct str *in, bool last,
                    struct ssi_event *ev);

#endif
