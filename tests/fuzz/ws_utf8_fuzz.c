/* SPDX-License-Identifier: BSD-2-Clause */
/* base/utf8 against a decoder of whole texts, cut anywhere. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* The size of the character at p and its value, by decoding and then looking
 * at the value; 0 when the bytes are not one. */
static size_t decode(const uint8_t *p, size_t n, uint32_t *value)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t size = p[0] < 0x80             ? 1
                  : (p[0] & 0xe0) == 0xc0 ? 2
                  : (p[0] & 0xf0) == 0xe0 ? 3
                  : (p[0] & 0xf8) == 0xf0 ? 4
                                          : 0;
    if (size == 0 || size > n)
        return 0;
    *value = size == 1 ? p[0] : p[0] & (0x7fu >> size);
    for (size_t i = 1; i < size; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        *value = *value << 6 | (p[i] & 0x3fu);
    }
    bool surrogate = *value >= 0xd800 && *value <= 0xdfff;
    return *value < least[size] || surrogate || *value > 0x10ffff ? 0 : size;
}

/* Can the text end like this and still become legal?  Tried: some legal
 * character begins with these one to three bytes. */
static bool may_go_on(const uint8_t *p, size_t n)
{
    static const uint8_t tails[] = {0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf};
    uint8_t full[4] = {0x80, 0x80, 0x80, 0x80};
    uint32_t value;
    if (n >= 4)
        return false;
    memcpy(full, p, n);
    for (size_t t = 0; t < sizeof tails; t++) {
        full[n] = tails[t];
        size_t size = decode(full, sizeof full, &value);
        if (size > n)
            return true;
    }
    return false;
}

static bool feed(const struct utf8_method *m, const uint8_t *p, size_t n,
                 size_t cut, bool *complete)
{
    struct utf8 u = {0};
    bool good = true;
    for (size_t at = 0; good && at < n;) {
        size_t take = cut ? cut : 1;
        if (take > n - at)
            take = n - at;
        uint8_t *copy = malloc(take); /* so that reading ahead is seen */
        check(copy);
        memcpy(copy, p + at, take);
        good = utf8_next_by(m, &u, copy, take);
        free(copy);
        at += take;
    }
    *complete = good && utf8_is_complete(&u);
    return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 1)
        return 0;
    size_t cut = data[0];
    data++;
    n--;

    size_t at = 0;
    uint32_t value;
    while (at < n) {
        size_t size = decode(data + at, n - at, &value);
        if (!size)
            break;
        at += size;
    }
    bool whole = at == n;
    bool good = whole || may_go_on(data + at, n - at);

    bool complete;
    size_t count;
    const struct utf8_method *methods = utf8_methods(&count);
    for (size_t i = 0; i < count; i++) {
        const struct utf8_method *m = &methods[i];
        check(feed(m, data, n, n, &complete) == good && complete == whole);
        check(feed(m, data, n, 1, &complete) == good && complete == whole);
        check(feed(m, data, n, cut, &complete) == good && complete == whole);
    }
    check(utf8_is_valid(data, n) == whole);
    return 0;
}
