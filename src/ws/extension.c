/* SPDX-License-Identifier: BSD-2-Clause */
#include "ws/extension.h"

#include <stdio.h>

/* ---- the grammar of RFC 6455 section 9.1 ---- */

static void skip_blanks(struct str *s)
{
    while (s->n && (s->p[0] == ' ' || s->p[0] == '\t'))
        *s = str_slice(*s, 1, s->n);
}

static bool take_char(struct str *s, char c)
{
    skip_blanks(s);
    if (!s->n || s->p[0] != c)
        return false;
    *s = str_slice(*s, 1, s->n);
    return true;
}

static bool take_token(struct str *s, struct str *token)
{
    size_t n = 0;

    skip_blanks(s);
    while (n < s->n && ascii_is_token(s->p[n]))
        n++;
    *token = str_slice(*s, 0, n);
    *s = str_slice(*s, n, s->n);
    return n > 0;
}

struct param {
    struct str name, value; /* value.p NULL: none */
    char unquoted[4];       /* where a quoted value stands */
};

/* RFC 9110 section 5.6.4, of qdtext and of what a backslash may escape. */
static bool may_be_quoted(char c)
{
    return c == '\t' || ((unsigned char)c >= ' ' && c != 0x7f);
}

/* All of a quoted string is read, so that what follows it is found.  Of its
 * characters the first are kept: no value of so many is one that we take. */
static bool take_quoted(struct str *s, struct param *p)
{
    size_t kept = 0, i;

    for (i = 0; i < s->n && s->p[i] != '"'; i++) {
        if (s->p[i] == '\\' && ++i == s->n)
            return false;
        if (!may_be_quoted(s->p[i]))
            return false;
        if (kept < sizeof p->unquoted)
            p->unquoted[kept++] = s->p[i];
    }
    if (i == s->n)
        return false;
    *s = str_slice(*s, i + 1, s->n);
    p->value = str_n(p->unquoted, kept);
    return true;
}

static bool take_value(struct str *s, struct param *p)
{
    return take_char(s, '"') ? take_quoted(s, p) : take_token(s, &p->value);
}

/* 1 with a parameter, 0 when the offer ends, -1 on a syntax error. */
static int next_param(struct str *rest, struct param *p)
{
    p->value = (struct str){0};
    if (!take_char(rest, ';')) {
        skip_blanks(rest);
        return rest->n && rest->p[0] != ',' ? -1 : 0;
    }
    if (!take_token(rest, &p->name))
        return -1;
    if (take_char(rest, '=') && !take_value(rest, p))
        return -1;
    return 1;
}

/* ---- RFC 7692 section 7.1 ---- */

struct offer {
    bool server_no_takeover, client_no_takeover;
    uint8_t server_bits; /* 0: not said */
    uint8_t client_bits; /* 0: not said, or without a value */
    bool client_bits_said;
};

/* 7.1.2: a decimal integer from 8 to 15 without leading zeros. */
static bool read_bits(struct str value, uint8_t *bits)
{
    uint64_t n;

    if (!value.p || value.p[0] == '0' ||
        !str_to_u64(value, WS_WINDOW_BITS_MAX, &n) || n < WS_WINDOW_BITS_MIN)
        return false;
    *bits = (uint8_t)n;
    return true;
}

static bool set_flag(bool *flag, struct str value)
{
    bool fresh = !*flag && !value.p;
    *flag = true;
    return fresh;
}

/* False: the offer is to be declined. */
static bool take_param(struct offer *o, const struct param *p)
{
    if (str_eq(p->name, STR("server_no_context_takeover")))
        return set_flag(&o->server_no_takeover, p->value);
    if (str_eq(p->name, STR("client_no_context_takeover")))
        return set_flag(&o->client_no_takeover, p->value);
    if (str_eq(p->name, STR("server_max_window_bits")))
        return !o->server_bits && read_bits(p->value, &o->server_bits);
    if (str_eq(p->name, STR("client_max_window_bits"))) {
        bool fresh = !o->client_bits_said;
        o->client_bits_said = true;
        return fresh && (!p->value.p || read_bits(p->value, &o->client_bits));
    }
    return false;
}

/* 1 with an offer that may be accepted, 0 with another one, -1: read no
 * further. */
static int read_offer(struct str *rest, struct offer *o)
{
    struct str name;
    struct param p;
    int got;

    *o = (struct offer){0};
    if (!take_token(rest, &name))
        return -1;
    bool good = str_eq(name, STR("permessage-deflate"));
    while ((got = next_param(rest, &p)) == 1)
        good = good && take_param(o, &p);
    return got < 0 ? -1 : good;
}

static uint8_t smaller(uint8_t offered, uint8_t ours)
{
    return offered && offered < ours ? offered : ours;
}

static void accept_offer(const struct offer *o,
                         const struct ws_deflate_params *wish,
                         struct ws_deflate_params *agreed)
{
    agreed->server_takeover = wish->server_takeover && !o->server_no_takeover;
    /* A client that says it of itself will not need what we would keep. */
    agreed->client_takeover = wish->client_takeover && !o->client_no_takeover;
    agreed->server_bits = smaller(o->server_bits, wish->server_bits);
    /* 7.1.2.2: only who offered it can be asked for a smaller window. */
    agreed->client_bits = o->client_bits_said
                              ? smaller(o->client_bits, wish->client_bits)
                              : WS_WINDOW_BITS_MAX;
}

static void put_answer(const struct offer *o,
                       const struct ws_deflate_params *agreed,
                       char answer[WS_EXTENSION_TEXT_MAX])
{
    char server[32] = "", client[32] = "";

    /* 7.1.2.1: what was offered is accepted by saying it, 15 too. */
    if (o->server_bits || agreed->server_bits < WS_WINDOW_BITS_MAX)
        snprintf(server, sizeof server, "; server_max_window_bits=%u",
                 agreed->server_bits);
    if (agreed->client_bits < WS_WINDOW_BITS_MAX)
        snprintf(client, sizeof client, "; client_max_window_bits=%u",
                 agreed->client_bits);
    snprintf(answer, WS_EXTENSION_TEXT_MAX, "permessage-deflate%s%s%s%s",
             agreed->server_takeover ? "" : "; server_no_context_takeover",
             agreed->client_takeover ? "" : "; client_no_context_takeover",
             server, client);
}

bool ws_deflate_negotiate(struct str offers,
                          const struct ws_deflate_params *wish,
                          struct ws_deflate_params *agreed,
                          char answer[WS_EXTENSION_TEXT_MAX])
{
    struct str rest = offers;
    struct offer o;

    for (;;) {
        while (take_char(&rest, ',')) /* empty elements count for nothing */
            ;
        if (!rest.n)
            return false;
        int got = read_offer(&rest, &o);
        if (got < 0)
            return false;
        if (got > 0)
            break;
    }
    accept_offer(&o, wish, agreed);
    put_answer(&o, agreed, answer);
    return true;
}
