/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/log/syslog.h - log lines as datagrams to a syslog daemon (RFC 3164).
 *
 * A message that can not be sent at once is lost: a log must not make a
 * worker wait.
 */
#ifndef PENSTOCK_SERVE_LOG_SYSLOG_H
#define PENSTOCK_SERVE_LOG_SYSLOG_H

#include "base/address.h"
#include "base/log.h"
#include "conf/conf.h"

struct syslog_peer {
    struct address to;
    struct str name; /* as written */
    unsigned facility, severity;
    struct str tag;
    bool no_host_name;
    int fd; /* -1: not connected; each process has its own */
    struct log_limit failing;
};

/* "syslog:server=ADDRESS[,facility=F][,tag=T][,severity=S][,nohostname]"; it
 * dies with conf's arena.  NULL with the sentence. */
struct syslog_peer *syslog_parse(struct conf *conf, struct str word);

/* One line, without its newline. */
void syslog_send(struct syslog_peer *p, unsigned severity, struct str line);

/* For struct log_target, whose arg is the peer. */
void syslog_emit(const struct log_target *t, enum log_level level,
                 struct str line);

#endif
