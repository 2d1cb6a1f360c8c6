/* SPDX-License-Identifier: BSD-2-Clause */
#include "sluice/group.h"

enum {
    BROADCAST_SIZE = 12, /* bytes before the exceptions */
    MSEND_SIZE = 8       /* and before the ids */
};

static const int malformed = -SLUICE_ERROR_PROTOCOL;

static uint8_t flags_of(bool notify, bool nocompress)
{
    return (uint8_t)((notify ? SLUICE_FLAG_NOTIFY : 0) |
                     (nocompress ? SLUICE_FLAG_NOCOMPRESS : 0));
}

bool sluice_ids_have(struct str ids, uint64_t cid)
{
    for (size_t i = 0; i < sluice_ids_count(ids); i++)
        if (sluice_ids_at(ids, i) == cid)
            return true;
    return false;
}

static bool opcode_is_legal(unsigned opcode)
{
    return opcode == 1 || opcode == 2;
}

/* Cut count ids off *rest; false when it is shorter. */
static bool take_ids(struct str *rest, uint64_t count, struct str *ids)
{
    if (count > rest->n / 8)
        return false;
    *ids = str_n(rest->p, (size_t)count * 8);
    *rest = str_slice(*rest, ids->n, rest->n);
    return true;
}

/* Cut a text with its length in front off *rest; false when it is short. */
static bool take_counted(struct str *rest, struct str *text)
{
    if (rest->n < 2)
        return false;
    size_t n = le16_get(rest->p);
    if (n > rest->n - 2)
        return false;
    *text = str_n(rest->p + 2, n);
    *rest = str_slice(*rest, 2 + n, rest->n);
    return true;
}

static bool put_counted(struct buf *out, struct str text)
{
    return text.n <= UINT16_MAX && buf_put_le16(out, (uint16_t)text.n) &&
           buf_put_str(out, text);
}

static bool channel_is_legal(struct str name)
{
    return name.n > 0 && name.n <= SLUICE_CHANNEL_MAX;
}

bool sluice_channel_put(struct buf *out, struct str name)
{
    size_t begin = out->n;
    if (put_counted(out, name))
        return true;
    out->n = begin;
    return false;
}

int sluice_channel_next(struct str *rest, struct str *name)
{
    if (rest->n == 0)
        return 0;
    if (!take_counted(rest, name))
        return malformed;
    return channel_is_legal(*name) ? 1 : -SLUICE_ERROR_LIMIT;
}

int sluice_channels_check(const struct sluice_frame *f)
{
    struct str rest = sluice_payload(f);
    struct str name;
    int more;

    while ((more = sluice_channel_next(&rest, &name)) == 1)
        ;
    return more;
}

bool sluice_publish_put(struct buf *out, const struct sluice_publish *p)
{
    struct sluice_header h = {.type = SLUICE_PUBLISH,
                              .flags = flags_of(p->notify, p->nocompress),
                              .aux = p->token,
                              .cid = p->except};
    size_t begin = sluice_frame_begin(out, &h);
    bool ok = buf_put_u8(out, p->opcode) && buf_put_u8(out, p->opts) &&
              put_counted(out, p->channel) && buf_put_str(out, p->data);
    return sluice_frame_end(out, begin, ok);
}

int sluice_publish_get(struct sluice_publish *p, const struct sluice_frame *f)
{
    struct str s = sluice_payload(f);

    if (s.n < 4)
        return malformed;
    *p = (struct sluice_publish){.except = f->header.cid,
                                 .notify = f->header.flags & SLUICE_FLAG_NOTIFY,
                                 .nocompress =
                                     f->header.flags & SLUICE_FLAG_NOCOMPRESS,
                                 .token = f->header.aux,
                                 .opcode = (uint8_t)s.p[0],
                                 .opts = (uint8_t)s.p[1],
                                 .data = str_slice(s, 2, s.n)};
    if (!take_counted(&p->data, &p->channel) || !opcode_is_legal(p->opcode))
        return malformed;
    return 0;
}

static bool put_broadcast_body(struct buf *out,
                               const struct sluice_broadcast *b)
{
    uint8_t fixed[BROADCAST_SIZE] = {b->opcode, b->opts};
    size_t count = sluice_ids_count(b->except);

    if (count > UINT16_MAX)
        return false;
    le16_put(fixed + 2, b->app_id);
    le16_put(fixed + 4, (uint16_t)count);
    return buf_put(out, fixed, sizeof fixed) &&
           buf_put(out, b->except.p, count * 8) && buf_put_str(out, b->data);
}

static int get_broadcast_body(struct sluice_broadcast *b, struct str s)
{
    if (s.n < BROADCAST_SIZE)
        return malformed;
    b->opcode = (uint8_t)s.p[0];
    b->opts = (uint8_t)s.p[1];
    b->app_id = le16_get(s.p + 2);
    b->data = str_slice(s, BROADCAST_SIZE, s.n);
    if (!take_ids(&b->data, le16_get(s.p + 4), &b->except) ||
        !opcode_is_legal(b->opcode))
        return malformed;
    return 0;
}

bool sluice_broadcast_begin(struct buf *out, const struct sluice_broadcast *b,
                            size_t *begin)
{
    struct sluice_header h = {.type = SLUICE_BROADCAST,
                              .flags = flags_of(b->notify, b->nocompress),
                              .aux = b->token};
    *begin = sluice_frame_begin(out, &h);
    return put_broadcast_body(out, b);
}

bool sluice_broadcast_put(struct buf *out, const struct sluice_broadcast *b)
{
    size_t begin;
    bool ok = sluice_broadcast_begin(out, b, &begin);
    return sluice_frame_end(out, begin, ok);
}

int sluice_broadcast_get(struct sluice_broadcast *b,
                         const struct sluice_frame *f)
{
    *b = (struct sluice_broadcast){
        .notify = f->header.flags & SLUICE_FLAG_NOTIFY,
        .nocompress = f->header.flags & SLUICE_FLAG_NOCOMPRESS,
        .token = f->header.aux};
    return get_broadcast_body(b, sluice_payload(f));
}

bool sluice_msend_put(struct buf *out, const struct sluice_msend *m)
{
    struct sluice_header h = {.type = SLUICE_MSEND,
                              .flags = flags_of(m->notify, m->nocompress),
                              .aux = m->token};
    size_t count = sluice_ids_count(m->ids);
    uint8_t fixed[MSEND_SIZE] = {m->opcode};

    if (count > UINT32_MAX)
        return false;
    le32_put(fixed + 4, (uint32_t)count);
    size_t begin = sluice_frame_begin(out, &h);
    bool ok = buf_put(out, fixed, sizeof fixed) &&
              buf_put(out, m->ids.p, count * 8) && buf_put_str(out, m->data);
    return sluice_frame_end(out, begin, ok);
}

int sluice_msend_get(struct sluice_msend *m, const struct sluice_frame *f)
{
    struct str s = sluice_payload(f);

    if (s.n < MSEND_SIZE)
        return malformed;
    *m = (struct sluice_msend){.notify = f->header.flags & SLUICE_FLAG_NOTIFY,
                               .nocompress =
                                   f->header.flags & SLUICE_FLAG_NOCOMPRESS,
                               .token = f->header.aux,
                               .opcode = (uint8_t)s.p[0],
                               .data = str_slice(s, MSEND_SIZE, s.n)};
    if (!take_ids(&m->data, le32_get(s.p + 4), &m->ids) ||
        !opcode_is_legal(m->opcode))
        return malformed;
    return 0;
}

bool sluice_bstream_put(struct buf *out, const struct sluice_bstream *b)
{
    struct sluice_header h = {
        .type = SLUICE_BSTREAM,
        .flags =
            (uint8_t)((b->start ? SLUICE_FLAG_START : 0) |
                      (b->end ? SLUICE_FLAG_END : 0) |
                      flags_of(b->notify, b->start && b->first.nocompress)),
        .aux = b->token,
        .cid = b->stream};
    size_t begin = sluice_frame_begin(out, &h);
    bool ok = b->start ? put_broadcast_body(out, &b->first)
                       : buf_put_str(out, b->data);
    return sluice_frame_end(out, begin, ok);
}

int sluice_bstream_get(struct sluice_bstream *b, const struct sluice_frame *f)
{
    *b = (struct sluice_bstream){.stream = f->header.cid,
                                 .start = f->header.flags & SLUICE_FLAG_START,
                                 .end = f->header.flags & SLUICE_FLAG_END,
                                 .notify = f->header.flags & SLUICE_FLAG_NOTIFY,
                                 .token = f->header.aux};
    b->first.nocompress = f->header.flags & SLUICE_FLAG_NOCOMPRESS;
    if (b->start)
        return get_broadcast_body(&b->first, sluice_payload(f));
    b->data = sluice_payload(f);
    return 0;
}

bool sluice_delivered_put(struct buf *out, const struct sluice_delivered *d)
{
    struct sluice_header h = {.type = SLUICE_DELIVERED, .aux = d->token};
    uint8_t fixed[16];

    le32_put(fixed, d->matched);
    le32_put(fixed + 4, d->queued);
    le32_put(fixed + 8, d->skipped);
    le32_put(fixed + 12, d->dropped);
    return sluice_fixed_put(out, &h, fixed, sizeof fixed, (struct str){0});
}

int sluice_delivered_get(struct sluice_delivered *d,
                         const struct sluice_frame *f)
{
    const uint8_t *p = f->payload.p;

    if (f->payload.n < 16)
        return malformed;
    *d = (struct sluice_delivered){.token = f->header.aux,
                                   .matched = le32_get(p),
                                   .queued = le32_get(p + 4),
                                   .skipped = le32_get(p + 8),
                                   .dropped = le32_get(p + 12)};
    return 0;
}

bool sluice_presence_req_put(struct buf *out,
                             const struct sluice_presence_req *p)
{
    struct sluice_header h = {.type = SLUICE_PRESENCE_REQ,
                              .flags = p->list ? SLUICE_FLAG_LIST : 0,
                              .aux = p->token};
    size_t begin = sluice_frame_begin(out, &h);
    return sluice_frame_end(out, begin, put_counted(out, p->channel));
}

int sluice_presence_req_get(struct sluice_presence_req *p,
                            const struct sluice_frame *f)
{
    struct str s = sluice_payload(f);

    *p = (struct sluice_presence_req){
        .token = f->header.aux, .list = f->header.flags & SLUICE_FLAG_LIST};
    return take_counted(&s, &p->channel) ? 0 : malformed;
}

bool sluice_presence_put(struct buf *out, const struct sluice_presence *p)
{
    struct sluice_header h = {.type = SLUICE_PRESENCE,
                              .flags = p->list ? SLUICE_FLAG_LIST : 0,
                              .aux = p->token};
    uint8_t fixed[4];

    le32_put(fixed, p->count);
    return sluice_fixed_put(out, &h, fixed, sizeof fixed, p->ids);
}

int sluice_presence_get(struct sluice_presence *p, const struct sluice_frame *f)
{
    struct str s = sluice_payload(f);

    if (s.n < 4)
        return malformed;
    *p = (struct sluice_presence){.token = f->header.aux,
                                  .list = f->header.flags & SLUICE_FLAG_LIST,
                                  .count = le32_get(s.p)};
    struct str rest = str_slice(s, 4, s.n);
    if (p->list && !take_ids(&rest, p->count, &p->ids))
        return malformed;
    return 0;
}
