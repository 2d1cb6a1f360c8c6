/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * http/head.h - the head of an HTTP message as fields that point at its bytes.
 *
 * RFC 9110 sections 5, 6 and 7; RFC 9112 sections 2 to 6.  What HTTP/1.1 and
 * HTTP/2 have in common: either reader fills it.  Owns nothing: every str
 * points into the head's bytes, and the field array belongs to who filled it.
 */
#ifndef PENSTOCK_HTTP_HEAD_H
#define PENSTOCK_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"

/* Methods that the code asks about; every other one is METHOD_OTHER and is
 * known by its text. */
enum method {
    METHOD_OTHER = 0,
    METHOD_GET,
    METHOD_HEAD,
    METHOD_POST,
    METHOD_PUT,
    METHOD_DELETE,
    METHOD_CONNECT,
    METHOD_OPTIONS,
    METHOD_TRACE,
    METHOD_PATCH,
    METHOD_MKCOL,
    METHOD_COPY,
    METHOD_MOVE,
    METHOD_PROPFIND,
    METHOD_PROPPATCH,
    METHOD_LOCK,
    METHOD_UNLOCK,
    METHOD_PURGE,
};

enum body_kind {
    BODY_NONE = 0,  /* nothing follows the head */
    BODY_LENGTH,    /* content_length bytes */
    BODY_CHUNKED,   /* RFC 9112 section 7.1 */
    BODY_UNTIL_EOF, /* responses only: to the end of the connection */
};

struct http_field {
    struct str name;  /* original case */
    struct str value; /* trimmed; no CR, LF or NUL inside */
};

struct http_head {
    /* requests */
    enum method method;
    struct str method_text;
    struct str target;    /* as sent */
    struct str path;      /* origin-form part of target: "/a%20b?x" of an
                             absolute-form target too; "*" for OPTIONS * */
    struct str authority; /* of absolute-form, else of Host; may be empty in
                             HTTP/1.0.  Checked: host [":" port], no userinfo */
    /* responses */
    unsigned status; /* 100..999 */
    struct str reason;

    /* both */
    uint8_t version; /* 10, 11 or 20 */
    struct http_field *fields;
    size_t fields_n;
    enum body_kind body;
    uint64_t content_length; /* with BODY_LENGTH; < 2^63 */
    bool keep_alive;         /* what version and Connection say */
    bool expect_continue;    /* Expect: 100-continue, in HTTP/1.1 */
    bool upgrade;            /* Connection: upgrade and an Upgrade field */
    const char *bytes; /* the head as it came, size bytes; NULL: not in one
                          piece */
    size_t size;       /* bytes of the head with its last empty line */
};

/* The value of the first field of that name, or a str with p NULL. */
struct str http_head_find(const struct http_head *h, struct str name);

/* How many fields have that name. */
size_t http_head_count(const struct http_head *h, struct str name);

/*
 * All values of that name joined with ", " (RFC 9110 5.3; Cookie with "; ").
 * Points into the head when there is just one, else made in the arena.
 */
struct str http_head_join(const struct http_head *h, struct str name,
                          struct arena *arena);

/* A copy whose bytes and fields live in the arena. */
void http_head_copy(struct http_head *to, const struct http_head *from,
                    struct arena *arena);

enum method http_method_find(struct str name);

/* True for GET, HEAD, PUT, DELETE, OPTIONS, TRACE (RFC 9110 9.2.2) and the
 * WebDAV ones that RFC 4918 calls idempotent. */
bool http_method_is_idempotent(enum method m);

/* "Not Found" for 404; "" for codes that have no name. */
struct str http_status_reason(unsigned status);

/* RFC 9110 5.1 and 5.5: what may be sent without splitting a message. */
bool http_field_name_is_valid(struct str name);
bool http_field_value_is_valid(struct str value);

/* RFC 9110 section 7.6.1: Connection, Keep-Alive, Proxy-Connection, TE,
 * Trailer, Transfer-Encoding, Upgrade. */
bool http_field_is_hop_by_hop(struct str name);

/* May it stand behind a body (RFC 9110 section 6.5.1)?  Not what tells where a
 * message ends, whom it is for or how it is to be read. */
bool http_field_may_trail(struct str name);

#endif
