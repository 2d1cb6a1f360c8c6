/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The readers of hixie-76 and -75 fed whole, byte by byte and in random
 * pieces, against a model that looks at one whole frame after the other.
 *
 * First come the limit and the version, then a seed for the pieces, then what
 * the client sent.
 */
#include <stdlib.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/check.h"
#include "ws/framing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { HEAD = 8, DIGITS_MAX = 10 };

struct input {
    struct ws_limits limits;
    const struct ws_framing *framing;
    uint32_t seed;
    const uint8_t *p;
    size_t n;
};

/* How the input ends for the model. */
enum { MORE = 0, CLOSED = 1 };

/* Text from p on, the byte 00 before it gone: how much of the input it took,
 * with *said its code or MORE. */
static size_t model_text(const struct input *in, size_t at, struct buf *out,
                         int *said)
{
    size_t max = in->limits.max_frame, end = at;
    struct utf8 u = {0};

    for (; end < in->n && in->p[end] != 0xff; end++) {
        bool bad = !utf8_next(&u, in->p + end, 1);
        /* Either may be told first: it depends on the pieces. */
        if (end - at >= max || bad)
            *said = bad ? -1007 : -1009;
        if (*said)
            return end;
    }
    if (end == in->n)
        return end;
    if (!utf8_is_complete(&u))
        *said = -1007;
    else
        buf_printf(out, "%zu:%.*s;", end - at, (int)(end - at),
                   (const char *)in->p + at);
    return end + 1;
}

static size_t model_length(const struct input *in, size_t at, int *said)
{
    uint8_t type = in->p[at - 1];
    uint64_t length = 0;

    for (unsigned digits = 1; at < in->n; digits++) {
        uint8_t digit = in->p[at++];
        length = length * 128 + (digit & 127);
        if (digits > DIGITS_MAX)
            *said = -1002;
        else if (length > in->limits.max_frame)
            *said = -1009;
        else if (digit < 128 && type == 0xff && !length &&
                 in->framing->version == 76)
            *said = CLOSED;
        else if (digit >= 128)
            continue;
        return *said ? at : length < in->n - at ? at + (size_t)length : in->n;
    }
    return at;
}

static size_t model_junk(const struct input *in, size_t at, int *said)
{
    size_t end = at;
    while (end < in->n && in->p[end] != 0xff)
        end++;
    if (end - at > in->limits.max_frame)
        *said = -1009;
    return end < in->n ? end + 1 : end;
}

static int model(const struct input *in, struct buf *out)
{
    int said = MORE;

    for (size_t at = 0; at < in->n && said == MORE;) {
        uint8_t type = in->p[at++];
        if (type & 0x80)
            at = model_length(in, at, &said);
        else if (type)
            at = model_junk(in, at, &said);
        else
            at = model_text(in, at, out, &said);
    }
    return said;
}

struct fed {
    struct ws_reader reader;
    struct buf out, message;
    bool closed;
};

static void on_event(struct fed *f, const struct ws_event *ev)
{
    check(!f->closed);
    if (ev->type == WS_EVENT_CLOSE) {
        check(ev->code == 1005 && !ev->data.n);
        f->closed = true;
        return;
    }
    check(ev->type == WS_EVENT_DATA && ev->opcode == WS_TEXT && !ev->rsv);
    check(ev->first == (f->message.n == 0));
    check(ev->data.n || ev->last);
    if (ev->first)
        buf_put_u8(&f->message, ' ');
    buf_put(&f->message, ev->data.p, ev->data.n);
    if (!ev->last)
        return;
    size_t n = f->message.n - 1;
    buf_printf(&f->out, "%zu:%.*s;", n, (int)n, (const char *)f->message.p + 1);
    buf_clear(&f->message);
}

static int feed(const struct input *in, struct fed *f, uint32_t seed)
{
    size_t at = 0;
    int got = 0;

    in->framing->init(&f->reader, &in->limits);
    while (at < in->n && got == 0) {
        size_t take = seed == 0 ? in->n : seed == 1 ? 1 : seed % 37 + 1;
        if (seed > 1)
            seed = (seed * 1103515245u + 12345u) | 2;
        if (take > in->n - at)
            take = in->n - at;
        uint8_t *piece = malloc(take);
        check(piece);
        memcpy(piece, in->p + at, take);
        at += take;
        struct span window = {piece, take};
        struct ws_event ev;
        while ((got = in->framing->next(&f->reader, &window, &ev)) == 1)
            on_event(f, &ev);
        /* Nothing is ever shown twice. */
        check(got < 0 || (window.n == 0 && f->reader.wire_bytes == at));
        free(piece);
    }
    return got;
}

static void compare(const struct input *in, uint32_t seed)
{
    struct buf expected = {0};
    struct fed f = {0};
    int model_said = model(in, &expected);
    int got = feed(in, &f, seed);

    check(f.closed == (model_said == CLOSED));
    check((got < 0) == (model_said < 0));
    check(got == model_said || model_said == CLOSED || got == -1007 ||
          got == -1009);
    check(str_eq(buf_str(&f.out), buf_str(&expected)));
    buf_fini(&expected);
    buf_fini(&f.out);
    buf_fini(&f.message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < HEAD)
        return 0;
    struct input in = {
        .limits = {.max_message = 1 << 20,
                   .max_frame = data[0] * 8u,
                   .max_fragments = 1},
        .framing = data[1] & 1 ? &ws_framing_75 : &ws_framing_76,
        .seed = le32_get(data + 4) | 2,
        .p = data + HEAD,
        .n = n - HEAD,
    };
    compare(&in, 0);
    compare(&in, 1);
    compare(&in, in.seed);
    return 0;
}
