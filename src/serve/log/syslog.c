/* SPDX-License-Identifier: BSD-2-Clause */
#include "log/syslog.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "serve/look_up.h"

enum {
    TAG_MAX = 32,      /* bytes, as nginx and RFC 3164 section 5.3 have it */
    HEAD_MAX = 512,    /* bytes in front of the line */
    MESSAGE_MAX = 8192 /* bytes of a datagram; what is longer is cut */
};

/* ---- the configuration's words ---- */

static const char *const facilities[] = {
    "kern",   "user",   "mail",   "daemon", "auth",     "intern",
    "lpr",    "news",   "uucp",   "clock",  "authpriv", "ftp",
    "ntp",    "audit",  "alert",  "cron",   "local0",   "local1",
    "local2", "local3", "local4", "local5", "local6",   "local7",
};

static const char *const severities[] = {
    "emerg", "alert", "crit", "error", "warn", "notice", "info", "debug",
};

static bool find(const char *const *names, size_t n, struct str name,
                 unsigned *out)
{
    for (unsigned i = 0; i < n; i++)
        if (str_eq(str_c(names[i]), name)) {
            *out = i;
            return true;
        }
    return false;
}

static int read_tag(struct conf *conf, struct syslog_peer *p, struct str tag)
{
    if (tag.n > TAG_MAX)
        return conf_fail(conf, "syslog tag length exceeds 32");
    for (size_t i = 0; i < tag.n; i++) {
        char c = ascii_lower(tag.p[i]);
        if ((c < 'a' || c > 'z') && !ascii_is_digit(c) && c != '_')
            return conf_fail(conf, "syslog \"tag\" only allows alphanumeric "
                                   "characters and underscore");
    }
    p->tag = tag;
    return 0;
}

static int read_option(struct conf *conf, struct syslog_peer *p,
                       struct str word)
{
    struct str value = word;
    struct str name = str_cut(&value, '=');

    if (str_eq(name, STR("server")) && value.p) {
        if (p->name.p)
            return conf_fail(conf, "duplicate syslog \"server\"");
        p->name = value;
        return look_up_address(conf, "syslog server", value, 514, &p->to);
    }
    if (str_eq(name, STR("facility")) && value.p)
        return find(facilities, COUNT(facilities), value, &p->facility)
                   ? 0
                   : conf_fail(conf, "unknown syslog facility \"%.*s\"",
                               STR_ARG(value));
    if (str_eq(name, STR("severity")) && value.p)
        return find(severities, COUNT(severities), value, &p->severity)
                   ? 0
                   : conf_fail(conf, "unknown syslog severity \"%.*s\"",
                               STR_ARG(value));
    if (str_eq(name, STR("tag")) && value.p)
        return read_tag(conf, p, value);
    if (str_eq(word, STR("nohostname"))) {
        p->no_host_name = true;
        return 0;
    }
    return conf_fail(conf, "unknown syslog parameter \"%.*s\"", STR_ARG(word));
}

static void hang_up(void *arg)
{
    struct syslog_peer *p = arg;
    if (p->fd != -1)
        close(p->fd);
    p->fd = -1;
}

struct syslog_peer *syslog_parse(struct conf *conf, struct str word)
{
    struct syslog_peer *p = arena_calloc(conf->arena, sizeof *p);
    struct str rest = str_slice(word, sizeof "syslog:" - 1, word.n);

    p->facility = COUNT(facilities) - 1;
    p->severity = 6; /* info */
    p->tag = STR("penstock");
    p->fd = -1;
    while (rest.n)
        if (read_option(conf, p, str_cut(&rest, ',')) == -1)
            return NULL;
    if (!p->name.p) {
        conf_fail(conf, "no syslog server specified");
        return NULL;
    }
    arena_on_destroy(conf->arena, hang_up, p);
    return p;
}

/* ---- sending ---- */

static const char *host_name(void)
{
    static char name[256];
    if (!name[0] && gethostname(name, sizeof name - 1) == -1)
        snprintf(name, sizeof name, "localhost");
    return name;
}

/* "<190>Nov 21 06:33:29 host tag: " (RFC 3164 section 4.1). */
static size_t put_head(const struct syslog_peer *p, unsigned severity,
                       char out[HEAD_MAX])
{
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr",
                                         "May", "Jun", "Jul", "Aug",
                                         "Sep", "Oct", "Nov", "Dec"};
    time_t now = clock_wall_s();
    struct tm tm;

    localtime_r(&now, &tm);
    int n = snprintf(out, HEAD_MAX, "<%u>%s %2d %02d:%02d:%02d %s%s%.*s: ",
                     p->facility * 8 + severity, months[tm.tm_mon], tm.tm_mday,
                     tm.tm_hour, tm.tm_min, tm.tm_sec,
                     p->no_host_name ? "" : host_name(),
                     p->no_host_name ? "" : " ", STR_ARG(p->tag));
    return n < HEAD_MAX ? (size_t)n : HEAD_MAX - 1;
}

static int dial(struct syslog_peer *p)
{
    if (p->fd != -1)
        return 0;
    p->fd = socket(p->to.sa.any.sa_family,
                   SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (p->fd == -1)
        return -1;
    if (connect(p->fd, &p->to.sa.any, p->to.length) == 0)
        return 0;
    int error = errno;
    hang_up(p);
    errno = error;
    return -1;
}

/* The daemon may have been restarted: its socket is looked for once more. */
static int transmit(struct syslog_peer *p, const char *bytes, size_t n)
{
    for (int i = 0; i < 2; i++) {
        if (dial(p) == -1)
            return -1;
        if (send(p->fd, bytes, n, MSG_NOSIGNAL) != -1 || errno == EAGAIN)
            return 0;
        int error = errno;
        hang_up(p);
        errno = error;
    }
    return -1;
}

void syslog_send(struct syslog_peer *p, unsigned severity, struct str line)
{
    static bool complaining; /* a complaint may lead here again */
    char bytes[MESSAGE_MAX];
    size_t n = put_head(p, severity, bytes);
    size_t room = sizeof bytes - n;
    size_t line_n = line.n < room ? line.n : room;
    uint64_t skipped;

    if (line_n)
        memcpy(bytes + n, line.p, line_n);
    if (transmit(p, bytes, n + line_n) == 0 || complaining)
        return;
    int error = errno;
    complaining = true;
    if (log_limit_pass(&p->failing, &skipped))
        log_errno(&log_process, LEVEL_ERROR, error,
                  "sending to syslog server \"%.*s\" failed", STR_ARG(p->name));
    complaining = false;
}

void syslog_emit(const struct log_target *t, enum log_level level,
                 struct str line)
{
    syslog_send(t->arg, (unsigned)level - LEVEL_EMERG, line);
}
