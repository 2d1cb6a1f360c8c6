/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"

enum {
    LOG_LINE_MAX = 4096, /* bytes; longer lines are cut (nginx: 2048) */
    LIMIT_MS = 60000,
};

static struct log_file stderr_file = {.path = "stderr", .fd = STDERR_FILENO};
static const struct log_target stderr_target = {.file = &stderr_file,
                                                .level = LEVEL_NOTICE};
bool log_debug_is_on;
struct log_ctx log_process = {.target = &stderr_target};

static const char *const level_names[] = {
    [LEVEL_EMERG] = "emerg", [LEVEL_ALERT] = "alert", [LEVEL_CRIT] = "crit",
    [LEVEL_ERROR] = "error", [LEVEL_WARN] = "warn",   [LEVEL_NOTICE] = "notice",
    [LEVEL_INFO] = "info",   [LEVEL_DEBUG] = "debug",
};

const char *log_level_name(enum log_level level)
{
    return level_names[level];
}

enum log_level log_level_find(const char *name)
{
    for (unsigned i = LEVEL_EMERG; i < COUNT(level_names); i++)
        if (strcmp(level_names[i], name) == 0)
            return (enum log_level)i;
    return (enum log_level)0;
}

bool log_wants(const struct log_ctx *ctx, enum log_level level)
{
    if (ctx->debug)
        return ctx->target != NULL;
    for (const struct log_target *t = ctx->target; t; t = t->next)
        if (level <= t->level)
            return true;
    return false;
}

/* A peer's bytes may be in the line: keep it one line of printable text. */
static void escape_controls(uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] < 0x20 || p[i] == 0x7f)
            p[i] = p[i] == '\t' ? ' ' : '?';
}

static void write_line(const struct log_ctx *ctx, enum log_level level,
                       int error, const char *format, va_list args)
{
    uint8_t bytes[LOG_LINE_MAX];
    struct buf line = {
        .p = bytes, .capacity = sizeof bytes, .max = sizeof bytes};
    char text[LOG_LINE_MAX - 512];

    buf_put_str(&line, clock_error_date());
    buf_printf(&line, " [%s] %d#0: ", log_level_name(level), getpid());
    if (ctx->connection)
        buf_printf(&line, "*%llu ", (unsigned long long)ctx->connection);
    vsnprintf(text, sizeof text, format, args);
    buf_put_str(&line, str_c(text));
    if (error)
        buf_printf(&line, " (%d: %s)", error, strerror(error));
    if (ctx->doing)
        buf_printf(&line, " while %s", ctx->doing);
    if (ctx->describe)
        ctx->describe(ctx, &line);
    escape_controls(line.p, line.n);
    if (line.n == line.max)
        line.n--;
    buf_put_u8(&line, '\n');

    for (const struct log_target *t = ctx->target; t; t = t->next) {
        if (level > t->level && !ctx->debug)
            continue;
        if (t->emit) {
            t->emit(t, level, str_slice(buf_str(&line), 0, line.n - 1));
        } else if (t->file->fd >= 0) {
            /* Nothing useful can be done when the log itself fails. */
            ssize_t ignored = write(t->file->fd, line.p, line.n);
            (void)ignored;
        }
    }
}

void log_write(const struct log_ctx *ctx, enum log_level level,
               const char *format, ...)
{
    if (!log_wants(ctx, level))
        return;
    va_list args;
    va_start(args, format);
    write_line(ctx, level, 0, format, args);
    va_end(args);
}

void log_errno(const struct log_ctx *ctx, enum log_level level, int error,
               const char *format, ...)
{
    if (!log_wants(ctx, level))
        return;
    va_list args;
    va_start(args, format);
    write_line(ctx, level, error, format, args);
    va_end(args);
}

bool log_limit_pass(struct log_limit *limit, uint64_t *skipped)
{
    uint64_t now_ms = clock_now_ms();
    if (now_ms < limit->next_ms) {
        limit->skipped++;
        return false;
    }
    *skipped = limit->skipped;
    limit->skipped = 0;
    limit->next_ms = now_ms + LIMIT_MS;
    return true;
}
