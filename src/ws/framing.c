/* SPDX-License-Identifier: BSD-2-Clause */
#include "ws/framing.h"

#include "base/check.h"

/* Every version there is. */
static const struct ws_framing *const framings[] = {
    &ws_framing_13, &ws_framing_8,  &ws_framing_7,
    &ws_framing_76, &ws_framing_75,
};

const struct ws_framing *ws_framing_at(unsigned i)
{
    return i < COUNT(framings) ? framings[i] : NULL;
}

const struct ws_framing *ws_framing_find(unsigned version)
{
    for (size_t i = 0; i < COUNT(framings); i++)
        if (framings[i]->version == version)
            return framings[i];
    return NULL;
}

unsigned ws_framing_bit(const struct ws_framing *f)
{
    for (unsigned i = 0; i < COUNT(framings); i++)
        if (framings[i] == f)
            return 1u << i;
    return 0;
}
