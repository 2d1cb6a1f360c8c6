/* SPDX-License-Identifier: BSD-2-Clause */
#include "sluice/close.h"

#include "base/utf8.h"

enum {
    CLOSED_SIZE = 32 /* bytes before the reason */
};

bool sluice_close_code_is_legal(unsigned code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

bool sluice_close_put(struct buf *out, const struct sluice_close *c)
{
    struct sluice_header h = {
        .type = SLUICE_CLOSE, .aux = c->code, .cid = c->cid};
    return sluice_frame_put(out, &h, c->reason);
}

int sluice_close_get(struct sluice_close *c, const struct sluice_frame *f)
{
    *c = (struct sluice_close){.cid = f->header.cid,
                               .code = f->header.aux,
                               .reason = sluice_payload(f)};
    if (c->code ? !sluice_close_code_is_legal(c->code) : c->reason.n > 0)
        return -SLUICE_ERROR_WS_PROTOCOL;
    if (c->reason.n > SLUICE_REASON_MAX)
        return -SLUICE_ERROR_WS_PROTOCOL;
    if (!utf8_is_valid(c->reason.p, c->reason.n))
        return -SLUICE_ERROR_BAD_UTF8;
    return 0;
}

bool sluice_closed_put(struct buf *out, const struct sluice_closed *c)
{
    struct sluice_header h = {
        .type = SLUICE_CLOSED, .aux = c->code, .cid = c->cid};
    uint8_t fixed[CLOSED_SIZE] = {c->cause, c->flags};

    le16_put(fixed + 2, c->error);
    le32_put(fixed + 4, c->lost_out);
    le64_put(fixed + 8, c->bytes_in);
    le64_put(fixed + 16, c->bytes_out);
    le32_put(fixed + 24, c->messages_in);
    le32_put(fixed + 28, c->messages_out);
    return sluice_fixed_put(out, &h, fixed, sizeof fixed, c->reason);
}

int sluice_closed_get(struct sluice_closed *c, const struct sluice_frame *f)
{
    struct str s = sluice_payload(f);

    if (s.n < CLOSED_SIZE)
        return -SLUICE_ERROR_PROTOCOL;
    *c = (struct sluice_closed){
        .cid = f->header.cid,
        .code = f->header.aux,
        .cause = (uint8_t)s.p[0],
        .flags = (uint8_t)s.p[1],
        .error = le16_get(s.p + 2),
        .lost_out = le32_get(s.p + 4),
        .bytes_in = le64_get(s.p + 8),
        .bytes_out = le64_get(s.p + 16),
        .messages_in = le32_get(s.p + 24),
        .messages_out = le32_get(s.p + 28),
        .reason = str_slice(s, CLOSED_SIZE, s.n),
    };
    return 0;
}
