/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/random.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/check.h"

static struct {
    uint8_t bytes[256];
    size_t used;
} pool = {.used = sizeof pool.bytes};

static void fill(uint8_t *p, size_t n)
{
    while (n) {
        ssize_t got = getrandom(p, n, 0);
        if (got == -1 && errno == EINTR)
            continue;
        check(got > 0);
        p += got;
        n -= (size_t)got;
    }
}

void random_bytes(void *out, size_t n)
{
    if (n > sizeof pool.bytes / 4) {
        fill(out, n);
        return;
    }
    if (n > sizeof pool.bytes - pool.used) {
        fill(pool.bytes, sizeof pool.bytes);
        pool.used = 0;
    }
    memcpy(out, pool.bytes + pool.used, n);
    /* What was given out must not be found here again. */
    memset(pool.bytes + pool.used, 0, n);
    pool.used += n;
}

uint64_t random_u64(void)
{
    uint64_t v;
    random_bytes(&v, sizeof v);
    return v;
}

uint32_t random_below(uint32_t below)
{
    check(below > 0);
    return (uint32_t)((random_u64() >> 32) * below >> 32);
}

void random_after_fork(void)
{
    pool.used = sizeof pool.bytes;
}
