/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/body.h - a request body that is read before it is used.
 *
 * Up to client_body_buffer_size stands in memory, in one piece; more goes to a
 * file under client_body_temp_path.  It lives as long as its request, so
 * whoever answers after an internal redirect has it too.
 */
#ifndef PENSTOCK_SERVE_BODY_H
#define PENSTOCK_SERVE_BODY_H

#include "serve/request.h"

enum in_file_only {
    IN_FILE_OFF = 0,
    IN_FILE_ON,    /* and the file stays */
    IN_FILE_CLEAN, /* removed with the request */
};

struct body_conf {
    uint64_t buffer_size; /* bytes */
    unsigned in_file_only;
};

struct request_body {
    uint8_t *p; /* what is in memory: all of it while fd is -1 */
    size_t n, capacity;
    uint64_t size;   /* bytes of the body so far */
    int fd;          /* -1: no file; else all of a complete body is there */
    struct str file; /* its name */
    bool stays;      /* when the request ends */
    bool complete;
};

extern struct conf_module body_module;

/* $request_body, $request_body_file; ends with name NULL. */
extern const struct variable body_variables[];

/* Begin to collect: r->body is there from here, empty. */
void body_start(struct request *r);

/* The next piece, and the end.  False: disk trouble, which was logged; the
 * answer is 500. */
bool body_put(struct request *r, const uint8_t *p, size_t n);
bool body_end(struct request *r);

#endif
