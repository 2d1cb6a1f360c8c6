/* SPDX-License-Identifier: BSD-2-Clause */
/* userid: a cookie that tells browsers apart, in the form of Apache's
 * mod_uid: sixteen bytes in base64. */
#include "serve/userid.h"

#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/random.h"
#include "filter/filters.h"
#include "serve/client.h"
#include "serve/fields.h"
#include "serve/subrequest.h"

enum userid_mode { USERID_OFF = 0, USERID_LOG, USERID_V1, USERID_ON };

enum userid_flag {
    FLAG_SECURE = 1 << 0,
    FLAG_HTTPONLY = 1 << 1,
    FLAG_STRICT = 1 << 2,
    FLAG_LAX = 1 << 3,
    FLAG_NONE = 1 << 4,
};

enum {
    EXPIRES_OFF = 0,
    EXPIRES_MAX = -1,
    ID_TEXT = 22,      /* base64 digits of 16 bytes, without its padding */
    START = 1262304000 /* 2010: what the last-but-one word counts from */
};

struct userid_conf {
    unsigned mode, flags;
    struct str name, domain, path, p3p;
    char mark;         /* 0: off */
    int64_t expires_s; /* or EXPIRES_OFF, EXPIRES_MAX */
    uint64_t service;  /* 0: by the address */
    bool service_said;
    struct value *reset; /* $uid_reset */
};

/* What a request has shown, and what it was given: four words each. */
struct userid {
    uint32_t got[4], set[4];
    struct str cookie; /* as sent */
    bool has_got;
    bool decided, gives; /* a cookie is to be set */
};

/* ---- base64 ---- */

static const char digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int digit_of(char c)
{
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

static bool decode(struct str text, uint8_t out[16])
{
    uint32_t bits = 0;
    size_t n = 0, have = 0;

    if (text.n < ID_TEXT)
        return false;
    for (size_t i = 0; i < ID_TEXT; i++) {
        int d = digit_of(text.p[i]);
        if (d == -1)
            return false;
        bits = bits << 6 | (uint32_t)d;
        have += 6;
        if (have >= 8 && n < 16)
            out[n++] = (uint8_t)(bits >> (have -= 8));
    }
    return true;
}

static struct str encode(struct arena *arena, const uint32_t words[4],
                         char mark)
{
    const uint8_t *p = (const uint8_t *)words;
    char *text = arena_alloc(arena, ID_TEXT + 2);
    uint32_t bits = 0;
    size_t n = 0, have = 0;

    for (size_t i = 0; i < 16; i++) {
        bits = bits << 8 | p[i];
        have += 8;
        while (have >= 6)
            text[n++] = digits[bits >> (have -= 6) & 63];
    }
    text[n++] = digits[bits << (6 - have) & 63];
    text[n++] = mark ? mark : '=';
    text[n++] = '=';
    return str_n(text, n);
}

/* ---- what the client sent ---- */

static struct userid *look(struct request *r, const struct userid_conf *c)
{
    struct userid *u = r->userid;
    uint8_t bytes[16];

    if (u)
        return u;
    r->userid = u = arena_calloc(r->arena, sizeof *u);
    for (size_t i = 0; i < r->head.fields_n && !u->has_got; i++) {
        const struct http_field *f = &r->head.fields[i];
        if (!str_eq_nocase(f->name, STR("Cookie")) ||
            !fields_find_cookie(f->value, c->name, &u->cookie))
            continue;
        if (decode(u->cookie, bytes)) {
            memcpy(u->got, bytes, sizeof bytes);
            u->has_got = true;
        } else {
            log_err(&r->log, "client sent invalid userid cookie \"%.*s\"",
                    STR_ARG(u->cookie));
        }
    }
    return u;
}

/* ---- what it is given ---- */

static uint32_t service_of(struct request *r, const struct userid_conf *c)
{
    const struct address *a = request_local(r);

    if (c->service_said)
        return (uint32_t)c->service;
    if (c->mode == USERID_V1 || a->sa.any.sa_family == AF_UNIX)
        return 0;
    uint32_t last;
    if (a->sa.any.sa_family == AF_INET)
        return a->sa.in.sin_addr.s_addr;
    memcpy(&last, a->sa.in6.sin6_addr.s6_addr + 12, sizeof last);
    return last;
}

static void make_id(struct request *r, const struct userid_conf *c,
                    uint32_t id[4])
{
    static uint32_t sequence, start;

    if (!start) {
        start = (uint32_t)random_u64();
        sequence = (uint32_t)random_u64() << 8 | 2;
    }
    sequence += 0x100;
    id[0] = service_of(r, c);
    id[1] = (uint32_t)clock_wall_s();
    id[2] = start;
    id[3] = sequence;
    if (c->mode == USERID_V1)
        return;
    /* Addresses are in the order of the network already. */
    if (c->service_said)
        id[0] = htonl(id[0]);
    for (size_t i = 1; i < 4; i++)
        id[i] = htonl(id[i]);
}

static bool is_reset(struct request *r, const struct userid_conf *c,
                     const struct userid *u)
{
    struct str reset = value_eval(c->reset, &r->eval);

    if (!reset.n || str_eq(reset, STR("0")))
        return false;
    if (str_eq(reset, STR("log")))
        log_notice(&r->log, "userid cookie \"%.*s=%08X%08X%08X%08X\" was reset",
                   STR_ARG(c->name), u->got[0], u->got[1], u->got[2],
                   u->got[3]);
    return true;
}

/* Once a request: what is said of it by $uid_set is what is sent. */
static bool decide(struct request *r, const struct userid_conf *c,
                   struct userid *u)
{
    if (u->decided)
        return u->gives;
    u->decided = u->gives = true;
    if (!u->has_got || is_reset(r, c, u))
        make_id(r, c, u->set);
    else if (c->mark &&
             (u->cookie.n <= ID_TEXT || u->cookie.p[ID_TEXT] != c->mark))
        memcpy(u->set, u->got, sizeof u->set); /* again, with the mark */
    else
        u->gives = false;
    return u->gives;
}

static void put_expires(struct buf *b, const struct userid_conf *c)
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed",
                                       "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr",
                                         "May", "Jun", "Jul", "Aug",
                                         "Sep", "Oct", "Nov", "Dec"};
    if (c->expires_s == EXPIRES_OFF)
        return;
    if (c->expires_s == EXPIRES_MAX) {
        buf_put_str(b, STR("; expires=Thu, 31-Dec-37 23:55:55 GMT"));
        return;
    }
    time_t at = clock_wall_s() + (time_t)c->expires_s;
    struct tm tm;
    gmtime_r(&at, &tm);
    buf_printf(b, "; expires=%s, %02d-%s-%02d %02d:%02d:%02d GMT",
               days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon],
               tm.tm_year % 100, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static void put_flags(struct buf *b, unsigned flags)
{
    static const struct {
        unsigned flag;
        const char *text;
    } rows[] = {{FLAG_SECURE, "; secure"},
                {FLAG_HTTPONLY, "; httponly"},
                {FLAG_STRICT, "; samesite=strict"},
                {FLAG_LAX, "; samesite=lax"},
                {FLAG_NONE, "; samesite=none"}};
    for (size_t i = 0; i < COUNT(rows); i++)
        if (flags & rows[i].flag)
            buf_put_str(b, str_c(rows[i].text));
}

bool userid_is_on(const struct conf_scope *scope)
{
    const struct userid_conf *c = conf_get(scope, &userid_module);
    return c->mode >= USERID_V1;
}

void userid_filter(struct request *r)
{
    const struct userid_conf *c = request_conf(r, &userid_module);

    if (c->mode < USERID_V1 || request_is_sub(r))
        return;
    struct userid *u = look(r, c);
    struct buf b = {0};
    if (!decide(r, c, u))
        return;
    buf_printf(&b, "%.*s=%.*s", STR_ARG(c->name),
               STR_ARG(encode(r->arena, u->set, c->mark)));
    put_expires(&b, c);
    if (c->domain.n)
        buf_printf(&b, "; domain=%.*s", STR_ARG(c->domain));
    buf_printf(&b, "; path=%.*s", STR_ARG(c->path));
    put_flags(&b, c->flags);
    response_add(r, STR("Set-Cookie"), arena_str(r->arena, buf_str(&b)));
    buf_fini(&b);
    if (c->p3p.n)
        response_add(r, STR("P3P"), c->p3p);
}

/* ---- variables ---- */

static bool give(struct evaluation *e, const struct userid_conf *c,
                 const uint32_t words[4], struct str *out)
{
    *out = arena_printf(e->arena, "%.*s=%08X%08X%08X%08X", STR_ARG(c->name),
                        words[0], words[1], words[2], words[3]);
    return true;
}

static bool get_got(struct evaluation *e, const struct variable *v,
                    struct str *out)
{
    const struct userid_conf *c = request_conf(e->request, &userid_module);
    (void)v;
    if (c->mode == USERID_OFF)
        return false;
    const struct userid *u = look(e->request, c);
    return u->has_got && give(e, c, u->got, out);
}

static bool get_set(struct evaluation *e, const struct variable *v,
                    struct str *out)
{
    const struct userid_conf *c = request_conf(e->request, &userid_module);
    (void)v;
    if (c->mode < USERID_V1)
        return false;
    struct userid *u = look(e->request, c);
    return decide(e->request, c, u) && give(e, c, u->set, out);
}

const struct variable userid_variables[] = {
    {.name = "uid_got", .get = get_got},
    {.name = "uid_set", .get = get_set},
    /* Assigned any value but "" and "0", the cookie is given anew. */
    {.name = "uid_reset",
     .get = variable_get_slot,
     .flags = VARIABLE_CHANGEABLE},
    {.name = NULL},
};

/* ---- configuration ---- */

static void userid_defaults(void *module_conf)
{
    struct userid_conf *c = module_conf;
    c->name = STR("uid");
    c->path = STR("/");
}

static int set_domain(struct conf *conf, struct conf_scope *scope,
                      const struct directive *row, const struct conf_node *node,
                      void *field)
{
    struct str *text = field;
    (void)conf, (void)scope, (void)row;
    *text = conf_arg(node, 1);
    if (str_eq(*text, STR("none")))
        *text = STR("");
    return 0;
}

static int set_mark(struct conf *conf, struct conf_scope *scope,
                    const struct directive *row, const struct conf_node *node,
                    void *field)
{
    struct userid_conf *c = field;
    struct str mark = conf_arg(node, 1);
    (void)scope, (void)row;

    if (str_eq(mark, STR("off"))) {
        c->mark = 0;
        return 0;
    }
    if (mark.n != 1 ||
        (mark.p[0] != '=' &&
         (digit_of(mark.p[0]) == -1 || mark.p[0] == '+' || mark.p[0] == '/')))
        return conf_fail(conf,
                         "value must be \"off\" or a single letter, digit or "
                         "\"=\"");
    c->mark = mark.p[0];
    return 0;
}

static int set_expires(struct conf *conf, struct conf_scope *scope,
                       const struct directive *row,
                       const struct conf_node *node, void *field)
{
    struct userid_conf *c = field;
    struct str text = conf_arg(node, 1);
    uint64_t seconds;
    (void)scope, (void)row;

    c->expires_s = EXPIRES_OFF;
    if (str_eq(text, STR("max")))
        c->expires_s = EXPIRES_MAX;
    else if (!str_eq(text, STR("off"))) {
        if (!conf_parse_sec(text, &seconds) || seconds > INT32_MAX)
            return conf_fail(conf, "invalid value");
        c->expires_s = (int64_t)seconds;
    }
    return 0;
}

static int set_service(struct conf *conf, struct conf_scope *scope,
                       const struct directive *row,
                       const struct conf_node *node, void *field)
{
    struct userid_conf *c = field;
    c->service_said = true;
    return conf_set_number(conf, scope, row, node, &c->service);
}

static int set_flags(struct conf *conf, struct conf_scope *scope,
                     const struct directive *row, const struct conf_node *node,
                     void *field)
{
    static const struct {
        const char *name;
        unsigned flag;
    } rows[] = {{"secure", FLAG_SECURE},          {"httponly", FLAG_HTTPONLY},
                {"samesite=strict", FLAG_STRICT}, {"samesite=lax", FLAG_LAX},
                {"samesite=none", FLAG_NONE},     {"off", 0}};
    unsigned *flags = field;
    (void)scope, (void)row;

    *flags = 0;
    for (size_t i = 1; i < node->words_n; i++) {
        size_t k = 0;
        while (k < COUNT(rows) &&
               !str_eq(conf_arg(node, i), str_c(rows[k].name)))
            k++;
        if (k == COUNT(rows) || (!rows[k].flag && node->words_n > 2))
            return conf_fail(conf, "invalid parameter \"%.*s\"",
                             STR_ARG(conf_arg(node, i)));
        *flags |= rows[k].flag;
    }
    return 0;
}

static int set_mode(struct conf *conf, struct conf_scope *scope,
                    const struct directive *row, const struct conf_node *node,
                    void *field)
{
    struct userid_conf *c = field;
    c->reset = value_compile(conf, conf->variables, STR("$uid_reset"));
    return c->reset ? conf_set_enum(conf, scope, row, node, &c->mode) : -1;
}

static const struct conf_enum modes[] = {
    {"off", USERID_OFF}, {"log", USERID_LOG}, {"v1", USERID_V1},
    {"on", USERID_ON},   {NULL, 0},
};

enum { ANYWHERE = CONF_HTTP | CONF_SERVER | CONF_LOCATION };

#define FIELD(name) offsetof(struct userid_conf, name)

static const struct directive userid_directives[] = {
    {.name = "userid",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = set_mode,
     .data = modes,
     .default_text = "off",
     .help = "Give browsers a cookie that tells them apart, or only read it "
             "(log)."},
    {.name = "userid_name",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = conf_set_str,
     .offset = FIELD(name),
     .default_text = "uid",
     .help = "The cookie's name."},
    {.name = "userid_domain",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = set_domain,
     .offset = FIELD(domain),
     .default_text = "none",
     .syntax = "NAME | none",
     .help = "The cookie's domain."},
    {.name = "userid_path",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = conf_set_str,
     .offset = FIELD(path),
     .default_text = "/",
     .help = "The cookie's path."},
    {.name = "userid_expires",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = set_expires,
     .default_text = "off",
     .syntax = "TIME | max | off",
     .help = "How long the browser keeps it; off: until it ends."},
    {.name = "userid_flags",
     .contexts = ANYWHERE,
     .arity = ARGS_1 | ARGS_2 | ARGS_3,
     .set = set_flags,
     .offset = FIELD(flags),
     .default_text = "off",
     .syntax = "off | FLAG...",
     .help = "secure, httponly, samesite=strict, samesite=lax, "
             "samesite=none."},
    {.name = "userid_mark",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = set_mark,
     .default_text = "off",
     .syntax = "LETTER | DIGIT | = | off",
     .help = "A mark in the cookie; one with another mark is given again."},
    {.name = "userid_p3p",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = set_domain,
     .offset = FIELD(p3p),
     .default_text = "none",
     .syntax = "TEXT | none",
     .help = "A P3P field to send with the cookie."},
    {.name = "userid_service",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = set_service,
     .syntax = "NUMBER",
     .max = UINT32_MAX,
     .help = "The number of this server in the cookie; else its address "
             "says it."},
    {.name = NULL},
};

struct conf_module userid_module = {
    .name = "userid",
    .size = sizeof(struct userid_conf),
    .defaults = userid_defaults,
    .directives = userid_directives,
};
