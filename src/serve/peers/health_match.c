/* SPDX-License-Identifier: BSD-2-Clause */
#include "peers/health.h"

static bool has_status(const struct match *m, unsigned status)
{
    for (size_t i = 0; i < m->statuses_n; i++)
        if (status >= m->statuses[i].low && status <= m->statuses[i].high)
            return true;
    return false;
}

static bool header_fits(const struct match_header *h,
                        const struct http_head *head)
{
    bool found = false;

    for (size_t i = 0; i < head->fields_n && !found; i++) {
        if (!str_eq_nocase(head->fields[i].name, h->name))
            continue;
        struct str value = head->fields[i].value;
        found = h->regex     ? regex_match(h->regex, value, NULL)
                : h->value.p ? str_eq(h->value, value)
                             : true;
    }
    return found != h->negated;
}

const char *match_head(const struct match *m, const struct http_head *head)
{
    bool is_good = head->status >= 200 && head->status < 400;

    if (m && m->statuses_said)
        is_good = has_status(m, head->status) != m->statuses_negated;
    if (!is_good)
        return "the status is not a good one";
    for (size_t i = 0; m && i < m->headers_n; i++)
        if (!header_fits(&m->headers[i], head))
            return "the header is not as it should be";
    return NULL;
}

bool match_needs_body(const struct match *m)
{
    return m && m->body;
}

const char *match_body(const struct match *m, struct str body)
{
    if (!match_needs_body(m) ||
        regex_match(m->body, body, NULL) != m->body_negated)
        return NULL;
    return "the body is not as it should be";
}
