/* SPDX-License-Identifier: BSD-2-Clause */
/* Setters that servers and proxies share: files, commands, protocols. */
#include "serve/ssl.h"

#include "base/check.h"

const struct conf_enum ssl_protocol_names[] = {
    {"TLSv1", TLS_V1_0},
    {"TLSv1.1", TLS_V1_1},
    {"TLSv1.2", TLS_V1_2},
    {"TLSv1.3", TLS_V1_3},
    {NULL, 0},
};

int ssl_read_text(struct conf *conf, struct str word, struct tls_text *out)
{
    if (str_starts(word, STR("engine:")) || str_starts(word, STR("data:")) ||
        str_starts(word, STR("store:")))
        return conf_fail(conf, "\"%.*s\" is not supported, a file is expected",
                         STR_ARG(word));
    if (str_find(word, '$', 0) < word.n)
        return conf_fail(conf, "variables in \"%.*s\" are not supported",
                         STR_ARG(word));
    out->path = conf_full_path(conf, word, true);
    if (conf_read_file(conf, out->path, &out->text) == 0)
        return 0;
    struct err why = *conf->err;
    return conf_fail(conf, "cannot load \"%s\": %s", out->path, why.text);
}

int ssl_set_text(struct conf *conf, struct conf_scope *scope,
                 const struct directive *row, const struct conf_node *node,
                 void *field)
{
    (void)scope, (void)row;
    return ssl_read_text(conf, conf_arg(node, 1), field);
}

int ssl_set_texts(struct conf *conf, struct conf_scope *scope,
                  const struct directive *row, const struct conf_node *node,
                  void *field)
{
    struct tls_text *text = arena_calloc(conf->arena, sizeof *text);
    (void)row;
    if (ssl_read_text(conf, conf_arg(node, 1), text) == -1)
        return -1;
    conf_list_add(conf, scope, field, text);
    return 0;
}

int ssl_read_certificate(struct conf *conf, struct str word,
                         struct ssl_text *out)
{
    *out = (struct ssl_text){.directory = conf_full_path(conf, STR(""), true)};
    if (str_find(word, '$', 0) < word.n) {
        out->file.path = arena_cstr(conf->arena, word);
        out->value = value_compile(conf, conf->variables, word);
        return out->value ? 0 : -1;
    }
    if (str_starts(word, STR("data:"))) {
        out->file.path = "data:...";
        out->file.text = arena_str(conf->arena, str_slice(word, 5, word.n));
        return 0;
    }
    return ssl_read_text(conf, word, &out->file);
}

int ssl_set_certificates(struct conf *conf, struct conf_scope *scope,
                         const struct directive *row,
                         const struct conf_node *node, void *field)
{
    struct ssl_text *text = arena_calloc(conf->arena, sizeof *text);
    (void)row;
    if (ssl_read_certificate(conf, conf_arg(node, 1), text) == -1)
        return -1;
    conf_list_add(conf, scope, field, text);
    return 0;
}

/* What a command reads from files or asks at run time is not for it. */
static bool command_is_ours(struct str name)
{
    static const char *const taken[] = {
        "Certificate",  "PrivateKey",   "ChainCAFile",    "ChainCAPath",
        "VerifyCAFile", "VerifyCAPath", "RequestCAFile",  "RequestCAPath",
        "ClientCAFile", "ClientCAPath", "ServerInfoFile", "DHParameters",
        "VerifyMode",   "ChainCAStore", "VerifyCAStore",  "RequestCAStore"};
    for (size_t i = 0; i < COUNT(taken); i++)
        if (str_eq_nocase(name, str_c(taken[i])))
            return true;
    return false;
}

int ssl_set_command(struct conf *conf, struct conf_scope *scope,
                    const struct directive *row, const struct conf_node *node,
                    void *field)
{
    (void)row;
    if (command_is_ours(conf_arg(node, 1)))
        return conf_fail(conf, "\"%.*s\" has a directive of its own",
                         STR_ARG(conf_arg(node, 1)));
    for (size_t i = 1; i <= 2; i++)
        conf_list_add(conf, scope, field,
                      arena_cstr(conf->arena, conf_arg(node, i)));
    return 0;
}

struct tls_identity *ssl_identities(struct conf *conf,
                                    const struct conf_list *certificates,
                                    const struct conf_list *keys, bool *dynamic)
{
    if (keys->n < certificates->n) {
        const struct ssl_text *lonely = certificates->items[keys->n];
        conf_fail(conf,
                  "no \"ssl_certificate_key\" is defined for certificate "
                  "\"%s\"",
                  lonely->file.path);
        return NULL;
    }
    struct tls_identity *all =
        arena_calloc(conf->arena, (certificates->n + 1) * sizeof *all);
    *dynamic = false;
    for (size_t i = 0; i < certificates->n; i++) {
        const struct ssl_text *certificate = certificates->items[i];
        const struct ssl_text *key = keys->items[i];
        all[i].certificate = certificate->file;
        all[i].key = key->file;
        *dynamic = *dynamic || certificate->value || key->value;
    }
    return all;
}

const char **ssl_command_words(struct conf *conf, const struct conf_list *list)
{
    const char **words =
        arena_calloc(conf->arena, (list->n + 1) * sizeof *words);
    for (size_t i = 0; i < list->n; i++)
        words[i] = list->items[i];
    return words;
}
