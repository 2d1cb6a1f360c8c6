/* SPDX-License-Identifier: BSD-2-Clause */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "filter/filters.h"
#include "http/uri.h"
#include "serve/pages.h"
#include "serve/path.h"

enum {
    NAME_MAX_SHOWN = 50,   /* characters; nginx's */
    ENTRIES_MAX = 1000000, /* of one directory; the rest is left out */
};

enum autoindex_format {
    FORMAT_HTML = 0,
    FORMAT_JSON,
    FORMAT_JSONP,
    FORMAT_XML,
};

struct autoindex_conf {
    bool on, exact_size, localtime;
    unsigned format; /* enum autoindex_format */
};

struct entry {
    struct str name;
    bool is_directory, is_file;
    time_t modified;
    uint64_t size;
};

struct listing {
    struct entry *entries;
    size_t n, capacity;
};

/* ---- reading ---- */

/* Links are followed; one that leads nowhere is listed as it is. */
static bool look(struct request *r, int directory, const char *name,
                 struct entry *e)
{
    struct stat st;

    if (fstatat(directory, name, &st, 0) == -1) {
        if (errno != ENOENT && errno != ELOOP) {
            log_errno(&r->log, LEVEL_CRIT, errno, "stat() \"%s\" failed", name);
            return false;
        }
        if (fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) == -1)
            return false;
    }
    *e = (struct entry){
        .name = arena_str(r->arena, str_c(name)),
        .is_directory = S_ISDIR(st.st_mode),
        .is_file = S_ISREG(st.st_mode),
        .modified = st.st_mtime,
        .size = (uint64_t)st.st_size,
    };
    return true;
}

static int by_name(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    if (x->is_directory != y->is_directory)
        return x->is_directory ? -1 : 1;
    return strcmp(x->name.p, y->name.p);
}

static void read_entries(struct request *r, DIR *d, struct listing *l)
{
    struct dirent *de;

    while (l->n < ENTRIES_MAX && (de = readdir(d))) {
        struct entry e;
        if (de->d_name[0] == '.' || !look(r, dirfd(d), de->d_name, &e))
            continue;
        if (l->n == l->capacity) {
            l->capacity = l->capacity ? 2 * l->capacity : 64;
            struct entry *more =
                arena_alloc(r->arena, l->capacity * sizeof *more);
            if (l->n)
                memcpy(more, l->entries, l->n * sizeof *more);
            l->entries = more;
        }
        l->entries[l->n++] = e;
    }
    if (l->n)
        qsort(l->entries, l->n, sizeof *l->entries, by_name);
}

/* ---- html ---- */

static void put_html(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        switch (s.p[i]) {
        case '<':
            buf_put_str(b, STR("&lt;"));
            break;
        case '>':
            buf_put_str(b, STR("&gt;"));
            break;
        case '&':
            buf_put_str(b, STR("&amp;"));
            break;
        case '"':
            buf_put_str(b, STR("&quot;"));
            break;
        default:
            buf_put_u8(b, (uint8_t)s.p[i]);
        }
}

/* Bytes of the first n characters: of UTF-8 when it is that. */
static size_t bytes_of(struct str s, size_t n, bool is_utf8)
{
    size_t i = 0;

    if (!is_utf8)
        return n < s.n ? n : s.n;
    for (; i < s.n && n; n--)
        do
            i++;
        while (i < s.n && ((uint8_t)s.p[i] & 0xc0) == 0x80);
    return i;
}

static size_t characters(struct str s, bool is_utf8)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++)
        n += !is_utf8 || ((uint8_t)s.p[i] & 0xc0) != 0x80;
    return n;
}

static void put_size(struct buf *b, const struct entry *e, bool exact)
{
    static const uint64_t k = 1024, m = 1024 * 1024, g = 1024 * 1024 * 1024;
    uint64_t n = e->size, unit = n >= g ? g : n >= m ? m : n > 9999 ? k : 0;

    if (e->is_directory)
        buf_put_str(b, exact ? STR("                  -") : STR("      -"));
    else if (exact)
        buf_printf(b, "%19llu", (unsigned long long)n);
    else if (!unit)
        buf_printf(b, " %6llu", (unsigned long long)n);
    else
        buf_printf(b, "%6llu%c",
                   (unsigned long long)(n / unit + (n % unit >= unit / 2)),
                   unit == g   ? 'G'
                   : unit == m ? 'M'
                               : 'K');
}

static void put_row(struct buf *b, const struct entry *e,
                    const struct autoindex_conf *c, bool is_utf8)
{
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    size_t n = characters(e->name, is_utf8);
    struct tm tm;

    buf_put_str(b, STR("<a href=\""));
    http_uri_escape(b, e->name, ESCAPE_COMPONENT);
    buf_put_str(b, e->is_directory ? STR("/\">") : STR("\">"));
    if (n > NAME_MAX_SHOWN) {
        put_html(b, str_slice(e->name, 0,
                              bytes_of(e->name, NAME_MAX_SHOWN - 3, is_utf8)));
        buf_put_str(b, STR("..&gt;</a>"));
    } else {
        put_html(b, e->name);
        if (e->is_directory && n < NAME_MAX_SHOWN) {
            buf_put_u8(b, '/');
            n++;
        }
        buf_put_str(b, STR("</a>"));
        buf_printf(b, "%*s", (int)(NAME_MAX_SHOWN - n), "");
    }
    if (c->localtime)
        localtime_r(&e->modified, &tm);
    else
        gmtime_r(&e->modified, &tm);
    buf_printf(b, " %02d-%s-%d %02d:%02d ", tm.tm_mday, months[tm.tm_mon],
               tm.tm_year + 1900, tm.tm_hour, tm.tm_min);
    put_size(b, e, c->exact_size);
    buf_put_str(b, STR("\r\n"));
}

static void make_html(struct request *r, const struct listing *l,
                      const struct autoindex_conf *c, struct buf *b)
{
    /* As `charset` has it. */
    bool is_utf8 = str_ends(r->response.content_type, STR("=utf-8"));

    buf_put_str(b, STR("<html>\r\n<head><title>Index of "));
    put_html(b, r->uri);
    buf_put_str(b, STR("</title></head>\r\n<body>\r\n<h1>Index of "));
    put_html(b, r->uri);
    buf_put_str(b, STR("</h1><hr><pre><a href=\"../\">../</a>\r\n"));
    for (size_t i = 0; i < l->n; i++)
        put_row(b, &l->entries[i], c, is_utf8);
    buf_put_str(b, STR("</pre><hr></body>\r\n</html>\r\n"));
}

/* ---- json and xml ---- */

static void put_json(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];
        static const char plain[] = "btnvfr";
        if (c == '"' || c == '\\')
            buf_printf(b, "\\%c", c);
        else if (c >= 8 && c <= 13 && c != 11)
            buf_printf(b, "\\%c", plain[c - 8]);
        else if (c < 0x20)
            buf_printf(b, "\\u00%02X", c);
        else
            buf_put_u8(b, c);
    }
}

static const char *type_of(const struct entry *e)
{
    return e->is_directory ? "directory" : e->is_file ? "file" : "other";
}

static void make_json(struct request *r, const struct listing *l,
                      struct str callback, struct buf *b)
{
    (void)r;
    if (callback.n) {
        /* The comment keeps the bytes in front from being the caller's. */
        buf_put_str(b, STR("/* callback */\r\n"));
        buf_put_str(b, callback);
        buf_put_u8(b, '(');
    }
    buf_put_u8(b, '[');
    for (size_t i = 0; i < l->n; i++) {
        const struct entry *e = &l->entries[i];
        char date[CLOCK_HTTP_DATE_SIZE];
        buf_put_str(b,
                    i ? STR(",\r\n{ \"name\":\"") : STR("\r\n{ \"name\":\""));
        put_json(b, e->name);
        buf_printf(b, "\", \"type\":\"%s\", \"mtime\":\"%.*s\"", type_of(e),
                   STR_ARG(clock_format_http(e->modified, date)));
        if (e->is_file)
            buf_printf(b, ", \"size\":%llu", (unsigned long long)e->size);
        buf_put_str(b, STR(" }"));
    }
    buf_put_str(b, STR("\r\n]"));
    if (callback.n)
        buf_put_str(b, STR(");"));
}

static void make_xml(struct request *r, const struct listing *l, struct buf *b)
{
    (void)r;
    buf_put_str(b, STR("<?xml version=\"1.0\"?>\r\n<list>\r\n"));
    for (size_t i = 0; i < l->n; i++) {
        const struct entry *e = &l->entries[i];
        struct tm tm;
        gmtime_r(&e->modified, &tm);
        buf_printf(b, "<%s mtime=\"%04d-%02d-%02dT%02d:%02d:%02dZ\"",
                   type_of(e), tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
                   tm.tm_hour, tm.tm_min, tm.tm_sec);
        if (e->is_file)
            buf_printf(b, " size=\"%llu\"", (unsigned long long)e->size);
        buf_put_u8(b, '>');
        put_html(b, e->name);
        buf_printf(b, "</%s>\r\n", type_of(e));
    }
    buf_put_str(b, STR("</list>\r\n"));
}

/* ---- the response ---- */

/* A name that a script may call; else there is no callback. */
static int find_callback(struct request *r, struct str *callback)
{
    struct str args = r->args;

    while (args.p) {
        struct str one = str_cut(&args, '&');
        if (!str_starts(one, STR("callback=")))
            continue;
        *callback = str_slice(one, 9, one.n);
        for (size_t i = 0; i < callback->n; i++) {
            char c = ascii_lower(callback->p[i]);
            if (!ascii_is_digit(c) && !(c >= 'a' && c <= 'z') && c != '_' &&
                c != '.') {
                log_err(&r->log, "client sent invalid callback name: \"%.*s\"",
                        STR_ARG(*callback));
                return 400;
            }
        }
        break;
    }
    return VERDICT_DECLINED;
}

static int cannot_open(struct request *r, const char *path)
{
    int error = errno;

    log_errno(&r->log,
              error == EACCES || error == ENOENT ? LEVEL_ERROR : LEVEL_CRIT,
              error, "opendir() \"%s\" failed", path);
    return error == ENOENT || error == ENOTDIR || error == ENAMETOOLONG ? 404
           : error == EACCES                                            ? 403
                                                                        : 500;
}

int autoindex_run(struct request *r)
{
    static const struct str types[] = {
        STR_INIT("text/html"),
        STR_INIT("application/json"),
        STR_INIT("application/javascript"),
        STR_INIT("text/xml; charset=utf-8"),
    };
    const struct autoindex_conf *c = request_conf(r, &autoindex_module);
    struct str callback = {NULL, 0};
    struct listing l = {.n = 0};
    struct buf b = {.max = 0};
    unsigned format = c->format;
    struct path path;

    if (!c->on ||
        (r->head.method != METHOD_GET && r->head.method != METHOD_HEAD))
        return VERDICT_DECLINED;
    int status = path_of_uri(r, r->uri, &path);
    if (status)
        return status;
    if (c->format == FORMAT_JSONP &&
        (status = find_callback(r, &callback)) != VERDICT_DECLINED)
        return status;
    if (format == FORMAT_JSONP && !callback.n)
        format = FORMAT_JSON;
    DIR *d = opendir(path.text.p);
    if (!d)
        return cannot_open(r, path.text.p);
    read_entries(r, d, &l);
    closedir(d);
    r->response.status = 200;
    r->response.content_type = types[format];
    filters_run_head(r);
    switch ((enum autoindex_format)format) {
    case FORMAT_HTML:
        make_html(r, &l, c, &b);
        break;
    case FORMAT_JSON:
    case FORMAT_JSONP:
        make_json(r, &l, callback, &b);
        break;
    case FORMAT_XML:
        make_xml(r, &l, &b);
        break;
    }
    struct iovec iov = {b.p, b.n};
    request_send_body(r, &iov, 1, true);
    buf_fini(&b);
    return VERDICT_DONE;
}

/* ---- configuration ---- */

static const struct conf_enum formats[] = {
    {"html", FORMAT_HTML},
    {"json", FORMAT_JSON},
    {"jsonp", FORMAT_JSONP},
    {"xml", FORMAT_XML},
    {NULL, 0},
};

enum {
    ANYWHERE = CONF_HTTP | CONF_SERVER | CONF_LOCATION,
};

#define FIELD(name) offsetof(struct autoindex_conf, name)

static const struct directive autoindex_directives[] = {
    {.name = "autoindex",
     .contexts = ANYWHERE,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(on),
     .default_text = "off",
     .help = "List directories that have no index file."},
    {.name = "autoindex_exact_size",
     .contexts = ANYWHERE,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(exact_size),
     .default_text = "on",
     .help = "Show sizes in bytes, or rounded; in html."},
    {.name = "autoindex_localtime",
     .contexts = ANYWHERE,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(localtime),
     .default_text = "off",
     .help = "Show local times rather than UTC; in html."},
    {.name = "autoindex_format",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = conf_set_enum,
     .offset = FIELD(format),
     .data = formats,
     .default_text = "html",
     .help = "How the list is written."},
    {.name = NULL},
};

struct conf_module autoindex_module = {
    .name = "autoindex",
    .size = sizeof(struct autoindex_conf),
    .directives = autoindex_directives,
};
