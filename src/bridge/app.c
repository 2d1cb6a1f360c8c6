/* SPDX-License-Identifier: BSD-2-Clause */
#include "sluice/app.h"
#include "base/check.h"
#include "bridge/link.h"
#include "options.h"

/* ---- REGISTER ---- */

static void answer(struct link *l, uint16_t id, const char *refusal)
{
    struct sluice_registered r = {.app_id = id, .text = str_c(refusal)};
    sluice_registered_put(&l->scratch, &r);
    link_send_scratch(l);
}

static bool is_pattern(unsigned tag)
{
    return tag == SLUICE_TAG_HOST_PATTERN || tag == SLUICE_TAG_PATH_PATTERN ||
           tag == SLUICE_TAG_ORIGIN_PATTERN;
}

static int add_pattern(struct link *l, struct app *a,
                       const struct sluice_tlv *t, struct err *err)
{
    struct app_pattern p = {.tag = t->tag};
    struct str text;

    if (a->patterns_n == LINK_PATTERNS_MAX)
        return err_set(err, "more than %d patterns", LINK_PATTERNS_MAX);
    if (sluice_tlv_get_pattern(t, &p.kind, &text) < 0)
        return err_set(err, "malformed pattern");
    p.text = arena_str(l->arena, text);
    if (p.kind == SLUICE_PATTERN_REGEX) {
        bool nocase = p.tag == SLUICE_TAG_HOST_PATTERN;
        p.regex = regex_compile(l->arena, p.text, nocase, err);
        if (!p.regex)
            return -1;
    }
    if (!a->patterns)
        a->patterns =
            arena_calloc(l->arena, LINK_PATTERNS_MAX * sizeof *a->patterns);
    a->patterns[a->patterns_n++] = p;
    return 0;
}

static int fill(struct link *l, struct app *a, struct str tlvs, struct err *err)
{
    struct sluice_tlv t;

    a->name = arena_str(l->arena, sluice_tlv_find(tlvs, SLUICE_TAG_NAME));
    if (!a->name.n || a->name.n > 255)
        return err_set(err, "an app needs a name of 1 to 255 bytes");
    if (link_app_named(l, a->name))
        return err_set(err, "the name is taken");
    while (sluice_tlv_next(&tlvs, &t) == 1) {
        if (is_pattern(t.tag) && add_pattern(l, a, &t, err) == -1)
            return -1;
        if (t.tag == SLUICE_TAG_OPT)
            app_add_option(a, &t);
        if (t.tag == SLUICE_TAG_MAX_CLIENTS)
            sluice_tlv_get_u32(&t, &a->max_clients);
    }
    return 0;
}

int link_register(struct link *l, const struct sluice_frame *f)
{
    struct sluice_register r;
    struct err err;

    int rc = sluice_register_get(&r, f);
    if (rc < 0)
        return rc;
    /* Refused ones use up a place too: what a backend can make us keep is
     * bounded. */
    if (l->apps_n == LINK_APPS_MAX) {
        answer(l, 0, "too many apps");
        return 0;
    }
    if (!l->apps)
        l->apps = arena_calloc(l->arena, LINK_APPS_MAX * sizeof *l->apps);
    struct app *a = &l->apps[l->apps_n++];
    *a = (struct app){.event_mask = SLUICE_EVENT_OPENED};
    if (fill(l, a, r.tlvs, &err) == -1) {
        log_err(link_log(l), "app \"%.*s\" refused: %s", STR_ARG(a->name),
                err.text);
        answer(l, 0, err.text);
        return 0;
    }
    a->live = true;
    answer(l, link_app_id(l, a), "");
    return 0;
}

int link_unregister(struct link *l, const struct sluice_frame *f)
{
    unsigned id = f->header.aux;
    if (id && id <= l->apps_n)
        l->apps[id - 1].live = false;
    return 0;
}

/* ---- which app takes a request ---- */

struct app *link_app_named(struct link *l, struct str name)
{
    for (size_t i = 0; i < l->apps_n; i++)
        if (l->apps[i].live && str_eq(l->apps[i].name, name))
            return &l->apps[i];
    return NULL;
}

/* Of a path case counts, of hosts and what begins with one it does not. */
static bool text_matches(const struct app_pattern *p, struct str s)
{
    return p->tag == SLUICE_TAG_PATH_PATTERN ? str_eq(s, p->text)
                                             : str_eq_nocase(s, p->text);
}

static bool pattern_matches(const struct app_pattern *p, struct str s)
{
    size_t n = p->text.n;

    switch (p->kind) {
    case SLUICE_PATTERN_EXACT:
        return text_matches(p, s);
    case SLUICE_PATTERN_PREFIX:
        return s.n >= n && text_matches(p, str_n(s.p, n));
    case SLUICE_PATTERN_SUFFIX:
        return s.n >= n && text_matches(p, str_n(s.p + s.n - n, n));
    case SLUICE_PATTERN_REGEX:
        return regex_match(p->regex, s, NULL);
    case SLUICE_PATTERN_ANY:
        return true;
    case SLUICE_PATTERN_NONE:
        return s.n == 0;
    }
    return false;
}

/* No pattern of a kind leaves that kind open. */
static bool matches(const struct app *a, enum sluice_tag tag, struct str s)
{
    bool any = false;
    for (size_t i = 0; i < a->patterns_n; i++) {
        if (a->patterns[i].tag != tag)
            continue;
        if (pattern_matches(&a->patterns[i], s))
            return true;
        any = true;
    }
    return !any;
}

/* 0, or the status of the response when no other app takes the request. */
static unsigned objection(const struct app *a, const struct app_ask *ask)
{
    if (!a->live || (ask->name.p && !str_eq(a->name, ask->name)) ||
        !matches(a, SLUICE_TAG_HOST_PATTERN, ask->host) ||
        !matches(a, SLUICE_TAG_PATH_PATTERN, ask->path))
        return 404;
    if (!matches(a, SLUICE_TAG_ORIGIN_PATTERN, ask->origin))
        return 403;
    uint32_t versions;
    if (ask->version && app_has_option(a, SLUICE_OPT_VERSIONS, &versions) &&
        versions && !(versions & ask->version))
        return 400;
    return a->max_clients && a->clients >= a->max_clients ? 503 : 0;
}

struct app *link_find_app(struct link *l, const struct app_ask *ask,
                          unsigned *status)
{
    size_t first = ask->after ? (size_t)(ask->after - l->apps) + 1 : 0;

    *status = l->apps_n || ask->name.p ? 404 : 0;
    for (size_t i = first; i < l->apps_n; i++) {
        unsigned why = objection(&l->apps[i], ask);
        if (!why) {
            *status = 0;
            return &l->apps[i];
        }
        if (*status == 404)
            *status = why;
    }
    return NULL;
}
