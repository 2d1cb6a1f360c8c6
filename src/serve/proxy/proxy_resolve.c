/* SPDX-License-Identifier: BSD-2-Clause */
#include "peers/peers.h"
#include "proxy_parts.h"
#include "serve/resolving.h"

static void log_failure(struct proxy *p, unsigned code, const char *why)
{
    log_err(&p->request->log, "%.*s could not be resolved (%u: %s)",
            STR_ARG(p->host), code, why);
}

static void use(struct proxy *p, const struct resolver_answer *a)
{
    p->upstream = upstream_of_addresses(p->request->arena, p->host,
                                        a->addresses, a->n, p->port);
}

static void on_answer(struct resolver_wait *w, const struct resolver_answer *a)
{
    struct proxy *p = CONTAINER(w, struct proxy, resolving);
    int verdict = 502;

    if (a->n) {
        use(p, a);
        verdict = proxy_use_upstream(p);
    } else {
        log_failure(p, a->code, a->error);
    }
    if (verdict != VERDICT_PENDING)
        proxy_finish(p, verdict);
}

static void on_names(struct resolver_wait *w, const struct resolver_answer *a)
{
    struct proxy *p = CONTAINER(w, struct proxy, resolving);
    (void)a;
    int verdict = proxy_ask(p);
    if (verdict != VERDICT_PENDING)
        proxy_finish(p, verdict);
}

bool proxy_wait_for_names(struct proxy *p)
{
    p->resolving.done = on_names;
    if (!resolved_wait(p->upstream, &p->resolving))
        return false;
    request_doing(p->request, "resolving the upstream's name");
    return true;
}

int proxy_resolve(struct proxy *p, const struct proxy_url *url)
{
    struct request *r = p->request;
    const struct resolving *c = request_conf(r, &resolver_module);
    struct resolver *resolver = resolving_start(c, request_loop(r), &r->log);

    p->host = str_slice(url->host, 0, str_find(url->host, ':', 0));
    p->port = url->port;
    if (!p->host.n) {
        log_err(&r->log, "no host in upstream \"%.*s\"", STR_ARG(url->host));
        return 500;
    }
    if (!resolver) {
        log_err(&r->log, "no resolver defined to resolve %.*s",
                STR_ARG(p->host));
        return 502;
    }
    const struct resolver_answer *known = resolver_find(resolver, p->host);
    if (known) {
        use(p, known);
        return VERDICT_DECLINED;
    }
    request_doing(r, "resolving the upstream's name");
    p->resolving.done = on_answer;
    if (resolver_ask(resolver, &p->resolving, p->host, c->timeout_ms))
        return VERDICT_PENDING;
    log_failure(p, RESOLVE_FORMAT_ERROR, "Format error");
    return 502;
}
