/* SPDX-License-Identifier: BSD-2-Clause */
/* A link's bytes, cut in two: the same frames as uncut, none past its end. */
#include "base/check.h"
#include "sluice/reader.h"
#include "unit/sluice/again.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct link {
    struct sluice_reader reader;
    struct buf left; /* what the reader did not take */
    struct buf said;
    int result;
};

static void show(struct link *l, const uint8_t *data, size_t n)
{
    struct sluice_frame f;

    buf_put(&l->left, data, n);
    struct span in = {l->left.p, l->left.n};
    while ((l->result = sluice_reader_next(&l->reader, &in, &f)) == 1) {
        check(f.payload.n == f.header.length);
        int got = again(&l->said, &f);
        check(got <= 0);
        buf_put_u8(&l->said, (uint8_t)-got);
    }
    buf_drop(&l->left, l->left.n - in.n);
    check(l->result < 0 || sluice_reader_missing(&l->reader) > 0);
}

static void begin(struct link *l, enum sluice_role peer, uint8_t how)
{
    *l = (struct link){0};
    sluice_reader_init(&l->reader, peer, SLUICE_MAX_FRAME_MIN);
    l->reader.hello_seen = how & 1;
    l->reader.features = how & 2 ? UINT64_MAX : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct link whole, cut;

    if (size < 3)
        return 0;
    enum sluice_role peer = data[0] % 4 + SLUICE_ROLE_GATEWAY;
    uint8_t how = data[1];
    size_t at = data[2] % (size - 2);
    data += 3;
    size -= 3;
    if (at > size)
        at = size;

    begin(&whole, peer, how);
    show(&whole, data, size);
    begin(&cut, peer, how);
    show(&cut, data, at);
    show(&cut, data + at, size - at);
    check(whole.result == cut.result && whole.said.n == cut.said.n);
    check(whole.said.n == 0 ||
          memcmp(whole.said.p, cut.said.p, cut.said.n) == 0);

    buf_fini(&whole.left);
    buf_fini(&whole.said);
    buf_fini(&cut.left);
    buf_fini(&cut.said);
    return 0;
}
