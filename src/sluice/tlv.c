/* SPDX-License-Identifier: BSD-2-Clause */
#include "sluice/tlv.h"

static const int malformed = -SLUICE_ERROR_PROTOCOL;

int sluice_tlv_next(struct str *rest, struct sluice_tlv *t)
{
    if (rest->n == 0)
        return 0;
    if (rest->n < 4)
        return malformed;
    uint32_t word = le32_get(rest->p);
    size_t length = word >> 8;
    if (length > rest->n - 4)
        return malformed;
    t->tag = (uint8_t)word;
    t->value = str_n(rest->p + 4, length);
    *rest = str_n(rest->p + 4 + length, rest->n - 4 - length);
    return 1;
}

static int check_tls(struct str value)
{
    struct sluice_tlv t;
    int more;

    while ((more = sluice_tlv_next(&value, &t)) == 1)
        if ((t.tag == SLUICE_TLS_VERSION || t.tag == SLUICE_TLS_CIPHER) &&
            t.value.n != 2)
            return malformed;
    return more;
}

static int check_value(const struct sluice_tlv *t)
{
    struct str name, value;
    enum sluice_pattern_kind kind;
    struct sluice_resume_info info;
    uint64_t u64;
    uint32_t u32;
    uint16_t u16;

    switch ((enum sluice_tag)t->tag) {
    case SLUICE_TAG_PID:
    case SLUICE_TAG_MAX_CLIENTS:
        return sluice_tlv_get_u32(t, &u32);
    case SLUICE_TAG_RESUME_OF:
        return sluice_tlv_get_u64(t, &u64);
    case SLUICE_TAG_REMOTE_PORT:
    case SLUICE_TAG_LOCAL_PORT:
        return sluice_tlv_get_u16(t, &u16);
    case SLUICE_TAG_HEADER:
        return sluice_tlv_get_header(t, &name, &value);
    case SLUICE_TAG_CAPTURE:
    case SLUICE_TAG_VAR:
        return sluice_tlv_get_named(t, &name, &value);
    case SLUICE_TAG_OPT:
        return sluice_tlv_get_opt(t, &u16, &u32);
    case SLUICE_TAG_RESUME_INFO:
        return sluice_tlv_get_resume_info(t, &info);
    case SLUICE_TAG_HOST_PATTERN:
    case SLUICE_TAG_PATH_PATTERN:
    case SLUICE_TAG_ORIGIN_PATTERN:
        return sluice_tlv_get_pattern(t, &kind, &name);
    case SLUICE_TAG_TLS:
        return check_tls(t->value);
    case SLUICE_TAG_REQUEST_ID:
        return t->value.n == 16 ? 0 : malformed;
    case SLUICE_TAG_NAME:
    case SLUICE_TAG_AGENT:
    case SLUICE_TAG_TOKEN:
    case SLUICE_TAG_POOL:
    case SLUICE_TAG_HOSTNAME:
    case SLUICE_TAG_METHOD:
    case SLUICE_TAG_TARGET:
    case SLUICE_TAG_PATH:
    case SLUICE_TAG_LOCATION:
    case SLUICE_TAG_REMOTE_ADDR:
    case SLUICE_TAG_LOCAL_ADDR:
    case SLUICE_TAG_SUBPROTOCOL:
    case SLUICE_TAG_EXTENSION:
    case SLUICE_TAG_ORIGIN:
    case SLUICE_TAG_APP:
    case SLUICE_TAG_ROUTE:
    case SLUICE_TAG_STATE:
    case SLUICE_TAG_CHANNEL:
    case SLUICE_TAG_BODY:
    case SLUICE_TAG_REASON:
    case SLUICE_TAG_KEY:
        return 0;
    }
    return 0; /* an unknown tag: skipped */
}

int sluice_tlv_check(struct str tlvs)
{
    struct sluice_tlv t;
    int more;

    while ((more = sluice_tlv_next(&tlvs, &t)) == 1)
        if (check_value(&t) != 0)
            return malformed;
    return more;
}

struct str sluice_tlv_find(struct str tlvs, enum sluice_tag tag)
{
    struct sluice_tlv t;

    while (sluice_tlv_next(&tlvs, &t) == 1)
        if (t.tag == tag)
            return t.value;
    return (struct str){0};
}

/* Room for the word and a value of n bytes, with the word written; NULL when
 * there is none.  out->n is left alone until the value is there too. */
static uint8_t *room_for(struct buf *out, unsigned tag, size_t n)
{
    if (n > SLUICE_TLV_MAX)
        return NULL;
    uint8_t *at = buf_reserve(out, 4 + n);
    if (!at)
        return NULL;
    le32_put(at, tag | (uint32_t)n << 8);
    out->n += 4 + n;
    return at + 4;
}

static uint8_t *copy(uint8_t *at, struct str s)
{
    if (s.n)
        memcpy(at, s.p, s.n);
    return at + s.n;
}

bool sluice_tlv_put(struct buf *out, unsigned tag, struct str value)
{
    uint8_t *at = room_for(out, tag, value.n);
    if (at)
        copy(at, value);
    return at != NULL;
}

bool sluice_tlv_put_u16(struct buf *out, unsigned tag, uint16_t value)
{
    uint8_t *at = room_for(out, tag, 2);
    if (at)
        le16_put(at, value);
    return at != NULL;
}

bool sluice_tlv_put_u32(struct buf *out, unsigned tag, uint32_t value)
{
    uint8_t *at = room_for(out, tag, 4);
    if (at)
        le32_put(at, value);
    return at != NULL;
}

bool sluice_tlv_put_u64(struct buf *out, unsigned tag, uint64_t value)
{
    uint8_t *at = room_for(out, tag, 8);
    if (at)
        le64_put(at, value);
    return at != NULL;
}

bool sluice_tlv_put_header(struct buf *out, struct str name, struct str value)
{
    if (name.n > UINT16_MAX || value.n > SLUICE_TLV_MAX)
        return false;
    uint8_t *at = room_for(out, SLUICE_TAG_HEADER, 2 + name.n + value.n);
    if (!at)
        return false;
    le16_put(at, (uint16_t)name.n);
    copy(copy(at + 2, name), value);
    return true;
}

bool sluice_tlv_put_named(struct buf *out, enum sluice_tag tag, struct str name,
                          struct str value)
{
    if (name.n > UINT8_MAX || value.n > SLUICE_TLV_MAX)
        return false;
    uint8_t *at = room_for(out, tag, 1 + name.n + value.n);
    if (!at)
        return false;
    at[0] = (uint8_t)name.n;
    copy(copy(at + 1, name), value);
    return true;
}

bool sluice_tlv_put_pattern(struct buf *out, enum sluice_tag tag,
                            enum sluice_pattern_kind kind, struct str text)
{
    if (text.n > SLUICE_TLV_MAX)
        return false;
    uint8_t *at = room_for(out, tag, 1 + text.n);
    if (!at)
        return false;
    at[0] = (uint8_t)kind;
    copy(at + 1, text);
    return true;
}

/* Bytes that the option's value has; 0: not known. */
static size_t opt_size(unsigned id)
{
    switch ((enum sluice_option)id) {
    case SLUICE_OPT_NODELAY:
    case SLUICE_OPT_AUTO_PONG:
    case SLUICE_OPT_ON_LOSS:
    case SLUICE_OPT_ACK_MODE:
    case SLUICE_OPT_DEBUG:
        return 1;
    case SLUICE_OPT_IDLE_TIMEOUT_MS:
    case SLUICE_OPT_MAX_MESSAGE:
    case SLUICE_OPT_EVENT_MASK:
    case SLUICE_OPT_PING_INTERVAL_MS:
    case SLUICE_OPT_SEND_BUFFER:
    case SLUICE_OPT_CLOSE_TIMEOUT_MS:
    case SLUICE_OPT_STREAM_THRESHOLD:
    case SLUICE_OPT_VERSIONS:
        return 4;
    }
    return 0;
}

bool sluice_tlv_put_opt(struct buf *out, enum sluice_option id, uint32_t value)
{
    size_t size = opt_size(id);
    if (size == 0 || (size == 1 && value > UINT8_MAX))
        return false;
    uint8_t *at = room_for(out, SLUICE_TAG_OPT, 2 + size);
    if (!at)
        return false;
    le16_put(at, (uint16_t)id);
    if (size == 1)
        at[2] = (uint8_t)value;
    else
        le32_put(at + 2, value);
    return true;
}

bool sluice_tlv_put_resume_info(struct buf *out,
                                const struct sluice_resume_info *info)
{
    uint8_t *at = room_for(out, SLUICE_TAG_RESUME_INFO, 16);
    if (!at)
        return false;
    le32_put(at, info->first_seq);
    le32_put(at + 4, info->next_out_seq);
    le32_put(at + 8, info->unacked);
    le32_put(at + 12, info->flags);
    return true;
}

size_t sluice_tlv_begin(struct buf *out, unsigned tag)
{
    size_t begin = out->n;
    room_for(out, tag, 0);
    return begin;
}

bool sluice_tlv_end(struct buf *out, size_t begin, bool ok)
{
    /* Less than a word behind begin: even that did not fit. */
    if (!ok || out->n - begin < 4 || out->n - begin - 4 > SLUICE_TLV_MAX) {
        out->n = begin;
        return false;
    }
    uint32_t length = (uint32_t)(out->n - begin - 4);
    le32_put(out->p + begin, out->p[begin] | length << 8);
    return true;
}

int sluice_tlv_get_u16(const struct sluice_tlv *t, uint16_t *value)
{
    if (t->value.n != 2)
        return malformed;
    *value = le16_get(t->value.p);
    return 0;
}

int sluice_tlv_get_u32(const struct sluice_tlv *t, uint32_t *value)
{
    if (t->value.n != 4)
        return malformed;
    *value = le32_get(t->value.p);
    return 0;
}

int sluice_tlv_get_u64(const struct sluice_tlv *t, uint64_t *value)
{
    if (t->value.n != 8)
        return malformed;
    *value = le64_get(t->value.p);
    return 0;
}

/* A name whose length stands before it in size bytes, then the value. */
static int split(struct str s, size_t size, struct str *name, struct str *value)
{
    if (s.n < size)
        return malformed;
    size_t n = size == 1 ? (uint8_t)s.p[0] : le16_get(s.p);
    if (n > s.n - size)
        return malformed;
    *name = str_n(s.p + size, n);
    *value = str_n(s.p + size + n, s.n - size - n);
    return 0;
}

int sluice_tlv_get_header(const struct sluice_tlv *t, struct str *name,
                          struct str *value)
{
    return split(t->value, 2, name, value);
}

int sluice_tlv_get_named(const struct sluice_tlv *t, struct str *name,
                         struct str *value)
{
    return split(t->value, 1, name, value);
}

int sluice_tlv_get_pattern(const struct sluice_tlv *t,
                           enum sluice_pattern_kind *kind, struct str *text)
{
    if (t->value.n < 1 || (uint8_t)t->value.p[0] > SLUICE_PATTERN_NONE)
        return malformed;
    *kind = (enum sluice_pattern_kind)t->value.p[0];
    *text = str_n(t->value.p + 1, t->value.n - 1);
    return 0;
}

int sluice_tlv_get_resume_info(const struct sluice_tlv *t,
                               struct sluice_resume_info *info)
{
    if (t->value.n != 16)
        return malformed;
    const char *p = t->value.p;
    *info = (struct sluice_resume_info){.first_seq = le32_get(p),
                                        .next_out_seq = le32_get(p + 4),
                                        .unacked = le32_get(p + 8),
                                        .flags = le32_get(p + 12)};
    return 0;
}

int sluice_tlv_get_opt(const struct sluice_tlv *t, uint16_t *id,
                       uint32_t *value)
{
    if (t->value.n < 2)
        return malformed;
    *id = le16_get(t->value.p);
    *value = 0;
    size_t size = opt_size(*id);
    if (size == 0)
        return 0;
    if (t->value.n != 2 + size)
        return malformed;
    const char *p = t->value.p + 2;
    *value = size == 1 ? (uint8_t)p[0] : le32_get(p);
    return 0;
}
