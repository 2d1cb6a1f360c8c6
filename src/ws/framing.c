/* SPDX-License-Identifier: BSD-2-Clause */
#include "ws/framing.h"

#include "base/check.h"

/* Every version there is. */
const struct ws_framing *const ws_framings[] = {
    &ws_framing_13, &ws_framing_8,  &ws_framing_7,
    &ws_framing_76, &ws_framing_75,
};

const struct ws_framing *ws_framing_at(unsigned i)
{
    return i < COUNT(ws_framings) ? ws_framings[i] : NULL;
}

const struct ws_framing *ws_framing_find(unsigned version)
{
    for (size_t i = 0; i < COUNT(ws_framings); i++)
        if (ws_framings[i]->version == version)
            return ws_framings[i];
    return NULL;
}

uint8_t ws_framing_index(const struct ws_framing *f)
{
    uint8_t i = 0;
    while (ws_framings[i] != f)
        check(++i < COUNT(ws_framings));
    return i;
}

unsigned ws_framing_bit(const struct ws_framing *f)
{
    return 1u << ws_framing_index(f);
}
