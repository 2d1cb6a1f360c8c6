/* SPDX-License-Identifier: BSD-2-Clause */
/* An answer says what was agreed on: as an offer it leads to the same. */
#include <string.h>

#include "base/check.h"
#include "ws/extension.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_range(unsigned bits, unsigned most)
{
    check(bits >= WS_WINDOW_BITS_MIN && bits <= most);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct ws_deflate_params all = {true, true, 15, 15};
    if (n < 1)
        return 0;
    struct ws_deflate_params agreed, again,
        wish = {
            .server_takeover = data[0] & 1,
            .client_takeover = data[0] & 2,
            .server_bits = (uint8_t)(8 + (data[0] >> 2 & 7)),
            .client_bits = (uint8_t)(8 + (data[0] >> 5 & 7)),
        };
    char answer[WS_EXTENSION_TEXT_MAX], same[WS_EXTENSION_TEXT_MAX];

    if (!ws_deflate_negotiate(str_n(data + 1, n - 1), &wish, &agreed, answer))
        return 0;
    check(memmem(data, n, "permessage-deflate", 18));
    check(wish.server_takeover || !agreed.server_takeover);
    check(wish.client_takeover || !agreed.client_takeover);
    check_range(agreed.server_bits, wish.server_bits);
    check_range(agreed.client_bits, WS_WINDOW_BITS_MAX);
    check(ws_deflate_negotiate(str_c(answer), &all, &again, same));
    check(memcmp(&agreed, &again, sizeof agreed) == 0);
    check(strcmp(answer, same) == 0);
    return 0;
}
