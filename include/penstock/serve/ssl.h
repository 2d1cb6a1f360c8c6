/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/ssl.h - listen ... ssl: which certificate answers, and what a client
 * must show.
 *
 * The module makes one context of each server{} that has a certificate.  The
 * name in the client's hello chooses among the servers of the address; the
 * Host of a request chooses again, and a server that demands client
 * certificates only answers on connections that its own settings made.
 */
#ifndef PENSTOCK_SERVE_SSL_H
#define PENSTOCK_SERVE_SSL_H

#include "io/tls.h"
#include "serve/request.h"

struct client;
struct ssl_certificate_cache;

/* A certificate or a key. */
struct ssl_text {
    struct tls_text file;  /* its text is not known yet when there is a */
    struct value *value;   /* name with variables; else NULL */
    const char *directory; /* that a relative name starts from */
};

struct ssl_conf {
    struct conf_list certificates, keys; /* const struct ssl_text */
    bool dynamic;                        /* one of them has variables */
    struct ssl_certificate_cache *certificate_cache; /* NULL: off */
    struct conf_list ticket_keys;                    /* struct tls_text */
    struct conf_list commands;                       /* const char */
    struct tls_text passwords, dhparam, authorities, trusted, crl;
    unsigned protocols; /* enum tls_protocol */
    struct str ciphers, curves;
    bool prefer_server_ciphers;
    unsigned session_cache;    /* enum tls_cache, or'ed */
    struct zone *session_zone; /* of shared:, or NULL */
    uint64_t sessions_max;     /* of builtin */
    bool early_data;
    bool stapling, stapling_verify;
    struct tls_text stapling_file;
    struct str stapling_responder;
    uint64_t session_timeout_s;
    bool session_tickets;
    bool reject_handshake;
    unsigned verify; /* enum tls_verify */
    uint64_t verify_depth;
    uint64_t buffer_size;
    struct tls_context *context; /* NULL: the server has no certificate */
};

extern struct conf_module ssl_module;
/* $ssl_*; ends with name NULL. */
extern const struct variable ssl_variables[];

/* Read the file named by word at into *out, path as nginx completes it. */
int ssl_read_text(struct conf *conf, struct str word, struct tls_text *out);
conf_setter ssl_set_text;  /* [struct tls_text] */
conf_setter ssl_set_texts; /* [struct conf_list of struct tls_text] */
/* [struct conf_list of struct ssl_text]; variables and "data:" are fine */
conf_setter ssl_set_certificates;
conf_setter ssl_set_certificate_cache; /* [struct ssl_certificate_cache *] */
conf_setter ssl_set_command; /* [struct conf_list of two const char *] */
extern const struct conf_enum ssl_protocol_names[];

/* One ssl_text, of the directive's argument; -1 with the sentence. */
int ssl_read_certificate(struct conf *conf, struct str word,
                         struct ssl_text *out);

/* The certificates and keys of two lists, paired; *dynamic when one of them
 * is not known yet.  NULL with the sentence. */
struct tls_identity *ssl_identities(struct conf *conf,
                                    const struct conf_list *certificates,
                                    const struct conf_list *keys,
                                    bool *dynamic);

/* The credential that names with variables mean for e now, a reference, and
 * in *label what tells it from others.  NULL with the sentence. */
struct tls_credential *
ssl_credential(const struct ssl_text *certificate, const struct ssl_text *key,
               struct str passwords, struct ssl_certificate_cache *cache,
               struct evaluation *e, struct str *label, struct err *err);
/* As arrays, which the settings want. */
const char **ssl_command_words(struct conf *conf, const struct conf_list *list);

/* A client came to a listen with ssl.  -1: out of memory. */
int ssl_accept(struct client *c);

/* Why its connection broke, if that was TLS's fault. */
void ssl_log_error(const struct client *c);

/* 400 with nginx's numbers 495 to 497, 421, or VERDICT_DECLINED: go on. */
int ssl_check(struct request *r);

#endif
