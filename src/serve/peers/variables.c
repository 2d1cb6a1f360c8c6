/* SPDX-License-Identifier: BSD-2-Clause */
#include "peers/peers.h"
#include "serve/proxy.h"

static bool get_sticky_status(struct evaluation *e, const struct variable *v,
                              struct str *out)
{
    const struct upstream_trace *t = e->request->upstream;
    (void)v;
    *out = str_c(t && t->sticky ? t->sticky : "");
    return true;
}

static bool get_last_server_name(struct evaluation *e, const struct variable *v,
                                 struct str *out)
{
    const struct upstream_trace *t = e->request->upstream;
    (void)v;
    if (!t || !t->last_server.p)
        return false;
    *out = t->last_server;
    return true;
}

const struct variable upstream_variables[] = {
    {.name = "upstream_sticky_status", .get = get_sticky_status},
    {.name = "upstream_last_server_name", .get = get_last_server_name},
    {.name = NULL},
};
