/* SPDX-License-Identifier: BSD-2-Clause */
/* X-Accel-*: what an upstream tells us rather than the client. */
#include "base/check.h"
#include "http/uri.h"
#include "proxy_parts.h"
#include "serve/core.h"

const struct conf_enum proxy_ignore_names[] = {
    {"X-Accel-Redirect", IGNORE_ACCEL_REDIRECT},
    {"X-Accel-Expires", IGNORE_ACCEL_EXPIRES},
    {"X-Accel-Limit-Rate", IGNORE_ACCEL_LIMIT_RATE},
    {"X-Accel-Buffering", IGNORE_ACCEL_BUFFERING},
    {"X-Accel-Charset", IGNORE_ACCEL_CHARSET},
    {"Expires", IGNORE_EXPIRES},
    {"Cache-Control", IGNORE_CACHE_CONTROL},
    {"Set-Cookie", IGNORE_SET_COOKIE},
    {"Vary", IGNORE_VARY},
    {NULL, 0},
};

/* ---- while the fields are copied ---- */

void proxy_accel_field(struct proxy *p, const struct http_field *f)
{
    unsigned ignored = p->conf->ignore_headers;

    if (str_eq_nocase(f->name, STR("X-Accel-Limit-Rate")) &&
        !(ignored & IGNORE_ACCEL_LIMIT_RATE))
        p->request->limit_rate = f->value;
    if (str_eq_nocase(f->name, STR("X-Accel-Buffering")) &&
        !(ignored & IGNORE_ACCEL_BUFFERING)) {
        if (str_eq_nocase(f->value, STR("yes")))
            p->buffering = true;
        else if (str_eq_nocase(f->value, STR("no")))
            p->buffering = false;
    }
}

/* ---- another location answers ---- */

/* What of the upstream's fields the other location's answer keeps. */
static bool is_kept(struct str name)
{
    static const struct str kept[] = {
        STR_INIT("Set-Cookie"),    STR_INIT("Content-Disposition"),
        STR_INIT("Cache-Control"), STR_INIT("Expires"),
        STR_INIT("Accept-Ranges"),
    };
    for (size_t i = 0; i < COUNT(kept); i++)
        if (str_eq_nocase(kept[i], name))
            return true;
    return false;
}

static void keep_fields(struct proxy *p)
{
    const struct http_head *h = &p->response;
    struct request *r = p->request;

    for (size_t i = 0; i < h->fields_n; i++) {
        const struct http_field *f = &h->fields[i];
        if (str_starts_nocase(f->name, STR("X-Accel-")))
            proxy_accel_field(p, f);
        else if (str_eq_nocase(f->name, STR("Content-Type")))
            r->response.content_type = f->value;
        else if (str_eq_nocase(f->name, STR("Set-Cookie")))
            response_add(r, f->name, proxy_rewrite_cookie(p, f->value));
        else if (is_kept(f->name))
            response_add(r, f->name, f->value);
    }
}

struct str proxy_accel_target(const struct proxy *p)
{
    if (p->conf->ignore_headers & IGNORE_ACCEL_REDIRECT)
        return (struct str){NULL, 0};
    return http_head_find(&p->response, STR("X-Accel-Redirect"));
}

int proxy_accel_redirect(struct proxy *p, struct str target)
{
    struct request *r = p->request;
    struct http_uri uri;

    response_reset(r);
    keep_fields(p);
    if (target.n && target.p[0] == '@')
        return request_named_location(r, target);
    if (http_uri_parse(target, core_conf_of(r->location)->merge_slashes,
                       r->arena, &uri) < 0) {
        log_err(&r->log, "unsafe URI \"%.*s\" was detected", STR_ARG(target));
        return 404;
    }
    if (r->head.method != METHOD_HEAD) {
        r->head.method = METHOD_GET;
        r->head.method_text = STR("GET");
    }
    return request_redirect_internally(r, uri.path, uri.args);
}
