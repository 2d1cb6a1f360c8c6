/* SPDX-License-Identifier: BSD-2-Clause */
#include "ws/close.h"
#include "ws/framing.h"

/*
 * draft-ietf-hybi-thewebsocketprotocol-00 section 4.2 (the same text as
 * hixie-76), as seen by a server.  A byte that says what follows:
 *   00        text, to the next FF
 *   01 to 7F  something unknown, to the next FF: dropped
 *   80 to FF  a length of seven bits a byte, the last one below 80, and so
 *             many bytes: dropped.  FF with length 0 is the closing frame
 * UTF-8 has no FF, so nothing is escaped.
 */

enum {
    TEXT_END = 0xff,
    LENGTH_DIGITS_MAX = 10,
    GO_ON = 2 /* something was used, no event came of it */
};

enum hixie_state {
    HIXIE_TYPE = 0,
    HIXIE_TEXT,
    HIXIE_JUNK,
    HIXIE_LENGTH,
    HIXIE_SKIP,
};

static void consume(struct ws_reader *r, struct span *in, size_t n)
{
    r->wire_bytes += n;
    span_advance(in, n);
}

static void take_type(struct ws_reader *r, struct span *in)
{
    uint8_t type = in->p[0];

    consume(r, in, 1);
    r->message_size = 0;
    r->left = 0;
    r->fragments = 0;
    if (type & 0x80) {
        r->state = HIXIE_LENGTH;
        r->fin = type == 0xff;
        return;
    }
    r->state = type ? HIXIE_JUNK : HIXIE_TEXT;
    if (type)
        return;
    r->opcode = WS_TEXT;
    r->fin = r->first = true; /* there are no fragments */
    r->utf8 = (struct utf8){0};
}

/* What of *in goes on the frame that ends with FF; *last when that is here.
 * -1009 when it is too long; else 0. */
static int take_until_end(struct ws_reader *r, struct span *in,
                          struct span *data, bool *last)
{
    const struct ws_limits *limits = r->limits;
    uint64_t max = limits->max_frame < limits->max_message
                       ? limits->max_frame
                       : limits->max_message;
    const uint8_t *end = memchr(in->p, TEXT_END, in->n);

    *last = end != NULL;
    *data = (struct span){in->p, end ? (size_t)(end - in->p) : in->n};
    consume(r, in, data->n + (end != NULL));
    r->message_size += data->n;
    if (end)
        r->state = HIXIE_TYPE;
    /* No header announces the size: it is over when it is. */
    return r->message_size > max ? -WS_CLOSE_TOO_BIG : 0;
}

static int take_text(struct ws_reader *r, struct span *in, struct ws_event *ev)
{
    struct span data;
    bool last;

    int rc = take_until_end(r, in, &data, &last);
    if (rc < 0)
        return rc;
    if (!utf8_next(&r->utf8, data.p, data.n) ||
        (last && !utf8_is_complete(&r->utf8)))
        return -WS_CLOSE_BAD_DATA;
    *ev = (struct ws_event){
        .type = WS_EVENT_DATA,
        .opcode = WS_TEXT,
        .first = r->first,
        .last = last,
        .data = data,
    };
    r->first = false;
    if (last)
        r->opcode = 0;
    return 1;
}

static int take_junk(struct ws_reader *r, struct span *in)
{
    struct span data;
    bool last;
    int rc = take_until_end(r, in, &data, &last);
    return rc < 0 ? rc : GO_ON;
}

static int take_length(struct ws_reader *r, struct span *in,
                       struct ws_event *ev, bool closes)
{
    uint8_t digit = in->p[0];

    consume(r, in, 1);
    if (++r->fragments > LENGTH_DIGITS_MAX)
        return -WS_CLOSE_PROTOCOL_ERROR;
    /* Below 2^30 before: a limit is at most that. */
    r->left = r->left << 7 | (digit & 0x7f);
    if (r->left > r->limits->max_frame)
        return -WS_CLOSE_TOO_BIG;
    if (digit & 0x80)
        return GO_ON;
    if (r->fin && !r->left && closes) {
        r->closed = true;
        *ev = (struct ws_event){.type = WS_EVENT_CLOSE,
                                .opcode = WS_CLOSE,
                                .code = WS_CLOSE_NONE,
                                .data = {in->p, 0}};
        return 1;
    }
    r->state = r->left ? HIXIE_SKIP : HIXIE_TYPE;
    return GO_ON;
}

static void skip(struct ws_reader *r, struct span *in)
{
    size_t n = in->n < r->left ? in->n : (size_t)r->left;

    consume(r, in, n);
    r->left -= n;
    if (!r->left)
        r->state = HIXIE_TYPE;
}

static int step(struct ws_reader *r, struct span *in, struct ws_event *ev,
                bool closes)
{
    switch ((enum hixie_state)r->state) {
    case HIXIE_TYPE:
        take_type(r, in);
        return GO_ON;
    case HIXIE_TEXT:
        return take_text(r, in, ev);
    case HIXIE_JUNK:
        return take_junk(r, in);
    case HIXIE_LENGTH:
        return take_length(r, in, ev, closes);
    case HIXIE_SKIP:
        skip(r, in);
        return GO_ON;
    }
    return 0;
}

static int next(struct ws_reader *r, struct span *in, struct ws_event *ev,
                bool closes)
{
    int got = GO_ON;

    if (r->failed)
        return r->failed;
    if (r->closed) {
        consume(r, in, in->n);
        return 0;
    }
    while (got == GO_ON && in->n)
        got = step(r, in, ev, closes);
    if (got < 0)
        r->failed = (int16_t)got;
    return got == GO_ON ? 0 : got;
}

static int next_76(struct ws_reader *r, struct span *in, struct ws_event *ev)
{
    return next(r, in, ev, true);
}

static int next_75(struct ws_reader *r, struct span *in, struct ws_event *ev)
{
    return next(r, in, ev, false);
}

/* A message may leave in pieces: only the first has a head. */
static size_t head_75(uint8_t out[WS_HEADER_MAX], const struct ws_header *h)
{
    if (h->opcode != WS_TEXT)
        return 0;
    out[0] = 0x00;
    return 1;
}

static size_t head_76(uint8_t out[WS_HEADER_MAX], const struct ws_header *h)
{
    if (h->opcode != WS_CLOSE)
        return head_75(out, h);
    out[0] = 0xff;
    out[1] = 0x00;
    return 2;
}

static size_t tail(uint8_t out[WS_TAIL_MAX], const struct ws_header *h)
{
    if (!h->fin || (h->opcode != WS_TEXT && h->opcode != WS_CONT))
        return 0;
    out[0] = TEXT_END;
    return 1;
}

const struct ws_framing ws_framing_76 = {
    .version = 76,
    .alphabet = WS_ALPHABET_HIXIE,
    .closes = true,
    .origin_field = STR_INIT("Origin"),
    .protocol_field = STR_INIT("Sec-WebSocket-Protocol"),
    .init = ws_reader_init,
    .next = next_76,
    .head = head_76,
    .tail = tail,
};

const struct ws_framing ws_framing_75 = {
    .version = 75,
    .alphabet = WS_ALPHABET_HIXIE,
    .origin_field = STR_INIT("Origin"),
    .protocol_field = STR_INIT("WebSocket-Protocol"),
    .init = ws_reader_init,
    .next = next_75,
    .head = head_75,
    .tail = tail,
};
