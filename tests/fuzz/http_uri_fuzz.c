/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>

#include "base/check.h"
#include "http/authority.h"
#include "http/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* Nothing in a normalised path may lead anywhere else when a file is opened
 * by it. */
static void check_path(struct str path, bool merged)
{
    check(path.n && path.p[0] == '/');
    check(!memchr(path.p, '\0', path.n));
    struct str rest = str_slice(path, 1, path.n), segment;
    while (rest.p) {
        bool last = !memchr(rest.p, '/', rest.n);
        segment = str_cut(&rest, '/');
        check(!str_eq(segment, STR(".")) && !str_eq(segment, STR("..")));
        check(!merged || segment.n || last);
    }
}

/* Escaping a normalised path gives a path that normalises to the same. */
static void check_round_trip(struct str path, bool merge)
{
    struct buf escaped = {0};
    struct http_uri again;
    check(http_uri_escape(&escaped, path, ESCAPE_PATH));
    char *out = xmalloc(escaped.n);
    check(http_uri_normalise(buf_str(&escaped), merge, out, &again) == 1);
    check(str_eq(again.path, path) && !again.args.p);
    check(http_uri_unescape(out, buf_str(&escaped)) == path.n);
    check(memcmp(out, path.p, path.n) == 0);
    free(out);
    buf_fini(&escaped);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    if (!n)
        return 0;
    bool merge = p[0] & 1;
    struct str target = str_n(p + 1, n - 1), host, port;
    struct http_uri uri;
    char *out = xmalloc(n);

    if (http_uri_normalise(target, merge, out, &uri) == 1) {
        check_path(uri.path, merge);
        if (uri.is_as_sent)
            check(str_starts(target, uri.path));
        check_round_trip(uri.path, merge);
    }
    free(out);
    if (http_authority_split(target, &host, &port) == 1) {
        check(host.n && !memchr(host.p, '/', host.n) &&
              !memchr(host.p, '@', host.n));
        check(host.n + (port.p ? port.n + 1 : 0) == target.n);
    }
    return 0;
}
