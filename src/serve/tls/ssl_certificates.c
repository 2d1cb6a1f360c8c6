/* SPDX-License-Identifier: BSD-2-Clause */
/* Certificates whose names hold variables: read when they are needed, by the
 * worker and with its rights, and kept for a while. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "exchange.h"
#include "serve/client.h"
#include "tls_parts.h"

enum {
    FILE_MAX = 1024 * 1024 /* bytes of a certificate with its chain */
};

/* ---- the cache ---- */

struct kept {
    struct list link; /* newest first */
    struct tls_credential *credential;
    uint64_t used_ms, loaded_ms;
    uint32_t hash;
    size_t n;
    char key[]; /* the label */
};

struct ssl_certificate_cache {
    uint64_t max, inactive_ms, valid_ms;
    struct list kept;
    size_t n;
};

static void forget(struct ssl_certificate_cache *cache, struct kept *k)
{
    list_remove(&k->link);
    cache->n--;
    tls_credential_unref(k->credential);
    free(k);
}

static void end_cache(void *arg)
{
    struct ssl_certificate_cache *cache = arg;
    LIST_EACH(link, after, &cache->kept)
    forget(cache, CONTAINER(link, struct kept, link));
}

static struct kept *recall(struct ssl_certificate_cache *cache, struct str key)
{
    uint64_t now_ms = clock_now_ms();
    uint32_t hash = str_hash(key);

    LIST_EACH(link, after, &cache->kept)
    {
        struct kept *k = CONTAINER(link, struct kept, link);
        if (k->hash != hash || !str_eq(str_n(k->key, k->n), key))
            continue;
        if (now_ms - k->loaded_ms >= cache->valid_ms) {
            forget(cache, k);
            return NULL;
        }
        k->used_ms = now_ms;
        list_remove(&k->link);
        list_push_front(&cache->kept, &k->link);
        return k;
    }
    return NULL;
}

static void keep(struct ssl_certificate_cache *cache, struct str key,
                 struct tls_credential *c)
{
    uint64_t now_ms = clock_now_ms();
    struct kept *k = xcalloc(1, sizeof *k + key.n);

    k->credential = tls_credential_ref(c);
    k->used_ms = k->loaded_ms = now_ms;
    k->hash = str_hash(key);
    k->n = key.n;
    memcpy(k->key, key.p, key.n);
    list_push_front(&cache->kept, &k->link);
    cache->n++;
    for (;;) {
        struct kept *oldest = CONTAINER(cache->kept.prev, struct kept, link);
        if (oldest == k || (cache->n <= cache->max &&
                            now_ms - oldest->used_ms < cache->inactive_ms))
            return;
        forget(cache, oldest);
    }
}

int ssl_set_certificate_cache(struct conf *conf, struct conf_scope *scope,
                              const struct directive *row,
                              const struct conf_node *node, void *field)
{
    struct ssl_certificate_cache **cache = field, *c;
    (void)scope;

    *cache = NULL;
    if (node->words_n == 2 && str_eq(conf_arg(node, 1), STR("off")))
        return 0;
    c = arena_calloc(conf->arena, sizeof *c);
    c->inactive_ms = 10000;
    c->valid_ms = 60000;
    list_init(&c->kept);
    for (size_t i = 1; i < node->words_n; i++) {
        struct str value = conf_arg(node, i);
        struct str name = str_cut(&value, '=');
        bool good = str_eq(name, STR("max"))
                        ? str_to_u64(value, 1 << 20, &c->max) && c->max
                    : str_eq(name, STR("inactive"))
                        ? conf_parse_ms(value, &c->inactive_ms)
                    : str_eq(name, STR("valid"))
                        ? conf_parse_ms(value, &c->valid_ms)
                        : false;
        if (!good)
            return conf_fail(conf, "invalid parameter \"%.*s\"",
                             STR_ARG(conf_arg(node, i)));
    }
    if (!c->max)
        return conf_fail(conf, "\"%s\" must have the \"max\" parameter",
                         row->name);
    arena_on_destroy(conf->arena, end_cache, c);
    *cache = c;
    return 0;
}

/* ---- reading ---- */

static int read_file(struct arena *arena, struct tls_text *file,
                     struct err *err)
{
    struct stat st;
    int fd = open(file->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

    if (fd == -1 || fstat(fd, &st) == -1) {
        int error = errno;
        if (fd != -1)
            close(fd);
        return err_set(err, "cannot load \"%s\": open() failed (%d: %s)",
                       file->path, error, strerror(error));
    }
    size_t n = (size_t)st.st_size;
    if (!S_ISREG(st.st_mode) || n > FILE_MAX) {
        close(fd);
        return err_set(err, "cannot load \"%s\": no file of at most %d bytes",
                       file->path, FILE_MAX);
    }
    char *p = arena_alloc(arena, n + 1);
    ssize_t got = pread(fd, p, n, 0);
    close(fd);
    if (got != (ssize_t)n)
        return err_set(err, "cannot load \"%s\": it changed", file->path);
    file->text = str_n(p, n);
    return 0;
}

/* The text that a name means now. */
static int find_text(const struct ssl_text *from, struct evaluation *e,
                     struct tls_text *out, struct err *err)
{
    *out = from->file;
    if (!from->value)
        return 0;
    struct str name = value_eval(from->value, e);
    if (str_starts(name, STR("data:"))) {
        out->path = "data:...";
        out->text = str_slice(name, 5, name.n);
        return 0;
    }
    if (!name.n || memchr(name.p, 0, name.n))
        return err_set(err, "cannot load \"%s\": the name is empty",
                       from->file.path);
    out->path = name.p[0] == '/' ? arena_cstr(e->arena, name)
                                 : arena_printf(e->arena, "%s%.*s",
                                                from->directory, STR_ARG(name))
                                       .p;
    return 0;
}

/* What tells two of them apart: their names, or the certificate's text. */
static struct str label_of(struct arena *arena, const struct tls_identity *i)
{
    const char *path = i->certificate.path;
    struct str c = str_starts(str_c(path), STR("data:")) ? i->certificate.text
                                                         : str_c(path);
    return arena_printf(arena, "%zu:%.*s:%s", c.n, STR_ARG(c), i->key.path);
}

struct tls_credential *
ssl_credential(const struct ssl_text *certificate, const struct ssl_text *key,
               struct str passwords, struct ssl_certificate_cache *cache,
               struct evaluation *e, struct str *label, struct err *err)
{
    struct tls_identity files;
    struct arena *arena = e->arena;

    if (find_text(certificate, e, &files.certificate, err) == -1 ||
        find_text(key, e, &files.key, err) == -1)
        return NULL;
    bool is_file = !files.certificate.text.p || !files.key.text.p;
    *label = label_of(arena, &files);
    struct kept *k = cache && is_file ? recall(cache, *label) : NULL;
    if (k)
        return tls_credential_ref(k->credential);
    if ((!files.certificate.text.p &&
         read_file(arena, &files.certificate, err) == -1) ||
        (!files.key.text.p && read_file(arena, &files.key, err) == -1))
        return NULL;
    struct tls_credential *c = tls_credential_create(&files, passwords, err);
    if (c && cache && is_file)
        keep(cache, *label, c);
    return c;
}

/* ---- in a client's handshake ---- */

static int certify(struct request *r, const struct ssl_conf *conf,
                   struct tls *tls)
{
    for (size_t i = 0; i < conf->certificates.n; i++) {
        struct err why;
        struct str label;
        struct tls_credential *c =
            ssl_credential(conf->certificates.items[i], conf->keys.items[i],
                           conf->passwords.text, conf->certificate_cache,
                           &r->eval, &label, &why);
        if (!c) {
            log_err(&r->log, "%s", why.text);
            return -1;
        }
        int rc = tls_credential_use(tls, c);
        tls_credential_unref(c);
        if (rc == -1) {
            log_err(&r->log, "the certificate can not be used");
            return -1;
        }
    }
    return 0;
}

int ssl_certify(void *owner, struct tls *tls)
{
    struct client *c = owner;
    const struct listen *l = c->slot->listen;

    if (!l || !l->ssl)
        return -1;
    const struct server *s = ssl_server_named(l, tls_server_name(tls));
    const struct ssl_conf *conf = conf_get(s->scope, &ssl_module);
    if (!conf->context) {
        s = l->default_server;
        conf = conf_get(s->scope, &ssl_module);
    }
    if (!conf->dynamic)
        return -1; /* a reload in the middle of a handshake */
    /* Variables are a request's; this one has no head. */
    struct request *r = exchange_probe(c, s);
    r->log.doing = "SSL handshaking";
    int rc = certify(r, conf, tls);
    exchange_probe_end(r);
    return rc;
}
