/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>

#include "internal.h"
#include "sluice/app.h"

enum {
    KEY_MAX = 255,
    CLAIMS_MAX = 65536 /* of one link; SLUICE section 6 */
};

static void put(struct psb_link *l, enum sluice_type type, struct str key)
{
    struct sluice_claim c = {type, key};

    if (!l->ready || l->dead || !(l->reader.features & SLUICE_FEATURE_CLAIM))
        return;
    sluice_claim_put(&l->out, &c);
    psb_link_dirty(l);
}

static void put_all(psb_t *b, enum sluice_type type, struct str key)
{
    LIST_EACH(item, after, &b->links)
    {
        put(CONTAINER(item, struct psb_link, all), type, key);
    }
}

/* Where it stands in b->claims, and its size there; SIZE_MAX: nowhere.  *n is
 * how many there are. */
static size_t place_of(const psb_t *b, struct str key, size_t *size, size_t *n)
{
    struct str all = buf_str(&b->claims), rest = all;
    struct sluice_tlv t;
    size_t at = 0;

    for (*n = 0; sluice_tlv_next(&rest, &t) == 1; ++*n) {
        *size = all.n - rest.n - at;
        if (str_eq(t.value, key))
            return at;
        at = all.n - rest.n;
    }
    return SIZE_MAX;
}

int psb_claim(psb_t *b, psb_buf key)
{
    struct str k = str_n(key.p, key.n);
    size_t size, n;

    if (!k.n || k.n > KEY_MAX)
        return psb_refuse(EINVAL);
    if (place_of(b, k, &size, &n) == SIZE_MAX) {
        if (n == CLAIMS_MAX)
            return psb_refuse(ENOBUFS);
        sluice_tlv_put(&b->claims, SLUICE_TAG_KEY, k);
    }
    put_all(b, SLUICE_CLAIM, k);
    return 0;
}

int psb_unclaim(psb_t *b, psb_buf key)
{
    struct str k = str_n(key.p, key.n);
    size_t size, n;

    size_t at = place_of(b, k, &size, &n);
    if (at == SIZE_MAX)
        return psb_refuse(ENOENT);
    memmove(b->claims.p + at, b->claims.p + at + size, b->claims.n - at - size);
    b->claims.n -= size;
    put_all(b, SLUICE_UNCLAIM, k);
    return 0;
}

void psb_link_put_claims(struct psb_link *l)
{
    struct str rest = buf_str(&l->psb->claims);
    struct sluice_tlv t;

    while (sluice_tlv_next(&rest, &t) == 1)
        put(l, SLUICE_CLAIM, t.value);
}
