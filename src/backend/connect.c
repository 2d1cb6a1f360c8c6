/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/check.h"
#include "base/random.h"
#include "internal.h"

enum { PAUSE_FIRST_MS = 100, PAUSE_LAST_MS = 5000 };

#define CONNECTOR_OF(item) CONTAINER(item, struct psb_connector, all)

static int dial(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    memcpy(addr.sun_path, path, strlen(path) + 1);
    if (fd != -1 &&
        connect(fd, (const struct sockaddr *)&addr, sizeof addr) == -1) {
        close(fd);
        return -1;
    }
    return fd;
}

static void later(psb_t *b, struct psb_connector *c)
{
    /* Half of the pause is chance, so that many do not dial in step. */
    unsigned half = c->pause_ms / 2;
    c->retry_ms = b->now_ms + half + random_below(half + 1);
    c->pause_ms *= 2;
    if (c->pause_ms > PAUSE_LAST_MS)
        c->pause_ms = PAUSE_LAST_MS;
}

void psb_dial_due(psb_t *b)
{
    LIST_EACH(item, after, &b->connectors)
    {
        struct psb_connector *c = CONNECTOR_OF(item);
        if (c->link || b->stopping || b->now_ms < c->retry_ms)
            continue;
        int fd = dial(c->path);
        if (fd == -1) {
            later(b, c);
            continue;
        }
        c->pause_ms = PAUSE_FIRST_MS;
        c->link = psb_link_open(b, fd);
    }
}

uint64_t psb_dial_next(const psb_t *b)
{
    uint64_t next = 0;

    LIST_EACH(item, after, &b->connectors)
    {
        const struct psb_connector *c = CONNECTOR_OF(item);
        if (!c->link && !b->stopping && (!next || c->retry_ms < next))
            next = c->retry_ms;
    }
    return next;
}

void psb_dial_lost(struct psb_link *l)
{
    LIST_EACH(item, after, &l->psb->connectors)
    {
        struct psb_connector *c = CONNECTOR_OF(item);
        if (c->link != l)
            continue;
        c->link = NULL;
        later(l->psb, c);
    }
}

void psb_dial_fini(psb_t *b)
{
    LIST_EACH(item, after, &b->connectors)
    {
        struct psb_connector *c = CONNECTOR_OF(item);
        list_remove(&c->all);
        free(c->path);
        free(c);
    }
}

int psb_connect(psb_t *b, const char *path)
{
    size_t n = strlen(path);

    if (n == 0 || n >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
        return psb_fail(b, ENAMETOOLONG, path);
    struct psb_connector *c = xcalloc(1, sizeof *c);
    c->path = xstrdup(path);
    c->pause_ms = PAUSE_FIRST_MS;
    c->retry_ms = 1; /* now */
    list_push_back(&b->connectors, &c->all);
    psb_dial_due(b);
    psb_sync(b);
    return 0;
}
