/* SPDX-License-Identifier: BSD-2-Clause */
/* Every way to mask does what the plain loop does, and touches no more. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "ws/mask.h"

enum {
    HEAD = 6 /* key, start in the key, offset */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void compare(ws_mask_fn *mask, const uint8_t *text, size_t n,
                    const uint8_t *key, uint32_t at, size_t offset)
{
    /* Ends where the memory ends; what is before it is looked at. */
    uint8_t *copy = malloc(offset + n);
    check(copy);
    memset(copy, 0xa5, offset);
    if (n)
        memcpy(copy + offset, text, n);
    mask(copy + offset, n, key, at);
    for (size_t i = 0; i < offset; i++)
        check(copy[i] == 0xa5);
    for (size_t i = 0; i < n; i++)
        check(copy[offset + i] == (text[i] ^ key[(at + i) % 4]));
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < HEAD)
        return 0;
    size_t offset = data[5] % 65 + 1;
    size_t count;
    const struct ws_mask_method *m = ws_mask_methods(&count);
    for (size_t i = 0; i < count; i++)
        compare(m[i].mask, data + HEAD, n - HEAD, data, data[4], offset);
    compare(ws_mask, data + HEAD, n - HEAD, data, data[4], offset);
    return 0;
}
