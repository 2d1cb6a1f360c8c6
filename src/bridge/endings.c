/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/endings.h"

#include "base/check.h"
#include "ws/close.h"

static const struct ending_row rows[] = {
    [ENDING_NONE] = {"NONE", "nothing ended", LEVEL_DEBUG, 0, 0, 0},
#define ENDING(name, level, status, code, cause, sentence)                     \
    [ENDING_##name] = {#name,  sentence, LEVEL_##level,                        \
                       status, code,     SLUICE_CAUSE_##cause},
#include "bridge/endings.def"
#undef ENDING
};

const struct ending_row *ending_row(enum ending e)
{
    check((size_t)e < COUNT(rows));
    return &rows[e];
}

enum ending ending_of_ws_code(int negated)
{
    switch (-negated) {
    case WS_CLOSE_BAD_DATA:
        return ENDING_WS_BAD_TEXT;
    case WS_CLOSE_POLICY:
        return ENDING_WS_FRAGMENTS;
    case WS_CLOSE_TOO_BIG:
        return ENDING_WS_TOO_BIG;
    default:
        return ENDING_WS_PROTOCOL;
    }
}
