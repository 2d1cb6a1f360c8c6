/* SPDX-License-Identifier: BSD-2-Clause */
#include "sluice/hello.h"

const uint8_t sluice_magic[SLUICE_MAGIC_SIZE] = {'S', 'L', 'U', 'I',
                                                 'C', 'E', '1', '\n'};

bool sluice_hello_put(struct buf *out, const struct sluice_hello *h)
{
    struct sluice_header header = {.type = SLUICE_HELLO};
    uint8_t fixed[SLUICE_HELLO_SIZE];

    memcpy(fixed, sluice_magic, SLUICE_MAGIC_SIZE);
    le16_put(fixed + 8, h->version_min);
    le16_put(fixed + 10, h->version_max);
    fixed[12] = h->role;
    fixed[13] = h->flags;
    le16_put(fixed + 14, h->process);
    le32_put(fixed + 16, h->max_frame);
    le32_put(fixed + 20, h->window);
    le32_put(fixed + 24, h->link_window);
    le32_put(fixed + 28, h->keepalive_ms);
    le64_put(fixed + 32, h->features);
    le64_put(fixed + 40, h->epoch);
    return sluice_fixed_put(out, &header, fixed, sizeof fixed, h->tlvs);
}

static bool is_legal(const struct sluice_hello *h)
{
    return h->version_min <= h->version_max && h->role >= SLUICE_ROLE_GATEWAY &&
           h->role <= SLUICE_ROLE_MONITOR &&
           h->max_frame >= SLUICE_MAX_FRAME_MIN &&
           h->max_frame <= SLUICE_MAX_FRAME_MAX &&
           (h->role != SLUICE_ROLE_GATEWAY || h->process <= SLUICE_PROCESS_MAX);
}

int sluice_hello_get(struct sluice_hello *h, const struct sluice_frame *f)
{
    struct str s = sluice_payload(f);

    if (s.n < SLUICE_HELLO_SIZE ||
        memcmp(s.p, sluice_magic, SLUICE_MAGIC_SIZE) != 0)
        return -SLUICE_ERROR_PROTOCOL;
    *h = (struct sluice_hello){
        .version_min = le16_get(s.p + 8),
        .version_max = le16_get(s.p + 10),
        .role = (uint8_t)s.p[12],
        .flags = (uint8_t)s.p[13],
        .process = le16_get(s.p + 14),
        .max_frame = le32_get(s.p + 16),
        .window = le32_get(s.p + 20),
        .link_window = le32_get(s.p + 24),
        .keepalive_ms = le32_get(s.p + 28),
        .features = le64_get(s.p + 32),
        .epoch = le64_get(s.p + 40),
        .tlvs = str_slice(s, SLUICE_HELLO_SIZE, s.n),
    };
    /* The rest of another version's HELLO may mean something else. */
    if (h->version_min <= h->version_max &&
        (h->version_min > SLUICE_VERSION || h->version_max < SLUICE_VERSION))
        return -SLUICE_ERROR_VERSION;
    if (!is_legal(h))
        return -SLUICE_ERROR_PROTOCOL;
    return sluice_tlv_check(h->tlvs);
}
