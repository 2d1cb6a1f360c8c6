/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/loop.h"

#include <event2/event.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "io/queue.h"
#include "wheel.h"

enum {
    /* A flush may queue more and ask again; what still asks after this many
     * rounds waits for the next turn, so that no stream holds the loop. */
    TASK_ROUNDS = 4
};

struct loop *loop_create(void)
{
    struct loop *loop = xcalloc(1, sizeof *loop);
    struct event_config *config = event_config_new();

    check(config != NULL);
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    event_config_require_features(config, EV_FEATURE_ET);
    loop->base = event_base_new_with_config(config);
    event_config_free(config);
    check(loop->base != NULL);

    list_init(&loop->tasks);
    list_init(&loop->next);
    list_init(&loop->crowd);
    list_init(&loop->graves);
    loop->read_capacity = LOOP_READ_SIZE;
    loop->read_buffer = xmalloc(loop->read_capacity);
    loop->blocks = blocks_create();
    loop->timers = timers_create(loop);
    return loop;
}

static void run_list(struct list *from)
{
    struct list now;
    list_init(&now);
    list_splice(&now, from);
    struct list *link;
    while ((link = list_pop_front(&now))) {
        struct loop_task *task = CONTAINER(link, struct loop_task, link);
        task->run(task);
    }
}

static void run_crowd(struct loop *loop)
{
    struct list *link;

    for (int i = 0; i < LOOP_CROWD_MAX; i++) {
        if (!(link = list_pop_front(&loop->crowd)))
            return;
        struct loop_task *task = CONTAINER(link, struct loop_task, link);
        task->run(task);
    }
}

static void end_turn(struct loop *loop)
{
    for (int i = 0; i < TASK_ROUNDS && !list_is_empty(&loop->tasks); i++)
        run_list(&loop->tasks);
    run_crowd(loop);
    run_list(&loop->graves);
    loop->clock_fresh = false;
    loop->turns++;
}

void loop_destroy(struct loop *loop)
{
    if (!loop)
        return;
    end_turn(loop);
    while (!list_is_empty(&loop->graves))
        run_list(&loop->graves);
    /* What libevent has put off, such as evdns's last words. */
    event_base_loop(loop->base, EVLOOP_NONBLOCK);
    timers_destroy(loop->timers);
    blocks_destroy(loop->blocks);
    free(loop->read_buffer);
    event_base_free(loop->base);
    free(loop);
}

void loop_turn(struct loop *loop, bool wait)
{
    bool idle = list_is_empty(&loop->tasks) && list_is_empty(&loop->next) &&
                list_is_empty(&loop->crowd);
    struct list next;

    list_init(&next);
    list_splice(&next, &loop->next);
    event_base_loop(loop->base,
                    EVLOOP_ONCE | (wait && idle ? 0 : EVLOOP_NONBLOCK));
    loop_enter(loop);
    run_list(&next);
    timers_run(loop->timers);
    end_turn(loop);
}

void loop_run(struct loop *loop)
{
    while (!loop->stop)
        loop_turn(loop, true);
}

void loop_stop(struct loop *loop)
{
    loop->stop = true;
}

void loop_enter(struct loop *loop)
{
    if (loop->clock_fresh)
        return;
    loop->clock_fresh = true;
    clock_update();
}

void loop_defer(struct loop *loop, struct loop_task *task)
{
    if (!list_is_linked(&task->link))
        list_push_back(&loop->tasks, &task->link);
}

void loop_defer_next(struct loop *loop, struct loop_task *task)
{
    if (!list_is_linked(&task->link))
        list_push_back(&loop->next, &task->link);
}

void loop_defer_crowd(struct loop *loop, struct loop_task *task)
{
    if (!list_is_linked(&task->link))
        list_push_back(&loop->crowd, &task->link);
}

void loop_cancel(struct loop_task *task)
{
    list_remove(&task->link);
}

void loop_bury(struct loop *loop, struct loop_task *task)
{
    check(!list_is_linked(&task->link));
    list_push_back(&loop->graves, &task->link);
}
