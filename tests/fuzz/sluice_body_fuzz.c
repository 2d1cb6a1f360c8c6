/* SPDX-License-Identifier: BSD-2-Clause */
/* Any payload under any known type: what get takes, put writes, and from
 * then on get and put agree. */
#include <stdlib.h>

#include "base/check.h"
#include "sluice/frame.h"
#include "sluice/tlv.h"
#include "unit/sluice/again.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sluice_frame frame_of(struct buf *b)
{
    struct sluice_frame f = {.header = sluice_header_get(b->p)};
    f.payload =
        (struct span){b->p + SLUICE_HEADER_SIZE, b->n - SLUICE_HEADER_SIZE};
    check(f.header.length == f.payload.n);
    return f;
}

static bool is_known(uint8_t type)
{
    switch (type) {
#define FRAME(name, code, sender, cid, feature, fixed, body) case code:
#include "sluice/frames.def"
#undef FRAME
        return true;
    }
    return false;
}

/* Values of TLVs that were found in order can all be had. */
static void walk(struct str tlvs)
{
    struct sluice_tlv t;
    struct str name, value;
    uint32_t u32;
    uint16_t u16;

    if (sluice_tlv_check(tlvs) != 0)
        return;
    while (sluice_tlv_next(&tlvs, &t) == 1) {
        if (t.tag == SLUICE_TAG_HEADER)
            check(sluice_tlv_get_header(&t, &name, &value) == 0);
        if (t.tag == SLUICE_TAG_VAR || t.tag == SLUICE_TAG_CAPTURE)
            check(sluice_tlv_get_named(&t, &name, &value) == 0);
        if (t.tag == SLUICE_TAG_OPT)
            check(sluice_tlv_get_opt(&t, &u16, &u32) == 0);
    }
    check(tlvs.n == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < SLUICE_HEADER_SIZE || !is_known(data[4]))
        return 0;
    /* Memory of just that size, so that a read past the end is seen. */
    struct buf first = {.p = malloc(size), .n = size, .capacity = size};
    memcpy(first.p, data, size);
    le32_put(first.p, (uint32_t)(size - SLUICE_HEADER_SIZE));
    struct sluice_frame f = frame_of(&first);
    struct buf second = {0}, third = {0};

    walk(sluice_payload(&f));
    if (again(&second, &f) == 0) {
        f = frame_of(&second);
        check(again(&third, &f) == 0);
        check(third.n == second.n);
        check(memcmp(third.p, second.p, second.n) == 0);
    }
    buf_fini(&first);
    buf_fini(&second);
    buf_fini(&third);
    return 0;
}
