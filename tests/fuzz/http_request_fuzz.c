/* SPDX-License-Identifier: BSD-2-Clause */
#include "fuzz/http_splits.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    splits_compare(false, p, n);
    return 0;
}
