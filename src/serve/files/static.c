/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/static.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/random.h"
#include "filter/filters.h"
#include "http/condition.h"
#include "http/range.h"
#include "http/uri.h"
#include "serve/encodings.h"
#include "serve/file.h"
#include "serve/pages.h"
#include "serve/path.h"
#include "serve/subrequest.h"
#include "serve/try_files.h"
#include "serve/types.h"

enum {
    WHOLE_MAX = 16 * 1024,  /* bytes of a file that leaves with its head */
    PIECE_SIZE = 32 * 1024, /* bytes of a multipart body read at a time */
    RANGES_MAX = 128,       /* of one request, whatever max_ranges says */
};

struct str static_etag(time_t modified, uint64_t size,
                       char out[STATIC_ETAG_MAX])
{
    int n = snprintf(out, STATIC_ETAG_MAX, "\"%llx-%llx\"",
                     (unsigned long long)modified, (unsigned long long)size);
    return str_n(out, (size_t)n);
}

/* ---- multipart/byteranges ---- */

/* A response of several ranges, while it is sent. */
struct parts {
    int fd;
    struct http_range *ranges;
    struct str *heads, end;
    int n, i;
    uint64_t at; /* in range i; SIZE_MAX: its head was not sent yet */
    bool head_sent;
};

static void close_parts(void *arg)
{
    struct parts *p = arg;
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
}

/* Send until the client's queue is full.  A verdict. */
static int pump_parts(struct request *r, struct parts *p)
{
    static uint8_t piece[PIECE_SIZE]; /* the stream copies what it keeps */

    while (p->i < p->n) {
        struct http_range *range = &p->ranges[p->i];
        struct iovec iov[2];
        int n = 0;
        if (!p->head_sent) {
            iov[n++] = (struct iovec){(void *)(uintptr_t)p->heads[p->i].p,
                                      p->heads[p->i].n};
            p->head_sent = true;
        }
        uint64_t left = range->end - range->start;
        size_t want = left < PIECE_SIZE ? (size_t)left : PIECE_SIZE;
        ssize_t got = pread(p->fd, piece, want, (off_t)range->start);
        if (got <= 0) {
            log_errno(&r->log, LEVEL_CRIT, got ? errno : 0,
                      "pread() read only 0 of %zu bytes", want);
            return 500;
        }
        iov[n++] = (struct iovec){piece, (size_t)got};
        range->start += (uint64_t)got;
        if (range->start == range->end) {
            p->i++;
            p->head_sent = false;
        }
        if (!request_send_body(r, iov, n, false))
            return VERDICT_PENDING;
    }
    struct iovec end = {(void *)(uintptr_t)p->end.p, p->end.n};
    request_send_body(r, &end, 1, true);
    close_parts(p);
    return VERDICT_DONE;
}

static void on_drain(struct request *r)
{
    request_finish(r, pump_parts(r, r->handler_state));
}

/* From a buf to the arena. */
static struct str keep(struct request *r, struct buf *b)
{
    struct str s = arena_str(r->arena, buf_str(b));
    buf_clear(b);
    return s;
}

static int send_parts(struct request *r, int fd, uint64_t size,
                      struct http_range *ranges, int n)
{
    struct response *out = &r->response;
    struct parts *p = arena_calloc(r->arena, sizeof *p);
    char boundary_text[HTTP_BOUNDARY_SIZE + 1];
    struct str boundary =
        arena_str(r->arena, http_boundary(random_u64(), boundary_text));
    struct buf b = {.max = 0};
    uint64_t total = 0;

    *p = (struct parts){.fd = fd, .ranges = ranges, .n = n};
    arena_on_destroy(r->arena, close_parts, p);
    p->heads = arena_alloc(r->arena, (size_t)n * sizeof *p->heads);
    for (int i = 0; i < n; i++) {
        http_multipart_put_head(&b, boundary, out->content_type, &ranges[i],
                                size);
        p->heads[i] = keep(r, &b);
        total += p->heads[i].n + (ranges[i].end - ranges[i].start);
    }
    http_multipart_put_end(&b, boundary);
    p->end = keep(r, &b);
    buf_fini(&b);

    out->status = 206;
    out->content_type = arena_printf(
        r->arena, "multipart/byteranges; boundary=%.*s", STR_ARG(boundary));
    out->content_length = (int64_t)(total + p->end.n);
    if (r->head.method == METHOD_HEAD) {
        request_send_body(r, NULL, 0, true);
        return VERDICT_DONE;
    }
    r->handler_state = p;
    return pump_parts(r, p);
}

/* ---- one file ---- */

/* Bytes [start, end) of fd, which is ours to close. */
static int send_slice(struct request *r, int fd, uint64_t start, uint64_t end)
{
    static uint8_t whole[WHOLE_MAX]; /* the stream copies what it keeps */
    uint64_t n = end - start;

    if (!r->filters)
        r->response.content_length = (int64_t)n;
    if (r->head.method == METHOD_HEAD || n == 0) {
        close(fd);
        request_send_body(r, NULL, 0, true);
        return VERDICT_DONE;
    }
    if (n > WHOLE_MAX) {
        request_send_file(r, fd, (off_t)start, n);
        return VERDICT_DONE;
    }
    ssize_t got = pread(fd, whole, (size_t)n, (off_t)start);
    int error = errno;
    close(fd);
    if (got != (ssize_t)n) {
        log_errno(&r->log, LEVEL_CRIT, got < 0 ? error : 0,
                  "pread() read only %zd of %llu bytes", got,
                  (unsigned long long)n);
        response_reset(r);
        return 500;
    }
    struct iovec iov = {whole, (size_t)got};
    request_send_body(r, &iov, 1, true);
    return VERDICT_DONE;
}

static struct str content_range(struct request *r,
                                const struct http_range *range, uint64_t size)
{
    struct buf b = {.max = 0};
    http_range_put(&b, range, size);
    struct str s = keep(r, &b);
    buf_fini(&b);
    return s;
}

static int send_ranges(struct request *r, int fd, uint64_t size,
                       const struct http_validators *have)
{
    const struct static_conf *c = request_conf(r, &static_module);
    struct str field = http_head_find(&r->head, STR("Range"));

    if (c->max_ranges == 0 || r->head.version < 10 || request_is_sub(r))
        return send_slice(r, fd, 0, size);
    r->response.content_length = (int64_t)size;
    if (!field.p) {
        r->response.allow_ranges = true;
        return send_slice(r, fd, 0, size);
    }
    /* What filters make of it has no parts that could be read here. */
    filters_run_head(r);
    if (r->filters)
        return send_slice(r, fd, 0, size);
    int n = 0;
    struct http_range *ranges = NULL;
    if (http_condition_allows_range(&r->head, have)) {
        int max = c->max_ranges < RANGES_MAX ? (int)c->max_ranges : RANGES_MAX;
        ranges = arena_alloc(r->arena, (size_t)max * sizeof *ranges);
        n = http_range_parse(field, size, ranges, max);
    }
    if (n == -416) {
        close(fd);
        response_reset(r);
        response_add(r, STR("Content-Range"), content_range(r, NULL, size));
        return 416;
    }
    if (n > 1)
        return send_parts(r, fd, size, ranges, n);
    if (n == 1) {
        r->response.status = 206;
        response_add(r, STR("Content-Range"),
                     content_range(r, &ranges[0], size));
        return send_slice(r, fd, ranges[0].start, ranges[0].end);
    }
    response_add(r, STR("Accept-Ranges"), STR("bytes"));
    return send_slice(r, fd, 0, size);
}

/* coding: of the bytes; p NULL: they are as they are. */
static int send_regular(struct request *r, int fd, const struct stat *st,
                        struct str coding)
{
    const struct static_conf *c = request_conf(r, &static_module);
    struct http_validators have = {.modified = st->st_mtime};
    char etag[STATIC_ETAG_MAX];
    uint64_t size = (uint64_t)st->st_size;

    if (c->etag)
        have.etag = arena_str(r->arena, static_etag(st->st_mtime, size, etag));
    r->response.status = 200;
    r->response.last_modified = have.modified;
    r->response.etag = have.etag;

    /* The date is that of the page, not of what was asked for. */
    if (r->error_status && r->error_status != 200)
        r->response.last_modified = -1;
    unsigned answer = r->error_page_used || request_is_sub(r)
                          ? 200 /* what the page stands for was no success */
                          : http_condition_evaluate(&r->head, &have,
                                                    (enum http_since)c->since);
    if (answer == 200) {
        if (!r->response.content_type.p) /* else X-Accel-Redirect's */
            r->response.content_type =
                types_find(request_conf(r, &types_module), r->uri);
        if (coding.p)
            response_add(r, STR("Content-Encoding"), coding);
        bool whole = (r->error_page_used && r->error_status != 200) || coding.p;
        return whole ? send_slice(r, fd, 0, size)
                     : send_ranges(r, fd, size, &have);
    }
    close(fd);
    if (answer == 412) {
        response_reset(r);
        return 412;
    }
    r->response.status = answer;
    request_send_body(r, NULL, 0, true);
    return VERDICT_DONE;
}

/* ---- a file that stands compressed beside itself ---- */

/* The file at the path plus suffix, open, or -1; *exists: there is something.
 */
static int open_beside(struct request *r, const struct path *path,
                       struct str suffix, struct stat *st, bool *exists)
{
    struct str name = arena_printf(r->arena, "%.*s%.*s", STR_ARG(path->text),
                                   STR_ARG(suffix));
    struct path beside = {.text = name, .root_n = path->root_n};
    int fd = -1;

    *exists = file_open(r, &beside, st, &fd) == 0;
    return fd;
}

/* gzip_static, brotli_static; VERDICT_DECLINED: there is none. */
static int serve_precompressed(struct request *r, const struct path *path)
{
    struct precompressed with;
    unsigned i = 0;
    bool accepted;

    while (precompressed_next(r, &i, &with, &accepted)) {
        struct stat st;
        bool exists = false;
        int fd = open_beside(r, path, with.suffix, &st, &exists);
        if (exists && !with.always)
            r->response.vary = true;
        if (fd == -1)
            continue;
        if (!accepted) {
            close(fd);
            continue;
        }
        return send_regular(r, fd, &st, with.coding);
    }
    return VERDICT_DECLINED;
}

static int redirect_to_directory(struct request *r)
{
    struct str uri = http_uri_escape_in(r->arena, r->uri, ESCAPE_PATH);

    response_reset(r);
    r->response.location = arena_printf(r->arena, "%.*s/%s%.*s", STR_ARG(uri),
                                        r->args.n ? "?" : "", STR_ARG(r->args));
    return 301;
}

/* The status for an errno; what the log says of it is nginx's. */
static int cannot_open(struct request *r, const char *call, const char *path,
                       int error)
{
    const struct static_conf *c = request_conf(r, &static_module);
    enum log_level level = LEVEL_ERROR;
    int status;

    if (error == ENOENT || error == ENOTDIR || error == ENAMETOOLONG) {
        status = 404;
    } else if (error == EACCES || error == ELOOP) {
        status = 403;
    } else {
        level = LEVEL_CRIT;
        status = 500;
    }
    if (status != 404 || c->log_not_found)
        log_errno(&r->log, level, error, "%s \"%s\" failed", call, path);
    return status;
}

static int serve_file(struct request *r)
{
    struct path path;
    struct stat st;
    int status = path_of_uri(r, r->uri, &path);

    if (status)
        return status;
    if (r->head.method != METHOD_POST) {
        status = serve_precompressed(r, &path);
        if (status != VERDICT_DECLINED)
            return status;
    }
    int fd, error = file_open(r, &path, &st, &fd);
    if (error)
        return cannot_open(r, "open()", path.text.p, error);
    if (fd != -1 && r->head.method != METHOD_POST)
        return send_regular(r, fd, &st, (struct str){NULL, 0});
    if (fd != -1)
        close(fd);
    if (S_ISDIR(st.st_mode))
        return redirect_to_directory(r);
    if (S_ISREG(st.st_mode))
        return 405;
    log_write(&r->log, LEVEL_CRIT, "\"%s\" is not a regular file", path.text.p);
    return 404;
}

/* ---- index ---- */

/* None of the index files is there: is the directory? */
static int no_index(struct request *r, const char *tried)
{
    const struct static_conf *c = request_conf(r, &static_module);
    struct path path;
    struct stat st;
    int status = path_of_uri(r, r->uri, &path);

    if (status)
        return status;
    int error = tried ? file_stat(r, &path, &st) : 0;
    if (error) {
        if (error == EACCES) {
            log_errno(&r->log, LEVEL_ERROR, error, "\"%s\" is forbidden",
                      tried);
            return 403;
        }
        if (c->log_not_found)
            log_errno(&r->log, LEVEL_ERROR, ENOENT, "\"%s\" is not found",
                      tried);
        return 404;
    }
    status = autoindex_run(r);
    if (status != VERDICT_DECLINED)
        return status;
    log_err(&r->log, "directory index of \"%s\" is forbidden", path.text.p);
    return 403;
}

/* The index files of a URI that ends with a slash. */
static int serve_index(struct request *r)
{
    const struct static_conf *c = request_conf(r, &static_module);
    const char *tried = NULL;

    for (size_t i = 0; i < c->index.n; i++) {
        struct str name = value_eval(c->index.items[i], &r->eval);
        struct path path;
        struct stat st;
        if (name.n && name.p[0] == '/')
            return request_redirect_internally(r, name, r->args);
        if (!name.n)
            continue;
        struct str uri =
            arena_printf(r->arena, "%.*s%.*s", STR_ARG(r->uri), STR_ARG(name));
        int status = path_of_uri(r, uri, &path);
        if (status)
            return status;
        int error = file_stat(r, &path, &st);
        if (!error)
            return request_redirect_internally(r, uri, r->args);
        if (error == EACCES || error == ELOOP) {
            log_errno(&r->log, LEVEL_ERROR, error, "\"%s\" is forbidden",
                      path.text.p);
            return 403;
        }
        if (error != ENOENT && error != ENOTDIR && error != ENAMETOOLONG) {
            log_errno(&r->log, LEVEL_CRIT, error, "stat() \"%s\" failed",
                      path.text.p);
            return 500;
        }
        tried = path.text.p;
    }
    return no_index(r, tried);
}

static int static_start(struct request *r)
{
    /* In front of another handler it was asked already. */
    if (!r->location->handler) {
        int verdict = try_files_run(r);
        if (verdict != VERDICT_DECLINED)
            return verdict;
    }
    if (r->head.method != METHOD_GET && r->head.method != METHOD_HEAD &&
        r->head.method != METHOD_POST)
        return 405;
    if (r->uri.n && r->uri.p[r->uri.n - 1] == '/')
        return serve_index(r);
    return serve_file(r);
}

const struct handler static_handler = {
    .name = "static",
    .start = static_start,
    .on_drain = on_drain,
};
