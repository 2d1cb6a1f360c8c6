/* SPDX-License-Identifier: BSD-2-Clause */
#include "transcript.h"

#include "ws/mask.h"

void put_piece(struct buf *out, const struct piece *piece)
{
    static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};
    struct str text = piece->text;
    unsigned first = (unsigned)piece->first;
    bool masked = piece->first != UNMASKED;

    if (piece->first == RAW) {
        buf_put_str(out, text);
        return;
    }
    if (!masked) {
        first = (uint8_t)text.p[0];
        text = str_slice(text, 1, text.n);
    }
    struct ws_header h = {
        .opcode = first & 0xf,
        .fin = first & 0x80,
        .rsv = first >> 4 & 7,
        .masked = masked,
        .length = text.n,
    };
    memcpy(h.key, key, 4);
    uint8_t header[WS_HEADER_MAX];
    buf_put(out, header, ws_header_encode(header, &h));
    buf_put_str(out, text);
    if (masked)
        for (size_t i = 0; i < text.n; i++)
            out->p[out->n - text.n + i] ^= key[i % 4];
}

void put_pieces(struct buf *out, const struct piece pieces[FRAMES_MAX])
{
    for (size_t i = 0; i < FRAMES_MAX && pieces[i].text.p; i++)
        put_piece(out, &pieces[i]);
}

void transcript_begin(void *transcript)
{
    struct transcript *t = transcript;
    if (!t->framing)
        t->framing = &ws_framing_13;
    t->framing->init(&t->reader, &t->limits);
    t->reader.extension_rsv = t->extension_rsv;
    t->reader.expect_mask = !t->client;
    t->shown = 0;
    buf_clear(&t->out);
    buf_clear(&t->message);
}

/* Long texts are told by their length. */
static void say(struct transcript *t, const char *what, struct str text)
{
    buf_printf(&t->out, "%s%s(", t->out.n ? " " : "", what);
    for (size_t i = 0; i < text.n && text.n <= 40; i++) {
        uint8_t c = (uint8_t)text.p[i];
        if (c < 0x20 || c > 0x7e)
            buf_printf(&t->out, "\\x%02x", c);
        else
            buf_put_u8(&t->out, c);
    }
    if (text.n > 40)
        buf_printf(&t->out, "%zu bytes", text.n);
    buf_put_str(&t->out, STR(")"));
}

static void on_data(struct transcript *t, const struct ws_event *ev)
{
    uint8_t kind = (uint8_t)((unsigned)ev->opcode | ev->rsv * 16u);
    /* A chunk may be empty only when it is the last. */
    if (ev->data.n == 0 && !ev->last)
        buf_put_str(&t->out, STR(" EMPTY"));
    if (ev->first != (t->message.n == 0)) {
        buf_put_str(&t->out, STR(" NOT-FIRST"));
        return;
    }
    if (ev->first)
        buf_put_u8(&t->message, kind);
    if (t->message.p[0] != kind)
        buf_put_str(&t->out, STR(" CHANGED"));
    buf_put(&t->message, ev->data.p, ev->data.n);
    if (!ev->last)
        return;
    char what[16];
    const char *name = ev->opcode == WS_TEXT     ? "text"
                       : ev->opcode == WS_BINARY ? "binary"
                                                 : "?";
    if (ev->rsv)
        snprintf(what, sizeof what, "%s/%d", name, ev->rsv);
    else
        snprintf(what, sizeof what, "%s", name);
    say(t, what, str_slice(buf_str(&t->message), 1, t->message.n));
    buf_clear(&t->message);
}

static void on_event(struct transcript *t, const struct ws_event *ev)
{
    char what[16];
    switch (ev->type) {
    case WS_EVENT_DATA:
        on_data(t, ev);
        return;
    case WS_EVENT_PING:
        say(t, "ping", str_n(ev->data.p, ev->data.n));
        return;
    case WS_EVENT_PONG:
        say(t, "pong", str_n(ev->data.p, ev->data.n));
        return;
    case WS_EVENT_CLOSE:
        snprintf(what, sizeof what, "close-%d", ev->code);
        say(t, what, str_n(ev->data.p, ev->data.n));
        return;
    }
    fail_msg("%s: event %d", t->why, (int)ev->type);
}

int transcript_feed(void *transcript, struct span *in)
{
    struct transcript *t = transcript;
    struct ws_event ev;
    uint8_t *start = in->p;
    int got;

    while ((got = t->framing->next(&t->reader, in, &ev)) == 1) {
        /* The data lies within what was used. */
        if (ev.data.n && (ev.data.p < start || ev.data.p + ev.data.n > in->p))
            fail_msg("%s: data outside the input", t->why);
        on_event(t, &ev);
    }
    t->shown += (uint64_t)(in->p - start);
    if (t->reader.wire_bytes != t->shown)
        fail_msg("%s: wire_bytes is %lu", t->why, t->reader.wire_bytes);
    if (got == 0) {
        if (in->n > WS_READER_LEFT_MAX)
            fail_msg("%s: %zu bytes stayed", t->why, in->n);
        return 0;
    }
    buf_printf(&t->out, "%s%d", t->out.n ? " " : "", got);
    if (t->framing->next(&t->reader, in, &ev) != got)
        fail_msg("%s: went on after %d", t->why, got);
    return got;
}

void transcript_end(void *transcript, const char *how)
{
    struct transcript *t = transcript;
    if (!str_eq(buf_str(&t->out), str_c(t->expected)))
        fail_msg("%s, fed %s: said \"%.*s\", not \"%s\"", t->why, how,
                 STR_ARG(buf_str(&t->out)), t->expected);
}
