/* SPDX-License-Identifier: BSD-2-Clause */
#include <openssl/evp.h>

#include "base/check.h"
#include "base/clock.h"
#include "serve/sticky.h"

enum { MD5_SIZE = 16 };

/* ---- who is who ---- */

void sticky_identify(struct peer *p, char id[STICKY_ID_SIZE])
{
    static const char hex[] = "0123456789abcdef";
    uint8_t digest[MD5_SIZE];

    check(EVP_Digest(p->name.p, p->name.n, digest, NULL, EVP_md5(), NULL) == 1);
    for (size_t i = 0; i < sizeof digest; i++) {
        id[2 * i] = hex[digest[i] >> 4];
        id[2 * i + 1] = hex[digest[i] & 15];
    }
    p->route = str_n(id, STICKY_ID_SIZE);
}

struct peer *sticky_find(struct balance *b, struct str id)
{
    for (size_t i = 0; id.n && i < b->peers_n; i++)
        if (!b->peers[i].vacant && str_eq(b->peers[i].route, id))
            return &b->peers[i];
    return NULL;
}

/* ---- the cookie ---- */

static int bad_parameter(struct conf *conf, struct str word)
{
    return conf_fail(conf, "invalid parameter \"%.*s\"", STR_ARG(word));
}

static int read_expires(struct conf *conf, struct str word, struct str value,
                        struct sticky_cookie *c)
{
    if (str_eq(value, STR("max"))) {
        c->expires_max = true;
        return 0;
    }
    if (conf_parse_sec(value, &c->expires_s) && c->expires_s)
        return 0;
    return bad_parameter(conf, word);
}

static int read_samesite(struct conf *conf, struct str word, struct str value,
                         struct sticky_cookie *c)
{
    bool known = str_eq_nocase(value, STR("strict")) ||
                 str_eq_nocase(value, STR("lax")) ||
                 str_eq_nocase(value, STR("none"));

    c->samesite = value_compile(conf, conf->variables, value);
    if (!c->samesite)
        return -1;
    return known || !value_is_constant(c->samesite) ? 0
                                                    : bad_parameter(conf, word);
}

/* Could the text end an attribute, or the field? */
static bool is_plain(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f || s.p[i] == ';' ||
            s.p[i] == ',')
            return false;
    return s.n > 0;
}

static int read_word(struct conf *conf, struct str word,
                     struct sticky_cookie *c)
{
    struct str value = word;
    struct str name = str_cut(&value, '=');

    if (str_eq(word, STR("httponly"))) {
        c->httponly = true;
        return 0;
    }
    if (str_eq(word, STR("secure"))) {
        c->secure = true;
        return 0;
    }
    if (str_eq(name, STR("expires")))
        return read_expires(conf, word, value, c);
    if (str_eq(name, STR("samesite")))
        return read_samesite(conf, word, value, c);
    struct str *text = str_eq(name, STR("domain")) ? &c->domain
                       : str_eq(name, STR("path")) ? &c->path
                                                   : NULL;
    if (!text || !is_plain(value))
        return bad_parameter(conf, word);
    *text = value;
    return 0;
}

int sticky_cookie_read(struct conf *conf, const struct conf_node *node,
                       size_t first, struct sticky_cookie *c)
{
    *c = (struct sticky_cookie){.name = conf_arg(node, first)};
    for (size_t i = 0; i < c->name.n; i++)
        if (!ascii_is_token(c->name.p[i]))
            return bad_parameter(conf, c->name);
    if (!c->name.n)
        return bad_parameter(conf, c->name);
    for (size_t i = first + 1; i < node->words_n; i++)
        if (read_word(conf, conf_arg(node, i), c) == -1)
            return -1;
    return 0;
}

static void put_expires(struct buf *out, const struct sticky_cookie *c)
{
    char text[CLOCK_HTTP_DATE_SIZE];

    if (c->expires_max) {
        buf_put_str(out, STR("; expires=Thu, 31 Dec 2037 23:55:55 GMT; "
                             "max-age=315360000"));
    } else if (c->expires_s) {
        time_t end = clock_wall_s() + (time_t)c->expires_s;
        buf_printf(out, "; expires=%.*s; max-age=%llu",
                   STR_ARG(clock_format_http(end, text)),
                   (unsigned long long)c->expires_s);
    }
}

struct str sticky_cookie_text(const struct sticky_cookie *c,
                              struct evaluation *e, struct str id)
{
    struct buf out = {0};
    struct str samesite =
        c->samesite ? value_eval(c->samesite, e) : str_n(NULL, 0);

    buf_printf(&out, "%.*s=%.*s", STR_ARG(c->name), STR_ARG(id));
    put_expires(&out, c);
    if (c->domain.p)
        buf_printf(&out, "; domain=%.*s", STR_ARG(c->domain));
    if (c->path.p)
        buf_printf(&out, "; path=%.*s", STR_ARG(c->path));
    if (c->httponly)
        buf_put_str(&out, STR("; httponly"));
    if (c->secure)
        buf_put_str(&out, STR("; secure"));
    if (is_plain(samesite))
        buf_printf(&out, "; samesite=%.*s", STR_ARG(samesite));
    struct str text = arena_str(e->arena, buf_str(&out));
    buf_fini(&out);
    return text;
}
