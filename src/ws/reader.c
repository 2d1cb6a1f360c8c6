/* SPDX-License-Identifier: BSD-2-Clause */
#include "ws/reader.h"

#include "base/bytes.h"
#include "base/check.h"
#include "frame_decode.h"
#include "ws/close.h"
#include "ws/mask.h"

/* What the steps below return besides the codes of ws_reader_next(). */
enum {
    GO_ON = 2 /* something was used, no event came of it */
};

enum {
    CODE_TOO_LARGE = 1004 /* of hybi-07 to -12; later it was reserved */
};

void ws_reader_init(struct ws_reader *r, const struct ws_limits *limits)
{
    *r = (struct ws_reader){.limits = limits, .expect_mask = true};
}

static void consume(struct ws_reader *r, struct span *in, size_t n)
{
    r->wire_bytes += n;
    span_advance(in, n);
}

/* Does a header that begins with these two bytes have no place here?  Asked
 * before the header is whole, for the same reason as in ws_header_decode(). */
static bool is_out_of_place(const struct ws_reader *r, const uint8_t *p)
{
    unsigned op = p[0] & 0x0f;
    bool masked = p[1] & 0x80;
    bool starts_message = op == WS_TEXT || op == WS_BINARY;
    unsigned meaningless = starts_message ? ~(unsigned)r->extension_rsv : ~0u;

    if ((p[0] >> 4 & 0x7) & meaningless) /* 5.2: RSV1, RSV2, RSV3 */
        return true;
    if (masked != r->expect_mask) /* 5.1 */
        return true;
    if (op == WS_CLOSE && (p[1] & 0x7f) == 1) /* 5.5.1: half a code */
        return true;
    /* 5.4: a message goes on with CONT until its FIN, and only then. */
    return (starts_message && r->opcode) || (op == WS_CONT && !r->opcode);
}

static int control_event(struct ws_reader *r, const struct ws_header *h,
                         struct span payload, struct ws_event *ev)
{
    if (h->masked)
        ws_mask(payload.p, payload.n, h->key, 0);
    *ev = (struct ws_event){.opcode = h->opcode, .data = payload};
    if (h->opcode == WS_CLOSE) {
        ev->type = WS_EVENT_CLOSE;
        r->closed = true;
        if (r->draft && payload.n >= 2 && be16_get(payload.p) == CODE_TOO_LARGE)
            be16_put(payload.p, WS_CLOSE_TOO_BIG);
        int got = ws_close_decode(payload, &ev->code, &ev->data);
        return got < 0 ? got : 1;
    }
    ev->type = h->opcode == WS_PING ? WS_EVENT_PING : WS_EVENT_PONG;
    return 1;
}

/* 0, or the negated code of the limit that the frame is over. */
static int start_data_frame(struct ws_reader *r, const struct ws_header *h)
{
    const struct ws_limits *limits = r->limits;

    if (h->opcode != WS_CONT) {
        r->opcode = (uint8_t)h->opcode;
        r->rsv = h->rsv;
        r->first = true;
        r->fragments = 0;
        r->message_size = 0;
        r->utf8 = (struct utf8){0};
    }
    if (h->length > limits->max_frame ||
        r->message_size > limits->max_message ||
        h->length > limits->max_message - r->message_size)
        return -WS_CLOSE_TOO_BIG;
    if (r->fragments >= limits->max_fragments)
        return -WS_CLOSE_POLICY;

    r->fragments++;
    r->message_size += h->length;
    r->left = h->length;
    r->fin = h->fin;
    memcpy(r->key, h->key, sizeof r->key);
    r->key_at = 0;
    r->in_frame = true;
    return 0;
}

static int take_header(struct ws_reader *r, struct span *in,
                       struct ws_event *ev)
{
    if (in->n < WS_HEADER_MIN)
        return 0;
    if (is_out_of_place(r, in->p))
        return -WS_CLOSE_PROTOCOL_ERROR;

    struct ws_header h;
    int got = frame_decode(&h, in->p, in->n, r->draft);
    if (got <= 0)
        return got;
    size_t size = (size_t)got;
    if (!ws_is_control(h.opcode)) {
        consume(r, in, size);
        got = start_data_frame(r, &h);
        return got < 0 ? got : GO_ON;
    }

    /* It is small: let it lie until it is whole, and needs no memory here. */
    size_t length = (size_t)h.length;
    if (in->n - size < length)
        return 0;
    struct span payload = {in->p + size, length};
    consume(r, in, size + length);
    return control_event(r, &h, payload, ev);
}

static int take_payload(struct ws_reader *r, struct span *in,
                        struct ws_event *ev)
{
    size_t n = in->n < r->left ? in->n : (size_t)r->left;
    if (n == 0 && r->left)
        return 0;

    struct span chunk = {in->p, n};
    consume(r, in, n);
    if (r->expect_mask) {
        ws_mask(chunk.p, n, r->key, r->key_at);
        r->key_at = (uint8_t)((r->key_at + n) % 4);
    }
    r->left -= n;
    r->in_frame = r->left > 0;
    bool last = r->fin && !r->in_frame;

    /* 8.1, and at once: a long message need not end to be wrong. */
    if (r->opcode == WS_TEXT && !r->rsv &&
        (!utf8_next(&r->utf8, chunk.p, n) ||
         (last && !utf8_is_complete(&r->utf8))))
        return -WS_CLOSE_BAD_DATA;
    if (n == 0 && !last)
        return GO_ON;

    *ev = (struct ws_event){
        .type = WS_EVENT_DATA,
        .opcode = r->opcode,
        .rsv = r->rsv,
        .first = r->first,
        .last = last,
        .data = chunk,
    };
    r->first = false;
    if (last)
        r->opcode = 0;
    return 1;
}

int ws_reader_next(struct ws_reader *r, struct span *in, struct ws_event *ev)
{
    if (r->failed)
        return r->failed;
    if (r->closed) {
        consume(r, in, in->n);
        return 0;
    }

    int got;
    do
        got = r->in_frame ? take_payload(r, in, ev) : take_header(r, in, ev);
    while (got == GO_ON);
    if (got < 0)
        r->failed = (int16_t)got;
    return got;
}

void ws_reader_unread(struct ws_reader *r, struct span *in,
                      const struct ws_event *ev, size_t n)
{
    check(ev->type == WS_EVENT_DATA && n > 0 && n <= ev->data.n &&
          ev->data.p + ev->data.n == in->p && !r->failed);
    /* UTF-8 of what is read twice would be checked twice. */
    check(ev->rsv || ev->opcode != WS_TEXT);
    in->p -= n;
    in->n += n;
    r->wire_bytes -= n;
    r->left += n;
    r->in_frame = true;
    r->opcode = (uint8_t)ev->opcode;
    if (r->expect_mask) {
        r->key_at = (uint8_t)((r->key_at - n) & 3);
        ws_mask(in->p, n, r->key, r->key_at);
    }
}
