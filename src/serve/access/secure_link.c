/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/secure_link.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/base64.h"
#include "base/check.h"
#include "base/clock.h"
#include "serve/request.h"

enum {
    MD5_SIZE = 16,
    HEX_SIZE = 32,
    CODE_MAX = 24, /* characters of the base64 form */
};

struct secure_link_conf {
    struct value *link; /* "$arg_md5,$arg_expires" */
    struct value *md5;  /* what is hashed */
    struct str secret;  /* the older form; n 0: not used */
};

static void md5_of(struct str text, uint8_t out[MD5_SIZE])
{
    check(EVP_Digest(text.p, text.n, out, NULL, EVP_md5(), NULL) == 1);
}

/* ---- the older form: /prefix/HASH/link ---- */

static bool get_old(const struct request *r, const struct secure_link_conf *c,
                    struct str *out)
{
    uint8_t given[MD5_SIZE], hash[MD5_SIZE];
    struct str rest = str_slice(r->uri, 1, r->uri.n);

    str_cut(&rest, '/'); /* the prefix is the location's */
    struct str hex = str_cut(&rest, '/');
    if (hex.n != HEX_SIZE || !rest.n)
        return false;
    for (size_t i = 0; i < MD5_SIZE; i++) {
        int high = ascii_hex(hex.p[2 * i]), low = ascii_hex(hex.p[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        given[i] = (uint8_t)(high << 4 | low);
    }
    md5_of(
        arena_printf(r->arena, "%.*s%.*s", STR_ARG(rest), STR_ARG(c->secret)),
        hash);
    if (CRYPTO_memcmp(hash, given, MD5_SIZE) != 0)
        return false;
    *out = rest;
    return true;
}

/* ---- the newer form ---- */

/* Cut ",1700000000" off; false when it is no time. */
static bool cut_expiry(struct str *code, struct str *text, uint64_t *expires)
{
    size_t comma = str_find(*code, ',', 0);
    if (comma == code->n) {
        *expires = 0;
        return true;
    }
    *text = str_slice(*code, comma + 1, code->n);
    *code = str_slice(*code, 0, comma);
    return str_to_u64(*text, INT64_MAX, expires) && *expires > 0;
}

static bool get_new(struct evaluation *e, const struct secure_link_conf *c,
                    struct str *out)
{
    struct str code = value_eval(c->link, e), text;
    uint8_t given[BASE64_DECODED_MAX(CODE_MAX)], hash[MD5_SIZE];
    uint64_t expires;
    size_t n;

    if (!cut_expiry(&code, &text, &expires) || code.n > CODE_MAX ||
        !base64_decode(code, BASE64_URL, given, &n) || n != MD5_SIZE)
        return false;
    md5_of(value_eval(c->md5, e), hash);
    if (CRYPTO_memcmp(hash, given, MD5_SIZE) != 0)
        return false;
    bool late = expires && expires < (uint64_t)clock_wall_s();
    *out = late ? STR("0") : STR("1");
    return true;
}

static bool get_link(struct evaluation *e, const struct variable *v,
                     struct str *out)
{
    const struct secure_link_conf *c =
        request_conf(e->request, &secure_link_module);
    (void)v;
    if (c->secret.n)
        return get_old(e->request, c, out);
    return c->link && c->md5 && get_new(e, c, out);
}

static bool get_expires(struct evaluation *e, const struct variable *v,
                        struct str *out)
{
    const struct secure_link_conf *c =
        request_conf(e->request, &secure_link_module);
    (void)v;
    if (c->secret.n || !c->link || !c->md5)
        return false;
    struct str code = value_eval(c->link, e);
    uint64_t expires;
    *out = (struct str){NULL, 0};
    return cut_expiry(&code, out, &expires) && out->p;
}

const struct variable secure_link_variables[] = {
    {.name = "secure_link", .get = get_link, .flags = VARIABLE_CACHED},
    {.name = "secure_link_expires", .get = get_expires},
    {.name = NULL},
};

/* ---- configuration ---- */

static int check_modes(struct conf *conf, struct conf_scope *scope,
                       void *module_conf)
{
    const struct secure_link_conf *c = module_conf;
    if (c->secret.n && (c->link || c->md5))
        return conf_fail_at(conf, scope->node,
                            "\"secure_link_secret\" cannot be mixed with "
                            "\"secure_link\" and \"secure_link_md5\"");
    return 0;
}

enum {
    ANYWHERE = CONF_HTTP | CONF_SERVER | CONF_LOCATION,
};

static const struct directive directives[] = {
    {.name = "secure_link",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = value_set,
     .offset = offsetof(struct secure_link_conf, link),
     .syntax = "TEXT",
     .help = "Where a request has the hash of its link, and after a comma "
             "when it ends: \"$arg_md5,$arg_expires\"."},
    {.name = "secure_link_md5",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = value_set,
     .offset = offsetof(struct secure_link_conf, md5),
     .syntax = "TEXT",
     .help = "What the hash is of; $secure_link is then 1, 0 when it is too "
             "late, or empty."},
    {.name = "secure_link_secret",
     .contexts = CONF_LOCATION,
     .arity = ARGS_1,
     .set = conf_set_str,
     .offset = offsetof(struct secure_link_conf, secret),
     .syntax = "WORD",
     .help = "For /PREFIX/HASH/LINK: $secure_link is LINK when HASH is the "
             "MD5 of it and the word."},
    {.name = NULL},
};

struct conf_module secure_link_module = {
    .name = "secure_link",
    .size = sizeof(struct secure_link_conf),
    .directives = directives,
    .on_scope = check_modes,
};
