/* SPDX-License-Identifier: BSD-2-Clause */
#include "process.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "channel.h"
#include "serve/zone.h"

enum {
    RELAYS_MAX = 256 /* that wait for one slow worker */
};

static size_t listens_of(const struct generation *g)
{
    size_t n = 0;
    for (const struct listen *l = g->listens; l; l = l->next)
        n++;
    return n;
}

size_t process_fds(const struct generation *g)
{
    return listens_of(g) + g->files_n + zones_count(g);
}

int process_fd(const struct generation *g, unsigned number, size_t i)
{
    const struct listen *l = g->listens;
    for (; l && i > 0; i--)
        l = l->next;
    if (l)
        return l->fds[l->fds_n > 1 ? number % l->fds_n : 0];
    if (i < g->files_n)
        return g->files[i]->fd;
    return zones_fd(g, i - g->files_n);
}

static int say(struct process *p, enum message_type type)
{
    struct message m;
    message_init(&m, type);
    return channel_send(p->channel, &m);
}

static int send_head(struct process *p, int bundle_fd)
{
    struct message m;
    message_init(&m, MESSAGE_CONFIGURATION);
    message_put_u32(&m, p->told->number);
    message_put_u32(&m, (uint32_t)listens_of(p->told));
    message_put_u32(&m, (uint32_t)p->told->files_n);
    message_put_u32(&m, (uint32_t)zones_count(p->told));
    message_put_fd(&m, bundle_fd);
    return channel_send(p->channel, &m);
}

/* Descriptors [from, n) of told, as many as one message takes. */
static int send_fds(struct process *p, enum message_type type, size_t *from,
                    size_t n)
{
    size_t at = *from;
    struct message m;
    message_init(&m, type);
    message_put_u32(&m, p->told->number);
    message_put_u32(&m, (uint32_t)at);
    while (at < n && m.fds_n < MESSAGE_FDS_MAX)
        message_put_fd(&m, process_fd(p->told, p->number, at++));
    int sent = channel_send(p->channel, &m);
    if (sent == 1)
        *from = at;
    return sent;
}

static int tell_generation(struct process *p, int bundle_fd)
{
    if (!p->head_sent) {
        int sent = send_head(p, bundle_fd);
        if (sent != 1)
            return sent;
        p->head_sent = true;
    }
    size_t n = process_fds(p->told);
    while (p->told_fds < n) {
        int sent = send_fds(p, MESSAGE_DESCRIPTORS, &p->told_fds, n);
        if (sent != 1)
            return sent;
    }
    p->telling = false;
    return 1;
}

static int tell_reopen(struct process *p)
{
    /* The logs stand behind the sockets. */
    size_t at = listens_of(p->told), n = at + p->told->files_n;
    while (at < n) {
        int sent = send_fds(p, MESSAGE_REOPEN, &at, n);
        if (sent != 1)
            return sent;
    }
    p->wants_reopen = false;
    return 1;
}

void process_renew(struct process *p, const char *path)
{
    size_t n = strlen(path) + 1;
    struct renewal *r = xcalloc(1, sizeof *r + n);

    memcpy(r->path, path, n);
    list_push_back(&p->renewals, &r->link);
}

void process_fini(struct process *p)
{
    struct list *first;
    while ((first = list_pop_front(&p->renewals)))
        free(CONTAINER(first, struct renewal, link));
    while (p->relays_n)
        close(p->relays[--p->relays_n]);
    free(p->relays);
}

static int tell_renewals(struct process *p)
{
    while (!list_is_empty(&p->renewals)) {
        struct renewal *r = CONTAINER(p->renewals.next, struct renewal, link);
        struct message m;
        message_init(&m, MESSAGE_RENEW);
        message_put_text(&m, str_c(r->path));
        int sent = channel_send(p->channel, &m);
        if (sent != 1)
            return sent;
        list_remove(&r->link);
        free(r);
    }
    return 1;
}

static int tell_relays(struct process *p)
{
    int sent = 1;
    size_t n = 0;

    for (; n < p->relays_n && sent == 1; n++) {
        struct message m;
        message_init(&m, MESSAGE_RELAY);
        message_put_fd(&m, p->relays[n]);
        sent = channel_send(p->channel, &m);
        if (sent != 1)
            break;
        close(p->relays[n]);
    }
    p->relays_n -= n;
    memmove(p->relays, p->relays + n, p->relays_n * sizeof *p->relays);
    return sent;
}

bool process_relay(struct process *p, int fd)
{
    if (p->relays_n == RELAYS_MAX)
        return false;
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy == -1)
        return false;
    if (!p->relays)
        p->relays = xcalloc(RELAYS_MAX, sizeof *p->relays);
    p->relays[p->relays_n++] = copy;
    return true;
}

static int tell(struct process *p, struct generation *newest, int bundle_fd)
{
    if (p->wants_stop) {
        int sent = say(p, MESSAGE_STOP);
        if (sent == 1)
            p->wants_stop = p->wants_quit = false;
        return sent;
    }
    /* What was begun with another generation's texts is begun again with the
     * newest: a worker drops the half it has. */
    if (!p->retiring && p->told != newest) {
        generation_unref(p->told);
        p->told = generation_ref(newest);
        p->telling = true;
        p->head_sent = false;
        p->told_fds = 0;
    }
    int sent = 1;
    if (p->telling && !p->retiring)
        sent = tell_generation(p, bundle_fd);
    if (sent == 1 && p->wants_reopen && !p->telling)
        sent = tell_reopen(p);
    if (sent == 1 && !p->telling)
        sent = tell_renewals(p);
    if (sent == 1 && p->relays_n)
        sent = tell_relays(p);
    if (sent == 1 && p->wants_quit) {
        sent = say(p, MESSAGE_QUIT);
        if (sent == 1)
            p->wants_quit = false;
    }
    return sent;
}

int process_tell(struct process *p, struct generation *newest, int bundle_fd)
{
    if (p->channel == -1)
        return 0;
    int sent = tell(p, newest, bundle_fd);
    p->stuck = sent == 0;
    return sent == -1 ? -1 : 0;
}
