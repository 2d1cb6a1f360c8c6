/* SPDX-License-Identifier: BSD-2-Clause */
#include "http/condition.h"

#include "base/clock.h"

/*
 * Take the next entity tag off a list (8.8.3).  A comma may stand inside the
 * quotes, so this is not str_list_next().  False at the end and at whatever
 * is not a tag: what follows cannot be trusted to be one.
 */
static bool next_tag(struct str *rest, struct str *tag)
{
    size_t at = 0;
    while (at < rest->n && strchr(" \t,", rest->p[at]) && rest->p[at])
        at++;
    size_t start = at;
    if (str_starts(str_slice(*rest, at, rest->n), STR("W/")))
        at += 2;
    if (at >= rest->n || rest->p[at] != '"')
        return false;
    size_t close = str_find(*rest, '"', at + 1);
    if (close == rest->n)
        return false;
    *tag = str_slice(*rest, start, close + 1);
    *rest = str_slice(*rest, close + 1, rest->n);
    return true;
}

static bool is_weak(struct str tag)
{
    return str_starts(tag, STR("W/"));
}

static struct str opaque(struct str tag)
{
    return is_weak(tag) ? str_slice(tag, 2, tag.n) : tag;
}

/* 8.8.3.2: the strong comparison wants both to be strong. */
static bool tags_match(struct str a, struct str b, bool weakly)
{
    if (!weakly && (is_weak(a) || is_weak(b)))
        return false;
    return str_eq(opaque(a), opaque(b));
}

/* Does one of the fields of that name list the tag, or "*"? */
static bool is_listed(const struct http_head *h, struct str name,
                      struct str etag, bool weakly)
{
    for (size_t i = 0; i < h->fields_n; i++) {
        struct str rest = h->fields[i].value, tag;
        if (!str_eq_nocase(h->fields[i].name, name))
            continue;
        if (str_eq(rest, STR("*")))
            return true;
        while (etag.p && next_tag(&rest, &tag))
            if (tags_match(tag, etag, weakly))
                return true;
    }
    return false;
}

/* The date of the only field of that name, or -1: a date that is repeated or
 * cannot be read is as good as none (13.1.3, 13.1.4). */
static time_t date_of(const struct http_head *h, struct str name)
{
    struct str value = http_head_find(h, name);
    if (!value.p || http_head_count(h, name) != 1)
        return -1;
    return clock_parse_http(value);
}

static bool is_unmodified_since(time_t modified, time_t date,
                                enum http_since since)
{
    switch (since) {
    case SINCE_OFF:
        break;
    case SINCE_EXACT:
        return modified == date;
    case SINCE_BEFORE:
        return modified <= date;
    }
    return false;
}

unsigned http_condition_evaluate(const struct http_head *request,
                                 const struct http_validators *have,
                                 enum http_since since)
{
    bool reads =
        request->method == METHOD_GET || request->method == METHOD_HEAD;

    if (http_head_find(request, STR("if-match")).p) {
        if (!is_listed(request, STR("if-match"), have->etag, false))
            return 412;
    } else if (have->modified != -1) {
        time_t date = date_of(request, STR("if-unmodified-since"));
        if (date != -1 && have->modified > date)
            return 412;
    }
    if (http_head_find(request, STR("if-none-match")).p) {
        if (is_listed(request, STR("if-none-match"), have->etag, true))
            return reads ? 304 : 412;
    } else if (reads && have->modified != -1) {
        time_t date = date_of(request, STR("if-modified-since"));
        if (date != -1 && is_unmodified_since(have->modified, date, since))
            return 304;
    }
    return 200;
}

bool http_condition_allows_range(const struct http_head *request,
                                 const struct http_validators *have)
{
    struct str value = http_head_find(request, STR("if-range"));
    struct str tag;
    if (!value.p)
        return true;
    if (http_head_count(request, STR("if-range")) != 1)
        return false;
    if (!next_tag(&value, &tag)) {
        time_t date = clock_parse_http(value);
        return date != -1 && date == have->modified;
    }
    return have->etag.p && !value.n && tags_match(tag, have->etag, false);
}
