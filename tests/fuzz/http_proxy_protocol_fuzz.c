/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/check.h"
#include "http/proxy_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct proxy_protocol h, part;
    int size = proxy_protocol_read(&h, p, n);

    check(size <= PROXY_PROTOCOL_MAX && size <= (int)n);
    if (size <= 0)
        return 0;
    /* Nothing but the whole of it is a header. */
    for (size_t i = 0; i < (size_t)size; i++)
        check(proxy_protocol_read(&part, p, i) == 0);
    check(proxy_protocol_read(&h, p, (size_t)size) == size);
    for (unsigned type = 0; type < 256; type++) {
        struct str value, inner;
        uint32_t verify;
        if (proxy_protocol_find(h.tlvs, type, &value) &&
            proxy_protocol_ssl(value, &verify, &inner))
            proxy_protocol_find(inner, PROXY_TLV_SSL_CN, &value);
    }
    return 0;
}
