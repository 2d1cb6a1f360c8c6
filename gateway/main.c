/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "bridge/pool.h"
#include "gateway/version.h"
#include "inherit.h"
#include "load.h"
#include "master.h"
#include "modules.h"
#include "options.h"
#include "resources.h"
#include "restart.h"
#include "serve/core.h"
#include "serve/zone.h"
#include "settings.h"
#include "system.h"
#include "temp_paths.h"

/* Said at start: on stderr in nginx's form, and in the log. */
static void say(enum log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void say(enum log_level level, const char *format, ...)
{
    char text[ERR_TEXT_MAX + 256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fprintf(stderr, "penstock: [%s] %s\n", log_level_name(level), text);
    if (log_early_is_file())
        log_write(&log_process, level, "%s", text);
}

static void on_warning(void *arg, const char *sentence)
{
    (void)arg;
    say(LEVEL_WARN, "%s", sentence);
}

/* prefix + path, or path when it is absolute. */
static char *full_path(const char *prefix, const char *path)
{
    size_t n = strlen(prefix) + strlen(path) + 1;
    char *full = xmalloc(n);
    snprintf(full, n, "%s%s", path[0] == '/' ? "" : prefix, path);
    return full;
}

static char *prefix_of(const struct options *o)
{
    const char *prefix = o->prefix ? o->prefix : PENSTOCK_PREFIX;
    size_t n = strlen(prefix);
    char *with_slash = xmalloc(n + 2);
    snprintf(with_slash, n + 2, "%s%s", prefix,
             n > 0 && prefix[n - 1] == '/' ? "" : "/");
    return with_slash;
}

static void open_early_log(const struct options *o, const char *prefix)
{
    if (o->error_log)
        error_log_set_default(o->error_log);
    else
        error_log_set_default(PENSTOCK_ERROR_LOG_PATH);
    const char *path = o->error_log ? o->error_log : PENSTOCK_ERROR_LOG_PATH;
    char *full = full_path(prefix, path);
    bool is_stderr = strcmp(path, "stderr") == 0;
    if (log_early_open(is_stderr ? NULL : full) == -1)
        fprintf(stderr,
                "penstock: [alert] could not open error log file: open() "
                "\"%s\" failed (%d: %s)\n",
                full, errno, strerror(errno));
    free(full);
}

static int print_reference(void)
{
    struct buf out = {0};
    conf_print_reference(gateway_modules, &out);
    fwrite(out.p, 1, out.n, stdout);
    buf_fini(&out);
    return fflush(stdout) == 0 ? 0 : 1;
}

static int check_restart(const struct options *o, const struct generation *g,
                         struct err *err)
{
    const struct pool_conf *p = pool_conf_find(g, str_c(o->restart));
    if (!p || !p->spawns_n)
        return err_set(err, "there is no backend \"%s\" with a spawn line",
                       o->restart);
    return restart_file_add(settings_of(g)->pid, o->restart, err);
}

/* -s: find the master by its pid file. */
static int send_signal(const struct options *o, const struct generation *g)
{
    struct err err;
    pid_t pid = pid_file_read(settings_of(g)->pid, &err);
    if (pid == -1) {
        say(LEVEL_ERROR, "%s", err.text);
        return 1;
    }
    if (o->restart && check_restart(o, g, &err) == -1) {
        say(LEVEL_ERROR, "%s", err.text);
        return 1;
    }
    if (kill(pid, o->signal) == -1) {
        say(LEVEL_ALERT, "kill(%d, %d) failed (%d: %s)", (int)pid, o->signal,
            errno, strerror(errno));
        return 1;
    }
    return 0;
}

static void dump(const struct conf_file *files, const struct conf_file *end)
{
    for (const struct conf_file *f = files; f != end; f = f->next) {
        printf("# configuration file %s:\n", f->path);
        fwrite(f->text.p, 1, f->text.n, stdout);
        fputs("\n", stdout);
    }
    fflush(stdout);
}

static int report_test(const struct options *o, const struct load *load,
                       bool good)
{
    if (!good)
        fprintf(stderr, "penstock: configuration file %s test failed\n",
                load->path);
    else if (!o->quiet)
        fprintf(stderr, "penstock: configuration file %s test is successful\n",
                load->path);
    return good ? 0 : 1;
}

static int test(const struct options *o, struct load *load,
                struct generation *g)
{
    struct err err;
    if (!o->quiet)
        fprintf(stderr, "penstock: the configuration file %s syntax is ok\n",
                load->path);
    bool good = logs_open(g, &err) == 0 && temp_paths_create(g, &err) == 0 &&
                zones_open(g, NULL, &err) == 0 &&
                listens_open(g, NULL, 1, RESOURCES_TRY, &err) == 0;
    if (!good)
        say(LEVEL_EMERG, "%s", err.text);
    report_test(o, load, good);
    if (good && o->dump)
        dump(load->files_read, g->conf.tree.data);
    listens_close(g, NULL);
    return good ? 0 : 1;
}

static int serve(struct load *load, struct generation *g)
{
    struct err err;
    const struct settings *s = settings_of(g);
    int ready_fd = -1;

    if (inherit_start(load->prefix, &err) == -1 || logs_open(g, &err) == -1 ||
        temp_paths_create(g, &err) == -1 || zones_open(g, NULL, &err) == -1 ||
        listens_open(g, NULL, s->workers, RESOURCES_WAIT, &err) == -1) {
        say(LEVEL_EMERG, "%s", err.text);
        generation_unref(g);
        return 1;
    }
    if (s->daemon && (ready_fd = system_daemonise(&err)) == -1) {
        say(LEVEL_EMERG, "%s", err.text);
        listens_close(g, NULL);
        generation_unref(g);
        return 1;
    }
    int code = master_run(load, g, load->files_read, ready_fd, &err);
    if (code == -1) {
        say(LEVEL_EMERG, "%s", err.text);
        listens_close(g, NULL);
        generation_unref(g);
        return 1;
    }
    return code;
}

static int run(const struct options *o, struct load *load)
{
    struct err err = {{0}};
    struct generation *g =
        generation_load(load, arena_create(LOAD_ARENA_CHUNK), &err);
    if (!g) {
        say(LEVEL_EMERG, "%s", err.text);
        return o->test ? report_test(o, load, false) : 1;
    }
    if (!o->test && !o->signal)
        return serve(load, g);
    int code = o->test ? test(o, load, g) : send_signal(o, g);
    generation_unref(g);
    return code;
}

int main(int argc, char **argv)
{
    struct options o;
    struct err err;

    system_open_standard();
    if (options_parse(&o, argc, argv, &err) == -1) {
        fprintf(stderr, "penstock: %s\n", err.text);
        return 1;
    }
    system_keep_arguments(argc, argv);
    clock_update();
    signal(SIGPIPE, SIG_IGN);
    if (o.version) {
        options_print_version(o.configure);
        if (o.help)
            options_print_help();
        if (!o.test)
            return 0;
    }
    modules_start();
    if (o.reference)
        return print_reference();

    char *prefix = prefix_of(&o);
    char *path = full_path(prefix, o.conf ? o.conf : PENSTOCK_CONF_PATH);
    char *globals = xstrdup(o.globals ? o.globals : "");
    open_early_log(&o, prefix);
    struct load load = {
        .source = conf_source_files,
        .path = path,
        .prefix = prefix,
        .globals = str_c(globals),
        .number = 1,
        .warn = on_warning,
    };
    int code = run(&o, &load);
    log_process_use(NULL);
    free(globals);
    free(path);
    free(prefix);
    return code;
}
