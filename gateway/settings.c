/* SPDX-License-Identifier: BSD-2-Clause */
#include "settings.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "gateway/version.h"
#include "serve/generation.h"

enum {
    WORKERS_MAX = 512, /* a worker's number is nine bits of an identifier */
    CONNECTIONS = 512, /* nginx's default */
    MATCH_LIMIT = 100000,
};

static uint64_t processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return (uint64_t)CPU_COUNT(&set);
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (uint64_t)n : 1;
}

static void settings_defaults(void *conf)
{
    struct settings *s = conf;
    s->workers = 1;
    s->daemon = true;
    s->master_process = true;
    s->match_limit = MATCH_LIMIT;
    s->connections = CONNECTIONS;
}

/* The numbers behind a user's and a group's name. */
static int find_user(struct conf *conf, struct settings *s, const char *user,
                     const char *group)
{
    errno = 0;
    struct passwd *pw = getpwnam(user);
    if (!pw && errno)
        return conf_fail(conf, "getpwnam(\"%s\") failed (%d: %s)", user, errno,
                         strerror(errno));
    if (!pw)
        return conf_fail(conf, "getpwnam(\"%s\") failed", user);
    s->uid = pw->pw_uid;
    s->gid = pw->pw_gid;
    s->user = user;
    if (!group)
        return 0;
    struct group *gr = getgrnam(group);
    if (!gr)
        return conf_fail(conf, "getgrnam(\"%s\") failed", group);
    s->gid = gr->gr_gid;
    return 0;
}

static int set_user(struct conf *conf, struct conf_scope *scope,
                    const struct directive *row, const struct conf_node *node,
                    void *field)
{
    (void)scope;
    (void)row;
    struct settings *s = field;
    if (geteuid() != 0) {
        /* A worker hears this from its master, which said it already. */
        conf_warn(conf, "the \"user\" directive makes sense only if the master "
                        "process runs with super-user privileges, ignored");
        return 0;
    }
    return find_user(conf, s, conf_arg_c(conf, node, 1),
                     node->words_n > 2 ? conf_arg_c(conf, node, 2) : NULL);
}

static int set_workers(struct conf *conf, struct conf_scope *scope,
                       const struct directive *row,
                       const struct conf_node *node, void *field)
{
    (void)scope;
    (void)row;
    uint64_t *workers = field;
    if (str_eq(conf_arg(node, 1), STR("auto"))) {
        *workers = processors();
        if (*workers > WORKERS_MAX)
            *workers = WORKERS_MAX;
        return 0;
    }
    if (!str_to_u64(conf_arg(node, 1), WORKERS_MAX, workers) || *workers == 0)
        return conf_fail(conf,
                         "invalid value \"%.*s\" in \"worker_processes\", it "
                         "must be \"auto\" or a number from 1 to %d",
                         STR_ARG(conf_arg(node, 1)), WORKERS_MAX);
    return 0;
}

static int set_priority(struct conf *conf, struct conf_scope *scope,
                        const struct directive *row,
                        const struct conf_node *node, void *field)
{
    (void)scope;
    (void)row;
    struct str text = conf_arg(node, 1);
    bool minus = text.n > 0 && text.p[0] == '-';
    uint64_t n;
    if (minus)
        text = str_slice(text, 1, text.n);
    if (!str_to_u64(text, 20, &n))
        return conf_fail(conf, "invalid worker priority \"%.*s\"",
                         STR_ARG(conf_arg(node, 1)));
    *(int *)field = minus ? -(int)n : (int)n;
    return 0;
}

static int set_env(struct conf *conf, struct conf_scope *scope,
                   const struct directive *row, const struct conf_node *node,
                   void *field)
{
    (void)row;
    const char *text = conf_arg_c(conf, node, 1);
    if (text[0] == '\0' || text[0] == '=')
        return conf_fail(conf, "invalid variable name in \"env\"");
    conf_list_add(conf, scope, field, (void *)(uintptr_t)text);
    return 0;
}

static int set_reload(struct conf *conf, struct conf_scope *scope,
                      const struct directive *row, const struct conf_node *node,
                      void *field)
{
    (void)scope;
    (void)row;
    (void)field;
    if (str_eq(conf_arg(node, 1), STR("in_place")))
        return 0;
    if (str_eq(conf_arg(node, 1), STR("replace")))
        return conf_fail(conf, "\"worker_reload replace\" is not supported "
                               "yet, only \"in_place\" is");
    return conf_fail(conf,
                     "invalid value \"%.*s\" in \"worker_reload\", it must be "
                     "\"in_place\"",
                     STR_ARG(conf_arg(node, 1)));
}

static int set_use(struct conf *conf, struct conf_scope *scope,
                   const struct directive *row, const struct conf_node *node,
                   void *field)
{
    (void)scope;
    (void)row;
    (void)field;
    if (!str_eq(conf_arg(node, 1), STR("epoll")))
        return conf_fail(conf,
                         "invalid event type \"%.*s\", only \"epoll\" is "
                         "supported",
                         STR_ARG(conf_arg(node, 1)));
    return 0;
}

static int set_load_module(struct conf *conf, struct conf_scope *scope,
                           const struct directive *row,
                           const struct conf_node *node, void *field)
{
    (void)scope;
    (void)row;
    (void)field;
    conf_warn(conf,
              "\"load_module %.*s\" is ignored: every module is built in, and "
              "nginx's own can not be loaded",
              STR_ARG(conf_arg(node, 1)));
    return 0;
}

/* What stands in events{} is kept with the rest. */
static int set_events(struct conf *conf, struct conf_scope *scope,
                      const struct directive *row, const struct conf_node *node,
                      void *field)
{
    (void)row;
    struct conf_scope *made;
    if (conf_block(conf, scope, CONF_EVENTS, node, NULL, &made) == -1)
        return -1;
    struct settings *all = field, *events = conf_get(made, &settings_module);
    all->connections = events->connections;
    return 0;
}

static int settings_on_end(struct conf *conf)
{
    struct settings *s = conf_get(conf->main, &settings_module);
    if (!s->pid)
        s->pid = conf_full_path(conf, STR(PENSTOCK_PID_PATH), false);
    if (!s->master_process)
        return conf_fail(conf, "\"master_process off\" is not supported, "
                               "expected \"on\": workers always run under a "
                               "master");
    if (!s->user && geteuid() == 0)
        return find_user(conf, s, "nobody", NULL);
    return 0;
}

static const struct directive settings_directives[] = {
    {
        .name = "user",
        .syntax = "USER [GROUP]",
        .contexts = CONF_MAIN,
        .arity = ARGS_1 | ARGS_2,
        .set = set_user,
        .offset = 0,
        .default_text = "nobody",
        .help = "User and group of the worker processes, when the master is "
                "started by the super-user.",
    },
    {
        .name = "worker_processes",
        .syntax = "NUMBER | auto",
        .contexts = CONF_MAIN,
        .arity = ARGS_1,
        .set = set_workers,
        .offset = offsetof(struct settings, workers),
        .default_text = "1",
        .min = 1,
        .max = WORKERS_MAX,
        .help = "Number of worker processes; auto: one for each processor.",
    },
    {
        .name = "worker_rlimit_nofile",
        .contexts = CONF_MAIN,
        .arity = ARGS_1,
        .set = conf_set_number,
        .offset = offsetof(struct settings, rlimit_nofile),
        .min = 1,
        .max = 1u << 30,
        .help = "Descriptors that a worker may have open.",
    },
    {
        .name = "worker_shutdown_timeout",
        .contexts = CONF_MAIN,
        .arity = ARGS_1,
        .set = conf_set_ms,
        .offset = offsetof(struct settings, shutdown_ms),
        .default_text = "0",
        .help = "How long a retiring worker waits for its requests and "
                "sessions; 0: as long as they last.",
    },
    {
        .name = "worker_priority",
        .syntax = "NUMBER",
        .contexts = CONF_MAIN,
        .arity = ARGS_1,
        .set = set_priority,
        .offset = offsetof(struct settings, priority),
        .default_text = "0",
        .help = "Nice value of the workers, from -20 to 20.",
    },
    {
        .name = "worker_reload",
        .syntax = "in_place",
        .contexts = CONF_MAIN,
        .arity = ARGS_1,
        .set = set_reload,
        .default_text = "in_place",
        .help = "How a reload reaches the workers: the same processes take "
                "the new configuration.",
    },
    {
        .name = "pid",
        .contexts = CONF_MAIN,
        .arity = ARGS_1,
        .set = conf_set_path,
        .offset = offsetof(struct settings, pid),
        .default_text = PENSTOCK_PID_PATH,
        .help = "File that holds the master's process id while it runs.",
    },
    {
        .name = "daemon",
        .contexts = CONF_MAIN,
        .arity = ARGS_FLAG,
        .set = conf_set_flag,
        .offset = offsetof(struct settings, daemon),
        .default_text = "on",
        .help = "Whether to leave the terminal and run in the background.",
    },
    {
        .name = "master_process",
        .contexts = CONF_MAIN,
        .arity = ARGS_FLAG,
        .set = conf_set_flag,
        .offset = offsetof(struct settings, master_process),
        .default_text = "on",
        .help = "Workers always run under a master; off is refused.",
    },
    {
        .name = "env",
        .syntax = "NAME[=VALUE]",
        .contexts = CONF_MAIN,
        .arity = ARGS_1,
        .flags = CONF_REPEATABLE,
        .set = set_env,
        .offset = offsetof(struct settings, env),
        .default_text = "TZ",
        .help = "Environment variable that spawned backends keep, or are "
                "given with NAME=value.",
    },
    {
        .name = "pcre_match_limit",
        .contexts = CONF_MAIN,
        .arity = ARGS_1,
        .set = conf_set_number,
        .offset = offsetof(struct settings, match_limit),
        .default_text = "100000",
        .min = 100,
        .max = 100000000,
        .help = "Steps that one match of a regular expression may take; what "
                "needs more counts as not matching.",
    },
    {
        .name = "load_module",
        .syntax = "FILE",
        .contexts = CONF_MAIN,
        .arity = ARGS_1,
        .flags = CONF_REPEATABLE,
        .set = set_load_module,
        .help = "Accepted with a warning: every module is built in.",
    },
    {
        .name = "worker_cpu_affinity",
        .contexts = CONF_MAIN,
        .arity = ARGS_1_MORE,
        .flags = CONF_IGNORED,
        .set = conf_set_ignored,
        .help = "The system places the workers.",
    },
    {
        .name = "timer_resolution",
        .contexts = CONF_MAIN,
        .arity = ARGS_1,
        .flags = CONF_IGNORED,
        .set = conf_set_ignored,
        .help = "The clock is read once a turn.",
    },
    {
        .name = "pcre_jit",
        .contexts = CONF_MAIN,
        .arity = ARGS_FLAG,
        .flags = CONF_IGNORED,
        .set = conf_set_ignored,
        .help = "Patterns are always compiled.",
    },
    {
        .name = "thread_pool",
        .contexts = CONF_MAIN,
        .arity = ARGS_1 | ARGS_2 | ARGS_3,
        .flags = CONF_REPEATABLE | CONF_IGNORED,
        .set = conf_set_ignored,
        .help = "There are no threads.",
    },
    {
        .name = "lock_file",
        .contexts = CONF_MAIN,
        .arity = ARGS_1,
        .flags = CONF_IGNORED,
        .set = conf_set_ignored,
        .help = "No lock is needed.",
    },
    {
        .name = "events",
        .contexts = CONF_MAIN,
        .arity = ARGS_0,
        .flags = CONF_BLOCK,
        .set = set_events,
        .offset = 0,
        .help = "Directives about how a worker handles connections.",
    },
    {
        .name = "worker_connections",
        .contexts = CONF_EVENTS,
        .arity = ARGS_1,
        .set = conf_set_number,
        .offset = offsetof(struct settings, connections),
        .default_text = "512",
        .min = 1,
        .max = 1u << 24,
        .help = "Clients that one worker may have at the same time.",
    },
    {
        .name = "use",
        .syntax = "epoll",
        .contexts = CONF_EVENTS,
        .arity = ARGS_1,
        .set = set_use,
        .default_text = "epoll",
        .help = "How to wait for events; there is one way.",
    },
    {
        .name = "multi_accept",
        .contexts = CONF_EVENTS,
        .arity = ARGS_FLAG,
        .flags = CONF_IGNORED,
        .set = conf_set_ignored,
        .help = "A few connections are accepted a "
                "turn.",
    },
    {
        .name = "accept_mutex",
        .contexts = CONF_EVENTS,
        .arity = ARGS_FLAG,
        .flags = CONF_IGNORED,
        .set = conf_set_ignored,
        .help = "The kernel shares connections out.",
    },
    {
        .name = "accept_mutex_delay",
        .contexts = CONF_EVENTS,
        .arity = ARGS_1,
        .flags = CONF_IGNORED,
        .set = conf_set_ignored,
        .help = "As accept_mutex.",
    },
    {0},
};

struct conf_module settings_module = {
    .name = "process",
    .size = sizeof(struct settings),
    .defaults = settings_defaults,
    .directives = settings_directives,
    .on_end = settings_on_end,
};

const struct settings *settings_of(const struct generation *g)
{
    return conf_get(g->conf.main, &settings_module);
}
