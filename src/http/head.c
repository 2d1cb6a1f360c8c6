/* SPDX-License-Identifier: BSD-2-Clause */
#include "http/head.h"

#include "base/bytes.h"
#include "base/check.h"

/* Callers look names up all the time, mostly in vain: the length and the last
 * letter send nearly every field away before the comparison. */
static bool name_is(struct str have, struct str want, char last)
{
    return have.n == want.n &&
           (have.n == 0 || (ascii_lower(have.p[have.n - 1]) == last &&
                            str_eq_nocase(have, want)));
}

static char last_letter(struct str name)
{
    return name.n ? ascii_lower(name.p[name.n - 1]) : '\0';
}

struct str http_head_find(const struct http_head *h, struct str name)
{
    char last = last_letter(name);
    for (size_t i = 0; i < h->fields_n; i++)
        if (name_is(h->fields[i].name, name, last))
            return h->fields[i].value;
    return (struct str){NULL, 0};
}

size_t http_head_count(const struct http_head *h, struct str name)
{
    size_t count = 0;
    char last = last_letter(name);
    for (size_t i = 0; i < h->fields_n; i++)
        count += name_is(h->fields[i].name, name, last);
    return count;
}

struct str http_head_join(const struct http_head *h, struct str name,
                          struct arena *arena)
{
    struct str first = http_head_find(h, name);
    size_t count = http_head_count(h, name);
    if (count < 2)
        return first;

    struct str between = STR(", ");
    if (str_eq_nocase(name, STR("cookie")))
        between = STR("; ");
    char last = last_letter(name);
    size_t n = between.n * (count - 1);
    for (size_t i = 0; i < h->fields_n; i++)
        if (name_is(h->fields[i].name, name, last))
            n += h->fields[i].value.n;

    char *joined = arena_alloc(arena, n), *to = joined;
    size_t seen = 0;
    for (size_t i = 0; i < h->fields_n; i++) {
        struct str value = h->fields[i].value;
        if (!name_is(h->fields[i].name, name, last))
            continue;
        if (seen++)
            to = (char *)memcpy(to, between.p, between.n) + between.n;
        if (value.n)
            to = (char *)memcpy(to, value.p, value.n) + value.n;
    }
    return str_n(joined, (size_t)(to - joined));
}

/* Absent (p NULL) stays absent. */
static struct str copied(struct str s, struct arena *arena)
{
    return s.p ? arena_str(arena, s) : s;
}

/* A str of the head, where its copy is.  One that points elsewhere (a path
 * that the reader had to put together) gets memory of its own: what it points
 * at may not live as long. */
static struct str moved(struct str s, const struct http_head *from,
                        const char *bytes, struct arena *arena)
{
    if (s.p < from->bytes || s.p >= from->bytes + from->size)
        return copied(s, arena);
    s.p = bytes + (s.p - from->bytes);
    return s;
}

/* The usual case: one block, copied as it lies. */
static void copy_bytes(struct http_head *to, const struct http_head *from,
                       struct arena *arena)
{
    size_t fields_size = from->fields_n * sizeof *from->fields;
    char *block = arena_alloc(arena, fields_size + from->size);
    char *bytes = block + fields_size;

    *to = *from;
    memcpy(bytes, from->bytes, from->size);
    to->bytes = bytes;
    to->method_text = moved(from->method_text, from, bytes, arena);
    to->target = moved(from->target, from, bytes, arena);
    to->path = moved(from->path, from, bytes, arena);
    to->authority = moved(from->authority, from, bytes, arena);
    to->reason = moved(from->reason, from, bytes, arena);
    to->fields = (struct http_field *)(void *)block;
    for (size_t i = 0; i < from->fields_n; i++) {
        const struct http_field *field = &from->fields[i];
        to->fields[i].name = moved(field->name, from, bytes, arena);
        to->fields[i].value = moved(field->value, from, bytes, arena);
    }
}

/* A head whose pieces lie here and there, as HTTP/2 makes it. */
static void copy_pieces(struct http_head *to, const struct http_head *from,
                        struct arena *arena)
{
    *to = *from;
    to->method_text = copied(from->method_text, arena);
    to->target = copied(from->target, arena);
    to->path = copied(from->path, arena);
    to->authority = copied(from->authority, arena);
    to->reason = copied(from->reason, arena);
    to->fields = arena_alloc(arena, from->fields_n * sizeof *to->fields);
    for (size_t i = 0; i < from->fields_n; i++) {
        to->fields[i].name = copied(from->fields[i].name, arena);
        to->fields[i].value = copied(from->fields[i].value, arena);
    }
}

void http_head_copy(struct http_head *to, const struct http_head *from,
                    struct arena *arena)
{
    if (from->bytes)
        copy_bytes(to, from, arena);
    else
        copy_pieces(to, from, arena);
}

struct method_row {
    struct str name;
    bool idempotent;
};

static const struct method_row methods[] = {
    [METHOD_GET] = {STR_INIT("GET"), true},
    [METHOD_HEAD] = {STR_INIT("HEAD"), true},
    [METHOD_POST] = {STR_INIT("POST"), false},
    [METHOD_PUT] = {STR_INIT("PUT"), true},
    [METHOD_DELETE] = {STR_INIT("DELETE"), true},
    [METHOD_CONNECT] = {STR_INIT("CONNECT"), false},
    [METHOD_OPTIONS] = {STR_INIT("OPTIONS"), true},
    [METHOD_TRACE] = {STR_INIT("TRACE"), true},
    [METHOD_PATCH] = {STR_INIT("PATCH"), false},
    [METHOD_MKCOL] = {STR_INIT("MKCOL"), true},
    [METHOD_COPY] = {STR_INIT("COPY"), true},
    [METHOD_MOVE] = {STR_INIT("MOVE"), true},
    [METHOD_PROPFIND] = {STR_INIT("PROPFIND"), true},
    [METHOD_PROPPATCH] = {STR_INIT("PROPPATCH"), true},
    [METHOD_LOCK] = {STR_INIT("LOCK"), false},
    [METHOD_UNLOCK] = {STR_INIT("UNLOCK"), true},
    [METHOD_PURGE] = {STR_INIT("PURGE"), false},
};

enum method http_method_find(struct str name)
{
    for (size_t i = METHOD_GET; i < COUNT(methods); i++)
        if (str_eq(methods[i].name, name))
            return (enum method)i;
    return METHOD_OTHER;
}

bool http_method_is_idempotent(enum method m)
{
    return (size_t)m < COUNT(methods) && methods[m].idempotent;
}

struct status_row {
    uint16_t status;
    const char *reason;
};

static const struct status_row statuses[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {102, "Processing"},
    {103, "Early Hints"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {207, "Multi-Status"},
    {208, "Already Reported"},
    {226, "IM Used"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Moved Temporarily"}, /* nginx's word for it */
    {303, "See Other"},
    {304, "Not Modified"},
    {305, "Use Proxy"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Not Allowed"}, /* nginx's word for it */
    {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"},
    {408, "Request Time-out"}, /* nginx's spelling, as in 414 and 504 */
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Request Entity Too Large"},
    {414, "Request-URI Too Large"},
    {415, "Unsupported Media Type"},
    {416, "Requested Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {418, "I'm a teapot"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {423, "Locked"},
    {424, "Failed Dependency"},
    {425, "Too Early"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {451, "Unavailable For Legal Reasons"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Temporarily Unavailable"},
    {504, "Gateway Time-out"},
    {505, "HTTP Version Not Supported"},
    {506, "Variant Also Negotiates"},
    {507, "Insufficient Storage"},
    {508, "Loop Detected"},
    {511, "Network Authentication Required"},
};

struct str http_status_reason(unsigned status)
{
    size_t low = 0, high = COUNT(statuses);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (statuses[middle].status < status)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < COUNT(statuses) && statuses[low].status == status)
        return str_c(statuses[low].reason);
    return STR("");
}

bool http_field_name_is_valid(struct str name)
{
    for (size_t i = 0; i < name.n; i++)
        if (!ascii_is_token(name.p[i]))
            return false;
    return name.n > 0;
}

static bool is_value_byte(uint8_t c)
{
    return (c >= 0x20 && c != 0x7f) || c == '\t';
}

/* Eight bytes that are all 0x20..0x7e: the common case, told at once.  What
 * this refuses (0x7f, tabs, 0x80 and up) is looked at byte by byte. */
static bool is_plain_text(uint64_t v)
{
    const uint64_t ones = 0x0101010101010101, tops = 0x80 * ones;
    return !((v | (v + ones) | (v - 0x20 * ones)) & tops);
}

bool http_field_value_is_valid(struct str value)
{
    size_t i = 0;
    while (i < value.n) {
        if (value.n - i >= 8 && is_plain_text(le64_get(value.p + i))) {
            i += 8;
        } else {
            size_t end = value.n - i < 8 ? value.n : i + 8;
            for (; i < end; i++)
                if (!is_value_byte((uint8_t)value.p[i]))
                    return false;
        }
    }
    return true;
}

bool http_field_is_hop_by_hop(struct str name)
{
    static const struct str names[] = {
        STR_INIT("connection"),       STR_INIT("keep-alive"),
        STR_INIT("proxy-connection"), STR_INIT("te"),
        STR_INIT("trailer"),          STR_INIT("transfer-encoding"),
        STR_INIT("upgrade")};
    for (size_t i = 0; i < COUNT(names); i++)
        if (str_eq_nocase(name, names[i]))
            return true;
    return false;
}
