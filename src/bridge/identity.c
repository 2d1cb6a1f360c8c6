/* SPDX-License-Identifier: BSD-2-Clause */
#include "identity.h"

#include <stdio.h>

#include "base/check.h"
#include "base/random.h"

uint8_t identity_flags(const struct request *r)
{
    unsigned flags = request_is_tls(r) ? SLUICE_OPEN_TLS : 0;
    if (r->main->remote)
        flags |= SLUICE_OPEN_TRUSTED_ADDRESS;
    return (uint8_t)flags;
}

bool identity_put(struct buf *out, struct request *r, const struct app *app,
                  struct str origin)
{
    char text[ADDRESS_TEXT_MAX];
    uint8_t id[16];
    bool ok = true;

    random_bytes(id, sizeof id);
    ok &= sluice_tlv_put(out, SLUICE_TAG_METHOD, r->head.method_text);
    ok &= sluice_tlv_put(out, SLUICE_TAG_TARGET, r->head.target);
    ok &= sluice_tlv_put(out, SLUICE_TAG_PATH, r->uri);
    ok &= sluice_tlv_put(out, SLUICE_TAG_REMOTE_ADDR,
                         address_ip_text(request_remote(r), text));
    ok &= sluice_tlv_put(out, SLUICE_TAG_LOCAL_ADDR,
                         address_ip_text(request_local(r), text));
    if (origin.p)
        ok &= sluice_tlv_put(out, SLUICE_TAG_ORIGIN, origin);
    if (app)
        ok &= sluice_tlv_put(out, SLUICE_TAG_APP, app->name);
    ok &= sluice_tlv_put(out, SLUICE_TAG_ROUTE, r->location->text);
    ok &= sluice_tlv_put(out, SLUICE_TAG_REQUEST_ID, str_n(id, sizeof id));
    return ok;
}

/* Groups of the location's pattern, by number and by name. */
bool identity_put_captures(struct buf *out, struct request *r,
                           struct regex *pattern)
{
    struct captures c;
    struct str name;
    unsigned group;
    bool ok = true;

    if (!pattern || !regex_match(pattern, r->uri, &c))
        return true;
    uint32_t named = 0;
    for (unsigned i = 0; regex_name(pattern, i, &name, &group); i++) {
        struct str value = captures_get(&c, group);
        if (group < 32)
            named |= 1u << group;
        if (value.p)
            ok &= sluice_tlv_put_named(out, SLUICE_TAG_CAPTURE, name, value);
    }
    for (unsigned i = 1; i < c.n && i < 32; i++) {
        char number[4];
        struct str value = captures_get(&c, i);
        if (!value.p || named & 1u << i)
            continue;
        snprintf(number, sizeof number, "%u", i);
        ok &=
            sluice_tlv_put_named(out, SLUICE_TAG_CAPTURE, str_c(number), value);
    }
    return ok;
}

bool identity_put_params(struct buf *out, struct request *r,
                         const struct conf_list *params)
{
    bool ok = true;
    for (size_t i = 0; i < params->n; i++) {
        const struct websocket_param *p = params->items[i];
        ok &= sluice_tlv_put_named(out, SLUICE_TAG_VAR, p->name,
                                   value_eval(p->value, &r->eval));
    }
    return ok;
}

bool identity_put_headers(struct buf *out, struct request *r)
{
    bool ok = true;
    for (size_t i = 0; i < r->head.fields_n; i++)
        ok &= sluice_tlv_put_header(out, r->head.fields[i].name,
                                    r->head.fields[i].value);
    return ok;
}
