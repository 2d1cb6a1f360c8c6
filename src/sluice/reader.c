/* SPDX-License-Identifier: BSD-2-Clause */
#include "sluice/reader.h"

#include <string.h>

#include "sluice/hello.h"

/* Who may send, as bits by role: the words of frames.def. */
enum {
    GATEWAY = 1 << SLUICE_ROLE_GATEWAY,
    BACKEND = 1 << SLUICE_ROLE_BACKEND,
    PUBLISHER = 1 << SLUICE_ROLE_PUBLISHER,
    MONITOR = 1 << SLUICE_ROLE_MONITOR,
    BOTH = GATEWAY | BACKEND,
    GROUPS = BACKEND | PUBLISHER,
    OPERATOR = BACKEND | MONITOR,
    ALL = BOTH | PUBLISHER | MONITOR,
};

enum cid_rule {
    LINK,
    CLIENT,
    ANY,
};

static const struct rule {
    uint8_t senders; /* 0: no such type */
    uint8_t cid;
    uint8_t fixed;
    uint16_t feature;
} rules[SLUICE_TYPE_IGNORABLE] = {
#define FRAME(name, code, sender, cid, feature, fixed, body)                   \
    [code] = {sender, cid, fixed, SLUICE_FEATURE_##feature},
#include "sluice/frames.def"
#undef FRAME
};

void sluice_reader_init(struct sluice_reader *r, enum sluice_role peer,
                        uint32_t max_frame)
{
    *r = (struct sluice_reader){.peer = peer, .max_frame = max_frame};
}

static bool cid_suits(enum cid_rule rule, uint64_t cid)
{
    switch (rule) {
    case LINK:
        return cid == 0;
    case CLIENT:
        return cid != 0 && sluice_cid_is_legal(cid);
    case ANY:
        return sluice_cid_is_legal(cid);
    }
    return false;
}

/* What can be said of a header alone; 0 or the error code (section 15). */
static enum sluice_error judge(const struct sluice_reader *r,
                               const struct sluice_header *h)
{
    if (r->hello_seen == (h->type == SLUICE_HELLO))
        return SLUICE_ERROR_PROTOCOL;
    if (h->type >= SLUICE_TYPE_IGNORABLE) {
        if (!sluice_cid_is_legal(h->cid))
            return SLUICE_ERROR_PROTOCOL;
        return h->length > r->max_frame ? SLUICE_ERROR_FRAME_TOO_BIG : 0;
    }
    const struct rule *rule = &rules[h->type];
    if (!rule->senders)
        return h->type ? SLUICE_ERROR_UNKNOWN_TYPE : SLUICE_ERROR_PROTOCOL;
    if (h->length > r->max_frame)
        return SLUICE_ERROR_FRAME_TOO_BIG;
    if (!(rule->senders >> r->peer & 1) || h->length < rule->fixed ||
        !cid_suits((enum cid_rule)rule->cid, h->cid))
        return SLUICE_ERROR_PROTOCOL;
    if (rule->feature & ~r->features)
        return SLUICE_ERROR_UNSUPPORTED;
    return 0;
}

static int fail(struct sluice_reader *r, enum sluice_error code, uint8_t type)
{
    r->failed = (uint8_t)code;
    r->bad_type = type;
    r->missing = 0;
    return -(int)code;
}

/* What does not speak Sluice is told so by its first bytes. */
static bool magic_is_wrong(const struct span *in)
{
    size_t n = in->n - SLUICE_HEADER_SIZE;
    if (n > SLUICE_MAGIC_SIZE)
        n = SLUICE_MAGIC_SIZE;
    return memcmp(in->p + SLUICE_HEADER_SIZE, sluice_magic, n) != 0;
}

static void skip(struct sluice_reader *r, struct span *in)
{
    size_t n = in->n < r->skip ? in->n : r->skip;
    span_advance(in, n);
    r->skip -= (uint32_t)n;
}

int sluice_reader_next(struct sluice_reader *r, struct span *in,
                       struct sluice_frame *f)
{
    if (r->failed)
        return -r->failed;
    for (;;) {
        if (r->skip)
            skip(r, in);
        if (in->n < SLUICE_HEADER_SIZE) {
            r->missing = SLUICE_HEADER_SIZE - (uint32_t)in->n + r->skip;
            return 0;
        }
        struct sluice_header h = sluice_header_get(in->p);
        enum sluice_error error = judge(r, &h);
        if (!error && !r->hello_seen && magic_is_wrong(in))
            error = SLUICE_ERROR_PROTOCOL;
        if (error)
            return fail(r, error, h.type);
        if (h.type >= SLUICE_TYPE_IGNORABLE) {
            span_advance(in, SLUICE_HEADER_SIZE);
            r->skip = h.length;
            r->ignored++;
            continue;
        }
        size_t size = SLUICE_HEADER_SIZE + (size_t)h.length;
        if (in->n < size) {
            r->missing = (uint32_t)(size - in->n);
            return 0;
        }
        r->missing = 0;
        r->hello_seen = true;
        f->header = h;
        f->payload = (struct span){in->p + SLUICE_HEADER_SIZE, h.length};
        span_advance(in, size);
        return 1;
    }
}
