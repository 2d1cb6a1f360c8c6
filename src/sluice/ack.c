/* SPDX-License-Identifier: BSD-2-Clause */
#include "sluice/ack.h"

bool sluice_ack_put_entry(struct buf *out, const struct sluice_ack *a)
{
    uint8_t *at = buf_reserve(out, SLUICE_ACK_SIZE);
    if (!at)
        return false;
    le64_put(at, a->cid);
    le32_put(at + 8, a->bytes);
    le32_put(at + 12, a->seq);
    out->n += SLUICE_ACK_SIZE;
    return true;
}

int sluice_ack_check(const struct sluice_frame *f)
{
    struct str rest = sluice_payload(f);
    struct sluice_ack a;

    if (rest.n % SLUICE_ACK_SIZE != 0)
        return -SLUICE_ERROR_PROTOCOL;
    while (sluice_ack_next(&rest, &a))
        if (a.cid == 0 || !sluice_cid_is_legal(a.cid))
            return -SLUICE_ERROR_PROTOCOL;
    return 0;
}

bool sluice_ack_next(struct str *rest, struct sluice_ack *a)
{
    if (rest->n < SLUICE_ACK_SIZE)
        return false;
    *a = (struct sluice_ack){.cid = le64_get(rest->p),
                             .bytes = le32_get(rest->p + 8),
                             .seq = le32_get(rest->p + 12)};
    *rest = str_n(rest->p + SLUICE_ACK_SIZE, rest->n - SLUICE_ACK_SIZE);
    return true;
}
