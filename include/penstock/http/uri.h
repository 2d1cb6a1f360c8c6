/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * http/uri.h - the path of a request, decoded and normalised as nginx does.
 *
 * RFC 3986 sections 2.1 and 5.2.4, and nginx where it is stricter.  Locations
 * are matched and files opened by the result, so an encoded dot, slash or
 * NUL must not mean anything else here than there.  Pure.
 */
#ifndef PENSTOCK_HTTP_URI_H
#define PENSTOCK_HTTP_URI_H

#include "base/arena.h"
#include "base/buf.h"

struct http_uri {
    struct str path; /* decoded, without "." and ".." */
    struct str args; /* after the "?", without it; p NULL: none */
    bool is_as_sent; /* path is byte for byte what was given: it may be
                        passed on unchanged */
};

/*
 * Read a path with an optional query ("/a%20b/../c?x"); a fragment is cut
 * off.  out has room for target.n bytes and becomes the path's memory; args
 * points into target.
 *
 * "%25", "%23" and "%3F" give characters that are only characters; every
 * other escape counts as what it stands for ("%2F" is a slash, "%2e%2e/" goes
 * up).
 *
 * Returns 1, or -400: no slash in front, a broken escape, a NUL ("%00"), or a
 * ".." above the root.
 */
int http_uri_normalise(struct str target, bool merge_slashes, char *out,
                       struct http_uri *uri);

/* The same with the memory taken from the arena; the path is followed by a
 * NUL that is not counted. */
int http_uri_parse(struct str target, bool merge_slashes, struct arena *arena,
                   struct http_uri *uri);

/* What stays as it is, besides letters, digits and most punctuation: */
enum http_escape {
    ESCAPE_PATH = 0,  /* slashes, "&", "+", ";": for a path */
    ESCAPE_ARGS,      /* slashes: for one argument of a query */
    ESCAPE_COMPONENT, /* "-._~" and nothing else */
};

/* Append s percent-encoded (upper-case digits).  False when to is full. */
bool http_uri_escape(struct buf *to, struct str s, enum http_escape how);

/* s itself when nothing needs escaping, else a copy in the arena. */
struct str http_uri_escape_in(struct arena *arena, struct str s,
                              enum http_escape how);

/* Decode %XX into out (room for s.n bytes; may be s.p); what is not an escape
 * stays.  Returns the size.  The result may hold any byte, NUL too. */
size_t http_uri_unescape(char *out, struct str s);

#endif
