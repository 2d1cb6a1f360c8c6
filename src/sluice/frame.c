/* SPDX-License-Identifier: BSD-2-Clause */
#include "sluice/frame.h"

const char *sluice_type_name(unsigned type)
{
    switch (type) {
#define FRAME(name, code, sender, cid, feature, fixed, body)                   \
    case code:                                                                 \
        return #name;
#include "sluice/frames.def"
#undef FRAME
    }
    return "unknown";
}

size_t sluice_frame_begin(struct buf *out, const struct sluice_header *h)
{
    size_t begin = out->n;
    uint8_t *at = buf_reserve(out, SLUICE_HEADER_SIZE);
    if (at) {
        sluice_header_put(at, h);
        out->n += SLUICE_HEADER_SIZE;
    }
    return begin;
}

bool sluice_frame_end(struct buf *out, size_t begin, bool ok)
{
    /* Less than a header behind begin: even that did not fit. */
    if (!ok || out->n - begin < SLUICE_HEADER_SIZE ||
        out->n - begin - SLUICE_HEADER_SIZE > UINT32_MAX) {
        out->n = begin;
        return false;
    }
    le32_put(out->p + begin, (uint32_t)(out->n - begin - SLUICE_HEADER_SIZE));
    return true;
}

bool sluice_fixed_put(struct buf *out, const struct sluice_header *h,
                      const void *fixed, size_t n, struct str rest)
{
    size_t begin = sluice_frame_begin(out, h);
    bool ok = buf_put(out, fixed, n) && buf_put_str(out, rest);
    return sluice_frame_end(out, begin, ok);
}

bool sluice_frame_put(struct buf *out, const struct sluice_header *h,
                      struct str payload)
{
    return sluice_fixed_put(out, h, NULL, 0, payload);
}

bool sluice_empty_put(struct buf *out, enum sluice_type type, uint16_t aux,
                      uint64_t cid)
{
    struct sluice_header h = {.type = (uint8_t)type, .aux = aux, .cid = cid};
    return sluice_frame_put(out, &h, (struct str){0});
}
