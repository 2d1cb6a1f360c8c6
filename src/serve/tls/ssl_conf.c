/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/check.h"
#include "serve/core.h"
#include "tls_parts.h"

enum {
    SHARED_MIN = 32 * 1024,     /* bytes: nginx's eight pages */
    BUILTIN_DEFAULT = 20 * 1024 /* sessions */
};

static void ssl_defaults(void *module_conf)
{
    struct ssl_conf *c = module_conf;
    c->session_tickets = true;
}

/* ---- ssl_session_cache ---- */

static int read_shared(struct conf *conf, struct str word, struct ssl_conf *c)
{
    struct str rest = word;
    uint64_t size;

    str_cut(&rest, ':');
    struct str name = str_cut(&rest, ':');
    if (!name.n || !conf_parse_size(rest, &size))
        return conf_fail(conf, "invalid session cache \"%.*s\"", STR_ARG(word));
    if (size < SHARED_MIN)
        return conf_fail(conf, "session cache \"%.*s\" is too small",
                         STR_ARG(word));
    c->session_zone = zone_declare(conf, name, size, &ssl_session_zone);
    c->session_cache |= TLS_CACHE_STORE;
    return c->session_zone ? 0 : -1;
}

static int read_cache(struct conf *conf, struct str word, struct ssl_conf *c)
{
    struct str rest = word;
    struct str kind = str_cut(&rest, ':');

    if (str_eq(word, STR("off")) || str_eq(word, STR("none"))) {
        c->session_cache =
            str_eq(word, STR("off")) ? TLS_CACHE_OFF : TLS_CACHE_NONE;
        return 0;
    }
    if (str_eq(kind, STR("shared")))
        return read_shared(conf, word, c);
    if (!str_eq(kind, STR("builtin")))
        return conf_fail(conf, "invalid session cache \"%.*s\"", STR_ARG(word));
    c->session_cache |= TLS_CACHE_BUILTIN;
    c->sessions_max = BUILTIN_DEFAULT;
    if (rest.p &&
        (!str_to_u64(rest, INT32_MAX, &c->sessions_max) || !c->sessions_max))
        return conf_fail(conf, "invalid session cache \"%.*s\"", STR_ARG(word));
    return 0;
}

static int set_cache(struct conf *conf, struct conf_scope *scope,
                     const struct directive *row, const struct conf_node *node,
                     void *field)
{
    struct ssl_conf *c = field;
    (void)scope, (void)row;

    c->session_cache = TLS_CACHE_NONE;
    c->session_zone = NULL;
    for (size_t i = 1; i < node->words_n; i++)
        if (read_cache(conf, conf_arg(node, i), c) == -1)
            return -1;
    return 0;
}

/* ---- a server's context ---- */

static void copy_texts(struct tls_text *to, const struct conf_list *from)
{
    for (size_t i = 0; i < from->n; i++)
        to[i] = *(const struct tls_text *)from->items[i];
}

static void destroy_context(void *arg)
{
    tls_context_destroy(arg);
}

static void on_warning(void *arg, const char *sentence)
{
    conf_warn(arg, "%s", sentence);
}

/* All the names of certificates, as they were written. */
static const char *names_of(struct conf *conf, const struct ssl_conf *c)
{
    struct str all = STR("");
    for (size_t i = 0; i < c->certificates.n; i++) {
        const struct ssl_text *text = c->certificates.items[i];
        all =
            arena_printf(conf->arena, "%.*s %s", STR_ARG(all), text->file.path);
    }
    return arena_cstr(conf->arena, all);
}

static int make_context(struct conf *conf, const struct conf_scope *scope,
                        struct ssl_conf *c)
{
    struct err why;
    struct tls_text *ticket_keys =
        arena_calloc(conf->arena, (c->ticket_keys.n + 1) * sizeof *ticket_keys);
    const struct core_conf *core = conf_get(scope, &core_module);

    copy_texts(ticket_keys, &c->ticket_keys);
    struct tls_settings s = {
        .identities =
            ssl_identities(conf, &c->certificates, &c->keys, &c->dynamic),
        .identities_n = c->dynamic ? 0 : c->certificates.n,
        .passwords = c->passwords,
        .protocols = c->protocols,
        .ciphers = arena_cstr(conf->arena, c->ciphers),
        .curves = arena_cstr(conf->arena, c->curves),
        .commands = ssl_command_words(conf, &c->commands),
        .commands_n = c->commands.n,
        .prefer_server_ciphers = c->prefer_server_ciphers,
        .dhparam = c->dhparam,
        .verify = (enum tls_verify)c->verify,
        .verify_depth = (unsigned)c->verify_depth,
        .authorities = c->authorities,
        .trusted = c->trusted,
        .crl = c->crl,
        .certify = c->dynamic ? names_of(conf, c) : NULL,
        .cache = c->session_cache,
        .sessions_max = (size_t)c->sessions_max,
        .store =
            c->session_zone ? ssl_session_store(conf, c->session_zone) : NULL,
        .timeout_s = c->session_timeout_s,
        .tickets = c->session_tickets,
        .ticket_keys = ticket_keys,
        .ticket_keys_n = c->ticket_keys.n,
        .record_max = (size_t)c->buffer_size,
        .early_data = c->early_data,
        .stapling = c->stapling,
        .staple_verify = c->stapling_verify,
        .staple_file = c->stapling_file,
        .staple_responder = c->stapling_responder.n
                                ? arena_cstr(conf->arena, c->stapling_responder)
                                : NULL,
        .warn = on_warning,
        .warn_arg = conf,
    };
    if (!s.identities)
        return -1;
    if (c->dynamic && c->stapling)
        conf_warn(conf, "\"ssl_stapling\" ignored, certificates are named by "
                        "variables");
    c->context = tls_context_create(&s, &why);
    if (!c->context)
        return conf_fail_at(conf, scope->node, "%s", why.text);
    arena_on_destroy(conf->arena, destroy_context, c->context);
    ssl_stapling_prepare(conf, c->context, core->log);
    return 0;
}

static int ssl_on_scope(struct conf *conf, struct conf_scope *scope,
                        void *module_conf)
{
    struct ssl_conf *c = module_conf;

    if (scope->context != CONF_SERVER)
        return 0;
    if (c->verify == TLS_VERIFY_ON || c->verify == TLS_VERIFY_OPTIONAL) {
        if (!c->authorities.text.p && !c->trusted.text.p)
            return conf_fail_at(conf, scope->node,
                                "no ssl_client_certificate for "
                                "ssl_verify_client");
    }
    if (c->crl.text.p && !c->authorities.text.p && !c->trusted.text.p)
        return conf_fail_at(conf, scope->node,
                            "no ssl_client_certificate for ssl_crl");
    if (!c->certificates.n && !c->reject_handshake)
        return 0;
    return make_context(conf, scope, c);
}

static int ssl_on_end(struct conf *conf)
{
    for (struct listen *l = generation_of(conf)->listens; l; l = l->next) {
        const struct ssl_conf *c =
            conf_get(l->default_server->scope, &ssl_module);
        if (l->ssl && !c->context)
            return conf_fail_at(conf, l->node,
                                "no \"ssl_certificate\" is defined for the "
                                "\"listen ... ssl\" directive");
    }
    return 0;
}

/* ---- the table ---- */

static const struct conf_enum verify_names[] = {
    {"off", TLS_VERIFY_OFF},
    {"on", TLS_VERIFY_ON},
    {"optional", TLS_VERIFY_OPTIONAL},
    {"optional_no_ca", TLS_VERIFY_OPTIONAL_NO_CA},
    {NULL, 0},
};

enum { SERVERS = CONF_HTTP | CONF_SERVER };

#define FIELD(name) offsetof(struct ssl_conf, name)

static const struct directive ssl_directives[] = {
    {.name = "ssl_certificate",
     .syntax = "FILE | data:VALUE",
     .contexts = SERVERS,
     .arity = ARGS_1,
     .flags = CONF_REPEATABLE,
     .set = ssl_set_certificates,
     .offset = FIELD(certificates),
     .help = "A PEM file: the server's certificate and its chain; once for "
             "each kind of key.  With variables in the name a worker reads it "
             "when a client comes; data:VALUE is the text itself."},
    {.name = "ssl_certificate_key",
     .syntax = "FILE",
     .contexts = SERVERS,
     .arity = ARGS_1,
     .flags = CONF_REPEATABLE,
     .set = ssl_set_certificates,
     .offset = FIELD(keys),
     .help = "A PEM file: the key of the ssl_certificate in the same place."},
    {.name = "ssl_password_file",
     .syntax = "FILE",
     .contexts = SERVERS,
     .arity = ARGS_1,
     .set = ssl_set_text,
     .offset = FIELD(passwords),
     .help = "A file with passwords of keys, one a line, tried in turn."},
    {.name = "ssl_protocols",
     .contexts = SERVERS,
     .arity = ARGS_1_MORE,
     .set = conf_set_bits,
     .offset = FIELD(protocols),
     .data = ssl_protocol_names,
     .default_text = "TLSv1.2 TLSv1.3",
     .help = "The versions of TLS that are spoken."},
    {.name = "ssl_ciphers",
     .contexts = SERVERS,
     .arity = ARGS_1,
     .set = conf_set_str,
     .offset = FIELD(ciphers),
     .default_text = "HIGH:!aNULL:!MD5",
     .help = "The ciphers up to TLS 1.2, in OpenSSL's syntax."},
    {.name = "ssl_prefer_server_ciphers",
     .contexts = SERVERS,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(prefer_server_ciphers),
     .default_text = "off",
     .help = "Choose by our order of ciphers, not by the client's."},
    {.name = "ssl_ecdh_curve",
     .contexts = SERVERS,
     .arity = ARGS_1,
     .set = conf_set_str,
     .offset = FIELD(curves),
     .default_text = "auto",
     .help = "The curves, with colons between them; auto is OpenSSL's list."},
    {.name = "ssl_dhparam",
     .syntax = "FILE",
     .contexts = SERVERS,
     .arity = ARGS_1,
     .set = ssl_set_text,
     .offset = FIELD(dhparam),
     .help = "A PEM file with parameters for DHE ciphers; without it there "
             "are none."},
    {.name = "ssl_conf_command",
     .syntax = "NAME VALUE",
     .contexts = SERVERS,
     .arity = ARGS_2,
     .flags = CONF_REPEATABLE,
     .set = ssl_set_command,
     .offset = FIELD(commands),
     .help = "A command of OpenSSL's configuration "
             "(Ciphersuites, Options, ...)."},
    {.name = "ssl_session_cache",
     .contexts = SERVERS,
     .arity = ARGS_1 | ARGS_2,
     .set = set_cache,
     .default_text = "none",
     .help = "Where sessions are kept that are not in tickets: builtin in "
             "each worker, shared in memory of all workers.",
     .syntax = "off | none | [builtin[:SESSIONS]] [shared:NAME:SIZE]"},
    {.name = "ssl_session_timeout",
     .contexts = SERVERS,
     .arity = ARGS_1,
     .set = conf_set_sec,
     .offset = FIELD(session_timeout_s),
     .default_text = "5m",
     .min = 1,
     .max = 100 * 365 * 24 * 3600ull,
     .help = "How long a session may be resumed."},
    {.name = "ssl_session_tickets",
     .contexts = SERVERS,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(session_tickets),
     .default_text = "on",
     .help = "Let clients keep their sessions, encrypted."},
    {.name = "ssl_session_ticket_key",
     .syntax = "FILE",
     .contexts = SERVERS,
     .arity = ARGS_1,
     .flags = CONF_REPEATABLE,
     .set = ssl_set_texts,
     .offset = FIELD(ticket_keys),
     .help = "A file of 48 or 80 random bytes; the first one encrypts, all "
             "decrypt.  Without it the master makes one."},
    {.name = "ssl_reject_handshake",
     .contexts = SERVERS,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(reject_handshake),
     .default_text = "off",
     .help = "Refuse handshakes for this server's names."},
    {.name = "ssl_verify_client",
     .contexts = SERVERS,
     .arity = ARGS_1,
     .set = conf_set_enum,
     .offset = FIELD(verify),
     .data = verify_names,
     .default_text = "off",
     .help = "Whether clients must, or may, show a certificate."},
    {.name = "ssl_verify_depth",
     .contexts = SERVERS,
     .arity = ARGS_1,
     .set = conf_set_number,
     .offset = FIELD(verify_depth),
     .default_text = "1",
     .max = 100,
     .help = "How long a client's certificate chain may be."},
    {.name = "ssl_client_certificate",
     .syntax = "FILE",
     .contexts = SERVERS,
     .arity = ARGS_1,
     .set = ssl_set_text,
     .offset = FIELD(authorities),
     .help = "A PEM file of authorities that clients' certificates may be "
             "from; their names are sent to clients."},
    {.name = "ssl_trusted_certificate",
     .syntax = "FILE",
     .contexts = SERVERS,
     .arity = ARGS_1,
     .set = ssl_set_text,
     .offset = FIELD(trusted),
     .help = "The same, but their names are not sent."},
    {.name = "ssl_crl",
     .syntax = "FILE",
     .contexts = SERVERS,
     .arity = ARGS_1,
     .set = ssl_set_text,
     .offset = FIELD(crl),
     .help = "A PEM file with the revocation lists of all authorities."},
    {.name = "ssl_buffer_size",
     .contexts = SERVERS,
     .arity = ARGS_1,
     .set = conf_set_size,
     .offset = FIELD(buffer_size),
     .default_text = "16k",
     .min = 512,
     .max = 16384,
     .help = "The largest record that is sent: smaller ones reach a slow "
             "client sooner."},
    {.name = "ssl_early_data",
     .contexts = SERVERS,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(early_data),
     .default_text = "off",
     .help = "Take TLS 1.3 early data.  It can be replayed: see "
             "$ssl_early_data."},
    {.name = "ssl_certificate_cache",
     .contexts = SERVERS,
     .arity = ARGS_1 | ARGS_2 | ARGS_3,
     .set = ssl_set_certificate_cache,
     .offset = FIELD(certificate_cache),
     .default_text = "off",
     .syntax = "max=N [inactive=TIME] [valid=TIME] | off",
     .help = "Keep certificates and keys whose names hold variables."},
    {.name = "ssl_stapling",
     .contexts = SERVERS,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(stapling),
     .default_text = "off",
     .help = "Send OCSP responses in handshakes."},
    {.name = "ssl_stapling_file",
     .syntax = "FILE",
     .contexts = SERVERS,
     .arity = ARGS_1,
     .set = ssl_set_text,
     .offset = FIELD(stapling_file),
     .help = "An OCSP response in DER; without it they are fetched."},
    {.name = "ssl_stapling_responder",
     .syntax = "URL",
     .contexts = SERVERS,
     .arity = ARGS_1,
     .set = conf_set_str,
     .offset = FIELD(stapling_responder),
     .help = "Where OCSP responses are fetched, instead of where the "
             "certificate says; http:// only."},
    {.name = "ssl_stapling_verify",
     .contexts = SERVERS,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(stapling_verify),
     .default_text = "off",
     .help = "Check signatures of OCSP responses, with the issuer and "
             "ssl_trusted_certificate."},
    {.name = NULL},
};

struct conf_module ssl_module = {
    .name = "ssl",
    .size = sizeof(struct ssl_conf),
    .defaults = ssl_defaults,
    .directives = ssl_directives,
    .on_scope = ssl_on_scope,
    .on_end = ssl_on_end,
};
