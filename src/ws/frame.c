/* SPDX-License-Identifier: BSD-2-Clause */
#include "ws/frame.h"

#include "base/bytes.h"
#include "frame_decode.h"

int ws_header_decode(struct ws_header *h, const uint8_t *p, size_t n)
{
    return frame_decode(h, p, n, false);
}

int ws_header_decode_draft(struct ws_header *h, const uint8_t *p, size_t n)
{
    return frame_decode(h, p, n, true);
}

size_t ws_header_encode(uint8_t out[WS_HEADER_MAX], const struct ws_header *h)
{
    uint8_t mask_bit = h->masked ? 0x80 : 0;
    size_t size = WS_HEADER_MIN;

    out[0] = (uint8_t)((h->fin ? 0x80u : 0) | (h->rsv & 0x7u) << 4 |
                       ((unsigned)h->opcode & 0xf));
    if (h->length < 126) {
        out[1] = (uint8_t)(mask_bit | h->length);
    } else if (h->length <= UINT16_MAX) {
        out[1] = mask_bit | 126;
        be16_put(out + 2, (uint16_t)h->length);
        size += 2;
    } else {
        out[1] = mask_bit | 127;
        be64_put(out + 2, h->length);
        size += 8;
    }
    if (h->masked) {
        memcpy(out + size, h->key, 4);
        size += 4;
    }
    return size;
}
