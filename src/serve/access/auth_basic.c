/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/auth.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/random.h"
#include "io/background.h"
#include "password.h"
#include "serve/fields.h"
#include "users_file.h"

enum {
    KNOWN_MAX = 1024, /* passwords that are remembered; a power of two */
    TAG_SIZE = 32,
};

struct auth_basic_conf {
    struct value *realm; /* NULL, or "off": nobody is asked */
    struct value *file;
};

/* ---- passwords that were right ---- */

static struct {
    bool ready;
    uint8_t secret[32];
    uint8_t tags[KNOWN_MAX][TAG_SIZE];
} * known;

struct question {
    struct str user, hash, password;
};

/* An HMAC of all three with their lengths, by this process's secret. */
static void tag_of(const struct question *q, uint8_t tag[TAG_SIZE])
{
    const struct str parts[] = {q->user, q->hash, q->password};
    struct buf text = {0};
    unsigned n = TAG_SIZE;

    if (!known)
        known = xcalloc(1, sizeof *known);
    if (!known->ready) {
        random_bytes(known->secret, sizeof known->secret);
        known->ready = true;
    }
    for (size_t i = 0; i < COUNT(parts); i++) {
        buf_put_le64(&text, parts[i].n);
        buf_put_str(&text, parts[i]);
    }
    check(HMAC(EVP_sha256(), known->secret, sizeof known->secret, text.p,
               text.n, tag, &n));
    OPENSSL_cleanse(text.p, text.n);
    buf_fini(&text);
}

static uint8_t *place_of(const uint8_t tag[TAG_SIZE])
{
    return known->tags[le32_get(tag) & (KNOWN_MAX - 1)];
}

static bool is_known(const uint8_t tag[TAG_SIZE])
{
    return CRYPTO_memcmp(place_of(tag), tag, TAG_SIZE) == 0;
}

void auth_stop(void)
{
    if (known)
        OPENSSL_cleanse(known, sizeof *known);
    free(known);
    known = NULL;
    users_files_drop();
}

/* ---- answers ---- */

static int ask_for_password(struct request *r)
{
    const struct auth_basic_conf *c = request_conf(r, &auth_basic_module);
    struct str realm = value_eval(c->realm, &r->eval);

    response_add(
        r, STR("WWW-Authenticate"),
        arena_printf(r->arena, "Basic realm=\"%.*s\"", STR_ARG(realm)));
    return 401;
}

static int conclude(struct request *r, struct str user, bool fits)
{
    if (fits)
        return ACCESS_GRANTED;
    log_err(&r->log, "user \"%.*s\": password mismatch", STR_ARG(user));
    return ask_for_password(r);
}

/* ---- beside the loop ---- */

/* A request that waits for a job; in its arena. */
struct waiter {
    struct request *request;
    struct job *job; /* NULL: it is done */
};

struct job {
    struct background_job background;
    struct waiter *waiter; /* NULL: the request died */
    struct question q;     /* points into text */
    uint8_t tag[TAG_SIZE];
    size_t text_n;
    bool fits;
    char text[];
};

static void work(struct background_job *background)
{
    struct job *j = CONTAINER(background, struct job, background);
    j->fits = password_fits(j->q.hash, j->q.password);
}

static void done(struct background_job *background)
{
    struct job *j = CONTAINER(background, struct job, background);
    struct waiter *w = j->waiter;

    if (j->fits && known)
        memcpy(place_of(j->tag), j->tag, TAG_SIZE);
    if (w) {
        struct request *r = w->request;
        w->job = NULL;
        if (!r->aborted && !r->done)
            access_answer(r,
                          conclude(r, arena_str(r->arena, j->q.user), j->fits));
    }
    OPENSSL_cleanse(j->text, j->text_n);
    free(j);
}

static void forget_waiter(void *arg)
{
    struct waiter *w = arg;
    if (w->job)
        w->job->waiter = NULL;
}

static struct str put_text(struct job *j, struct str s)
{
    char *p = j->text + j->text_n;
    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    j->text_n += s.n + 1;
    return str_n(p, s.n);
}

static int check_beside(struct request *r, const struct question *q,
                        const uint8_t tag[TAG_SIZE])
{
    size_t n = q->user.n + q->hash.n + q->password.n + 3;
    struct job *j = xcalloc(1, sizeof *j + n);

    j->background.work = work;
    j->background.done = done;
    j->q.user = put_text(j, q->user);
    j->q.hash = put_text(j, q->hash);
    j->q.password = put_text(j, q->password);
    memcpy(j->tag, tag, TAG_SIZE);
    if (!background_run(request_loop(r), &j->background)) {
        OPENSSL_cleanse(j->text, j->text_n);
        free(j);
        log_err(&r->log, "too many passwords are being checked");
        return 503;
    }
    struct waiter *w = arena_calloc(r->arena, sizeof *w);
    w->request = r;
    w->job = j;
    j->waiter = w;
    arena_on_destroy(r->arena, forget_waiter, w);
    return VERDICT_PENDING;
}

static int check_password(struct request *r, const struct question *q)
{
    uint8_t tag[TAG_SIZE];

    if (q->password.n > PASSWORD_MAX || !password_is_slow(q->hash))
        return conclude(r, q->user, password_fits(q->hash, q->password));
    tag_of(q, tag);
    if (is_known(tag))
        return ACCESS_GRANTED;
    return check_beside(r, q, tag);
}

/* ---- the check ---- */

static int file_failed(struct request *r, const char *path)
{
    log_errno(&r->log, errno == ENOENT ? LEVEL_ERROR : LEVEL_CRIT, errno,
              "open() \"%s\" failed", path);
    return errno == ENOENT ? 403 : 500;
}

int auth_basic_check(struct request *r)
{
    const struct auth_basic_conf *c = request_conf(r, &auth_basic_module);
    struct question q;

    if (!c->realm || !c->file ||
        str_eq(value_eval(c->realm, &r->eval), STR("off")))
        return VERDICT_DECLINED;
    struct str field = http_head_find(&r->head, STR("Authorization"));
    if (!fields_basic(field, r->arena, &q.user, &q.password)) {
        log_info(&r->log,
                 "no user/password was provided for basic authentication");
        return ask_for_password(r);
    }
    q.password = arena_str(r->arena, q.password);

    struct str path = value_eval(c->file, &r->eval);
    if (!path.n || memchr(path.p, 0, path.n))
        return 403;
    const char *name = arena_cstr(r->arena, path);
    switch (users_file_find(name, q.user, &q.hash)) {
    case 0:
        log_err(&r->log, "user \"%.*s\" was not found in \"%s\"",
                STR_ARG(q.user), name);
        return ask_for_password(r);
    case 1:
        return check_password(r, &q);
    default:
        return file_failed(r, name);
    }
}

/* ---- configuration ---- */

static int set_realm(struct conf *conf, struct conf_scope *scope,
                     const struct directive *row, const struct conf_node *node,
                     void *field)
{
    struct auth_basic_conf *c = field;
    struct str realm = conf_arg(node, 1);
    (void)scope, (void)row;
    if (memchr(realm.p, '"', realm.n))
        return conf_fail(conf, "the realm \"%.*s\" has a quotation mark in it",
                         STR_ARG(realm));
    c->realm = value_compile(conf, conf->variables, realm);
    return c->realm ? 0 : -1;
}

static int set_file(struct conf *conf, struct conf_scope *scope,
                    const struct directive *row, const struct conf_node *node,
                    void *field)
{
    struct auth_basic_conf *c = field;
    const char *path = conf_full_path(conf, conf_arg(node, 1), true);
    (void)scope, (void)row;
    c->file = value_compile(conf, conf->variables, str_c(path));
    return c->file ? 0 : -1;
}

enum {
    ANYWHERE = CONF_HTTP | CONF_SERVER | CONF_LOCATION | CONF_LIMIT_EXCEPT,
};

static const struct directive directives[] = {
    {.name = "auth_basic",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = set_realm,
     .syntax = "REALM | off",
     .help = "Asks for a name and a password (RFC 7617)."},
    {.name = "auth_basic_user_file",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = set_file,
     .syntax = "FILE",
     .help = "NAME:HASH lines as htpasswd writes them; workers read it, and "
             "again when it changed."},
    {.name = NULL},
};

struct conf_module auth_basic_module = {
    .name = "auth_basic",
    .size = sizeof(struct auth_basic_conf),
    .directives = directives,
};
