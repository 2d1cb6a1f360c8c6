/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The reader fed whole, byte by byte and in random pieces, against a model
 * that sees all of the input at once and shares no code with it but that of
 * single headers and UTF-8 (which have targets of their own).
 *
 * First come the limits and the options, then a seed for the pieces, then
 * what the client sent.
 */
#include <stdlib.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/check.h"
#include "ws/close.h"
#include "ws/framing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { HEAD = 8 };

struct input {
    struct ws_limits limits;
    uint8_t extension_rsv;
    bool expect_mask;
    bool draft; /* hybi-07 to -12 */
    uint32_t seed;
    const uint8_t *p;
    size_t n;
};

/* Events as bytes: kind, rsv or code, length, payload. */
static void tell(struct buf *out, unsigned kind, unsigned detail,
                 const uint8_t *p, size_t n)
{
    buf_put_le16(out, (uint16_t)kind);
    buf_put_le16(out, (uint16_t)detail);
    buf_put_le64(out, n);
    if (n)
        buf_put(out, p, n);
}

/* Is this header wrong where it stands?  The whole table of RFC 6455
 * sections 5.1 to 5.5, said once more. */
static bool is_wrong(const struct input *in, const struct ws_header *h,
                     bool under_way)
{
    bool control = h->opcode >= 8;
    if (h->masked != in->expect_mask)
        return true;
    if (control || h->opcode == WS_CONT) {
        if (h->rsv)
            return true;
    } else if (h->rsv & ~(unsigned)in->extension_rsv) {
        return true;
    }
    if (!control && under_way != (h->opcode == WS_CONT))
        return true;
    return h->opcode == WS_CLOSE && h->length == 1;
}

static bool close_code_is_wrong(unsigned code)
{
    if (code < 1000 || code > 4999 || (code > 1014 && code < 3000))
        return true;
    return code == 1004 || code == 1005 || code == 1006;
}

/* The model's message under way. */
struct message {
    struct buf text;
    struct utf8 utf8;
    unsigned opcode, rsv;
    uint64_t size;
    uint32_t fragments;
    bool under_way;
};

static int model_control(const struct input *in, struct buf *out,
                         const struct ws_header *h, const uint8_t *payload)
{
    size_t n = (size_t)h->length;
    if (h->opcode != WS_CLOSE) {
        tell(out, h->opcode, 0, payload, n);
        return 0;
    }
    unsigned code = n ? be16_get(payload) : 1005u;
    if (in->draft && code == 1004)
        code = 1009;
    if (n && close_code_is_wrong(code))
        return -1002;
    if (n && !utf8_is_valid(payload + 2, n - 2))
        return -1007;
    tell(out, WS_CLOSE, code, n ? payload + 2 : NULL, n ? n - 2 : 0);
    return 1;
}

static int model_start(const struct input *in, struct message *m,
                       const struct ws_header *h)
{
    if (h->opcode != WS_CONT) {
        m->opcode = h->opcode;
        m->rsv = h->rsv;
        m->size = 0;
        m->fragments = 0;
        m->utf8 = (struct utf8){0};
        buf_clear(&m->text);
        m->under_way = true;
    }
    if (h->length > in->limits.max_frame ||
        m->size + h->length > in->limits.max_message)
        return -1009;
    if (m->fragments == in->limits.max_fragments)
        return -1008;
    m->size += h->length;
    m->fragments++;
    return 0;
}

static int model_payload(struct buf *out, struct message *m,
                         const struct ws_header *h, const uint8_t *payload,
                         size_t there)
{
    bool checked = m->opcode == WS_TEXT && !m->rsv;
    bool last = h->fin && there == h->length;
    if (there)
        buf_put(&m->text, payload, there);
    if (checked && !utf8_next(&m->utf8, payload, there))
        return -1007;
    if (!last)
        return 0;
    if (checked && !utf8_is_complete(&m->utf8))
        return -1007;
    tell(out, m->opcode, m->rsv, m->text.p, m->text.n);
    m->under_way = false;
    return 0;
}

/* The code that ends it, or 0 when the input does (1: a Close did).
 * *half: inside a header. */
static int model_frames(const struct input *in, struct buf *out,
                        struct message *m, bool *half)
{
    uint8_t *copy = malloc(in->n + 1);
    int got = 0;
    check(copy);
    for (size_t at = 0; got == 0 && at < in->n;) {
        struct ws_header h;
        int size = in->draft
                       ? ws_header_decode_draft(&h, in->p + at, in->n - at)
                       : ws_header_decode(&h, in->p + at, in->n - at);
        if (size <= 0) {
            got = size;
            *half = size == 0;
            break;
        }
        at += (size_t)size;
        size_t there = in->n - at;
        if (there > h.length)
            there = (size_t)h.length;
        for (size_t i = 0; i < there; i++)
            copy[i] = (uint8_t)(in->p[at + i] ^ (h.masked ? h.key[i % 4] : 0));
        at += there;
        if (is_wrong(in, &h, m->under_way))
            got = -1002;
        else if (h.opcode < 8 && (got = model_start(in, m, &h)) == 0)
            got = model_payload(out, m, &h, copy, there);
        else if (h.opcode >= 8 && there == h.length)
            got = model_control(in, out, &h, copy);
    }
    free(copy);
    return got;
}

static int model(const struct input *in, struct buf *out, bool *half)
{
    struct message m = {0};
    int got = model_frames(in, out, &m, half);
    buf_fini(&m.text);
    return got > 0 ? 0 : got;
}

struct fed {
    struct ws_reader reader;
    struct buf out, message;
};

static void on_event(struct fed *f, const struct ws_event *ev)
{
    switch (ev->type) {
    case WS_EVENT_PING:
        tell(&f->out, WS_PING, 0, ev->data.p, ev->data.n);
        return;
    case WS_EVENT_PONG:
        tell(&f->out, WS_PONG, 0, ev->data.p, ev->data.n);
        return;
    case WS_EVENT_CLOSE:
        tell(&f->out, WS_CLOSE, ev->code, ev->data.p, ev->data.n);
        return;
    case WS_EVENT_DATA:
        if (ev->first)
            buf_clear(&f->message);
        if (ev->data.n)
            buf_put(&f->message, ev->data.p, ev->data.n);
        else
            check(ev->last);
        if (ev->last)
            tell(&f->out, ev->opcode, ev->rsv, f->message.p, f->message.n);
        return;
    }
    check_failed("an event of no type", __FILE__, __LINE__);
}

static int feed(const struct input *in, struct fed *f, uint32_t seed)
{
    uint8_t *left = NULL;
    size_t left_n = 0, at = 0;
    int got = 0;

    (in->draft ? &ws_framing_8 : &ws_framing_13)->init(&f->reader, &in->limits);
    f->reader.expect_mask = in->expect_mask;
    f->reader.extension_rsv = in->extension_rsv;
    while (at < in->n && got == 0) {
        size_t take = seed == 0 ? in->n : seed == 1 ? 1 : seed % 37 + 1;
        if (seed > 1)
            seed = (seed * 1103515245u + 12345u) | 2;
        if (take > in->n - at)
            take = in->n - at;
        uint8_t *all = malloc(left_n + take);
        check(all);
        if (left_n)
            memcpy(all, left, left_n);
        memcpy(all + left_n, in->p + at, take);
        at += take;
        struct span window = {all, left_n + take};
        struct ws_event ev;
        while ((got = ws_reader_next(&f->reader, &window, &ev)) == 1)
            on_event(f, &ev);
        check(got < 0 || window.n <= WS_READER_LEFT_MAX);
        check(window.p + window.n == all + left_n + take);
        check(got < 0 || f->reader.wire_bytes + window.n == at);
        free(left);
        left_n = window.n;
        left = malloc(left_n + 1);
        check(left);
        memcpy(left, window.p, left_n);
        free(all);
    }
    free(left);
    return got;
}

static void compare(const struct input *in, uint32_t seed)
{
    struct buf expected = {0};
    struct fed f = {0};
    bool half = false;
    int model_said = model(in, &expected, &half);
    int got = feed(in, &f, seed);

    check(str_eq(buf_str(&f.out), buf_str(&expected)));
    /* The reader may refuse a header before it is whole, the model waits. */
    check(got == model_said || (half && got == -1002));
    buf_fini(&expected);
    buf_fini(&f.out);
    buf_fini(&f.message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < HEAD)
        return 0;
    struct input in = {
        .limits = {.max_message = data[0] * 16u,
                   .max_frame = data[1] * 16u,
                   .max_fragments = data[2] % 16u},
        .extension_rsv = data[3] & 7,
        .expect_mask = !(data[3] & 8),
        .draft = data[3] & 16,
        .seed = le32_get(data + 4) | 2,
        .p = data + HEAD,
        .n = n - HEAD,
    };
    compare(&in, 0);
    compare(&in, 1);
    compare(&in, in.seed);
    return 0;
}
