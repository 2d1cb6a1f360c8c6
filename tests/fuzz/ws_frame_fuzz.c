/* SPDX-License-Identifier: BSD-2-Clause */
/* A header that decodes encodes to the same bytes, and no shorter piece of
 * it says anything but "more". */
#include <stdlib.h>

#include "base/check.h"
#include "ws/close.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int decode_front(struct ws_header *h, const uint8_t *data, size_t n)
{
    uint8_t *copy = malloc(n); /* so that reading ahead is seen */
    if (n)
        memcpy(copy, data, n);
    int got = ws_header_decode(h, copy, n);
    free(copy);
    return got;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct ws_header h;
    int got = decode_front(&h, data, n);
    check(got >= -1002 && got <= WS_HEADER_MAX && got != 1);
    if (got > 0) {
        uint8_t out[WS_HEADER_MAX];
        check(ws_header_encode(out, &h) == (size_t)got);
        check(memcmp(out, data, (size_t)got) == 0);
        check(h.length <= INT64_MAX);
    }
    for (size_t part = 0; part < n && part < WS_HEADER_MAX; part++) {
        int early = decode_front(&h, data, part);
        if (got > 0)
            check(early == (part < (size_t)got ? 0 : got));
        else
            check(early == 0 || early == got);
    }
    return 0;
}
