/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/look_up.h - an address that the configuration names, found at load.
 */
#ifndef PENSTOCK_SERVE_LOOK_UP_H
#define PENSTOCK_SERVE_LOOK_UP_H

#include "base/address.h"
#include "conf/conf.h"

/*
 * "unix:/path", "192.0.2.1", "[::1]:514", "name:514": the first address that
 * the system knows for a name.  what: "syslog server", for the sentence.
 */
int look_up_address(struct conf *conf, const char *what, struct str text,
                    uint16_t default_port, struct address *out);

#endif
