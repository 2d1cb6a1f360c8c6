/* SPDX-License-Identifier: BSD-2-Clause */
#include "ws/framing.h"

static void init_draft(struct ws_reader *r, const struct ws_limits *limits)
{
    ws_reader_init(r, limits);
    r->draft = true;
}

#define HYBI                                                                   \
    .alphabet = WS_ALPHABET_HYBI, .binary = true, .pings = true,               \
    .codes = true, .closes = true, .next = ws_reader_next,                     \
    .head = ws_header_encode,                                                  \
    .protocol_field = STR_INIT("Sec-WebSocket-Protocol")

const struct ws_framing ws_framing_13 = {
    .version = 13,
    HYBI,
    .extensions = true,
    .origin_field = STR_INIT("Origin"),
    .init = ws_reader_init,
};

const struct ws_framing ws_framing_8 = {
    .version = 8,
    HYBI,
    .origin_field = STR_INIT("Sec-WebSocket-Origin"),
    .init = init_draft,
};

const struct ws_framing ws_framing_7 = {
    .version = 7,
    HYBI,
    .origin_field = STR_INIT("Sec-WebSocket-Origin"),
    .init = init_draft,
};
