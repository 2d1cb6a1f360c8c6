/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bridge/endings.h - the table of endings: logs, close codes, HTTP statuses
 * and CLOSED frames all read it.
 */
#ifndef PENSTOCK_BRIDGE_ENDINGS_H
#define PENSTOCK_BRIDGE_ENDINGS_H

#include "base/log.h"
#include "sluice/codes.h"

enum ending {
    ENDING_NONE = 0,
#define ENDING(name, level, status, code, cause, sentence) ENDING_##name,
#include "bridge/endings.def"
#undef ENDING
};

struct ending_row {
    const char *name; /* "CLIENT_CLOSED" */
    const char *sentence;
    enum log_level level;
    unsigned status;
    unsigned code;
    enum sluice_cause cause;
};

const struct ending_row *ending_row(enum ending e);

/* The ending that a negative return of ws_reader_next() means. */
enum ending ending_of_ws_code(int negated);

#endif
