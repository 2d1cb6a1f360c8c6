/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gateway/options.h - the command line, with nginx's meaning.
 *
 * Letters may be joined (-tq) and an argument may follow its letter at once
 * (-cfile) or as the next word.  Pure: nothing is opened here.
 */
#ifndef PENSTOCK_GATEWAY_OPTIONS_H
#define PENSTOCK_GATEWAY_OPTIONS_H

#include <stdbool.h>

#include "base/err.h"

struct options {
    bool help, version, configure; /* -h, -v, -V */
    bool test, dump, quiet;        /* -t, -T, -q */
    bool reference;                /* --directives */
    const char *conf;              /* -c, or NULL */
    const char *prefix;            /* -p, or NULL */
    const char *globals;           /* -g, or NULL */
    const char *error_log;         /* -e, or NULL */
    int signal;                    /* -s, as a signal's number; 0: none */
    const char *signal_name;
    const char *restart; /* -s restart=NAME: the pool */
};

/* -1 with "invalid option: ..." or "option ... requires ..." in err.  The
 * texts are borrowed from argv. */
int options_parse(struct options *o, int argc, char *const *argv,
                  struct err *err);

/* What -h, -v and -V print. */
void options_print_help(void);
void options_print_version(bool configure);

#endif
