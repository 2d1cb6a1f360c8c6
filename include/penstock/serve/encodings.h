/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/encodings.h - Content-Encoding: gzip, gunzip, brotli, gzip_static,
 * brotli_static and what they share.
 */
#ifndef PENSTOCK_SERVE_ENCODINGS_H
#define PENSTOCK_SERVE_ENCODINGS_H

#include "serve/request.h"

/* gzip_proxied, or'ed: when to encode for a request that came through another
 * proxy (it has a Via field). */
enum encoding_proxied {
    PROXIED_OFF = 1 << 0,
    PROXIED_EXPIRED = 1 << 1,
    PROXIED_NO_CACHE = 1 << 2,
    PROXIED_NO_STORE = 1 << 3,
    PROXIED_PRIVATE = 1 << 4,
    PROXIED_NO_LAST_MODIFIED = 1 << 5,
    PROXIED_NO_ETAG = 1 << 6,
    PROXIED_AUTH = 1 << 7,
    PROXIED_ANY = 1 << 8,
};

struct encoding_conf {
    bool vary;
    unsigned http_version;    /* 10 or 11 */
    unsigned proxied;         /* enum encoding_proxied */
    struct conf_list disable; /* struct regex, against User-Agent */
    bool disable_msie6;
};

extern struct conf_module encoding_module; /* gzip_vary and its like */
extern struct conf_module gzip_module;
extern struct conf_module gunzip_module;
extern struct conf_module brotli_module;
extern struct conf_module precompressed_module;

/* $gzip_ratio; ends with name NULL. */
extern const struct variable encoding_variables[];

/*
 * Does an Accept-Encoding (RFC 9110 12.5.3) name the coding, with a weight
 * above 0?  "*" is not taken for it, as in nginx.
 */
bool encoding_is_accepted(struct str accept_encoding, struct str coding);

/* Is that MSIE 4 to 6, but 6 with SV1? */
bool encoding_is_old_msie(struct str user_agent);

/* May this response be gzipped for its client? */
bool encoding_gzip_ok(struct request *r);

/* How a file is sent that stands compressed beside itself. */
struct precompressed {
    struct str suffix; /* ".gz" */
    struct str coding; /* "gzip" */
    bool always;       /* whatever the client says */
};

/*
 * gzip_static, brotli_static: try the i-th form of a file (from 0).  True when
 * there is something to try: *with, and accepted says whether the client may
 * get it; when not, it is only looked for to say Vary.
 */
bool precompressed_next(struct request *r, unsigned *i,
                        struct precompressed *with, bool *accepted);

#endif
