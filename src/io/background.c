/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/background.h"

#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"

static struct {
    pthread_mutex_t lock;
    pthread_cond_t work; /* something waits, or stop */
    struct list waiting, finished;
    bool stop;
    /* of the loop only */
    struct loop *loop;
    pthread_t thread;
    struct event *event;
    int fd;         /* eventfd: something finished */
    size_t pending; /* jobs without done() */
} bg = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .work = PTHREAD_COND_INITIALIZER,
    .fd = -1,
};

static struct background_job *job_of(struct list *link)
{
    return CONTAINER(link, struct background_job, link);
}

static void *run(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&bg.lock);
    for (;;) {
        struct list *link = list_pop_front(&bg.waiting);
        if (bg.stop) {
            if (link)
                list_push_front(&bg.waiting, link);
            break;
        }
        if (!link) {
            pthread_cond_wait(&bg.work, &bg.lock);
            continue;
        }
        pthread_mutex_unlock(&bg.lock);
        job_of(link)->work(job_of(link));
        pthread_mutex_lock(&bg.lock);
        list_push_back(&bg.finished, link);
        uint64_t one = 1;
        /* Only a counter near 2^64 would refuse it. */
        check(write(bg.fd, &one, sizeof one) == (ssize_t)sizeof one);
    }
    pthread_mutex_unlock(&bg.lock);
    return NULL;
}

/* Jobs may be run by done(): take them one by one. */
static void finish(struct list *list)
{
    for (;;) {
        pthread_mutex_lock(&bg.lock);
        struct list *link = list_pop_front(list);
        pthread_mutex_unlock(&bg.lock);
        if (!link)
            return;
        bg.pending--;
        job_of(link)->done(job_of(link));
    }
}

static void on_finished(evutil_socket_t fd, short what, void *arg)
{
    uint64_t n;
    (void)what, (void)arg;
    loop_enter(bg.loop);
    if (read(fd, &n, sizeof n) == sizeof n)
        finish(&bg.finished);
}

static bool start(struct loop *loop)
{
    sigset_t all, before;

    bg.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (bg.fd == -1)
        return false;
    list_init(&bg.waiting);
    list_init(&bg.finished);
    bg.stop = false;
    bg.loop = loop;
    /* Signals are the loop's. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&bg.thread, NULL, run, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        close(bg.fd);
        bg.fd = -1;
        return false;
    }
    bg.event =
        event_new(loop->base, bg.fd, EV_READ | EV_PERSIST, on_finished, NULL);
    check(bg.event && event_add(bg.event, NULL) == 0);
    return true;
}

bool background_run(struct loop *loop, struct background_job *job)
{
    if (bg.fd == -1 && !start(loop))
        return false;
    if (bg.pending >= BACKGROUND_MAX)
        return false;
    bg.pending++;
    pthread_mutex_lock(&bg.lock);
    list_push_back(&bg.waiting, &job->link);
    pthread_cond_signal(&bg.work);
    pthread_mutex_unlock(&bg.lock);
    return true;
}

void background_stop(void)
{
    if (bg.fd == -1)
        return;
    pthread_mutex_lock(&bg.lock);
    bg.stop = true;
    pthread_cond_signal(&bg.work);
    pthread_mutex_unlock(&bg.lock);
    pthread_join(bg.thread, NULL);
    finish(&bg.finished);
    finish(&bg.waiting);
    event_free(bg.event);
    close(bg.fd);
    bg.fd = -1;
}
