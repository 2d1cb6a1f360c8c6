/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reader_parts.h - the inside of http/reader.h, shared by its four files.
 *
 *   reader.c      what comes next: states, limits, bodies
 *   start_line.c  the request or status line
 *   fields.c      llhttp's callbacks: where each field lies
 *   head_check.c  what the fields mean together: framing, Host, Connection
 *
 * llhttp reads the fields, the chunks and the trailers.  The start line is
 * read here: llhttp knows a fixed list of methods, refuses the 8-bit targets
 * that nginx takes, and lets pass most of what has to be refused in it.  So
 * llhttp is started from a state that has just read a harmless start line.
 */
#ifndef PENSTOCK_HTTP_READER_PARTS_H
#define PENSTOCK_HTTP_READER_PARTS_H

#include <llhttp.h>

#include "http/reader.h"

enum {
    HEAD_BYTES_MAX = 1 << 30,   /* whatever limits say: offsets are 32 bits */
    EMPTY_LINES_MAX = 4,        /* before a request line; RFC 9112 2.2 */
    INTERIMS_MAX = 100,         /* 1xx before one final response */
    CHUNK_EXCESS_MAX = 1 << 14, /* extensions and zeros in one message */
    CHUNK_FRAME = 20,           /* 16 digits and two CRLF, free of charge */
};

enum reader_state {
    READER_START = 0,  /* between messages, or empty lines before one */
    READER_START_LINE, /* some of it was looked at */
    READER_FIELDS,
    READER_BODY_LENGTH,
    READER_BODY_EOF,
    READER_CHUNKS,
    READER_TRAILERS,
    READER_END, /* the message is complete, END was not given yet */
    READER_FAILED,
};

enum start_phase {
    PHASE_METHOD = 0,
    PHASE_TARGET,
    PHASE_VERSION, /* of a request; the last phase */
    PHASE_STATUS,  /* version and code of a response */
    PHASE_REASON,
};

/* Where a field lies: offsets from the first byte of the section. */
struct mark {
    uint32_t name, name_n;
    uint32_t value, value_n;
};

struct marks {
    struct mark *p;
    uint32_t n, capacity;
};

/*
 * What a completed head is put together in, one for all readers of a thread:
 * a head is used before the next call or copied.
 */
struct scratch {
    struct marks marks;
    struct http_field *fields;
    size_t fields_capacity;
    struct http_head head;
    char *path; /* "/?query", when the target has no slash there */
    size_t path_capacity;
};

struct http_reader {
    const struct http_limits *limits;
    const char *error;
    int code; /* negative, once failed */
    bool is_response;
    bool no_body;  /* the response answers a HEAD */
    bool in_value; /* the open field's value has begun */
    bool in_field;
    enum reader_state state;
    enum start_phase phase;
    unsigned empty_lines, interims;

    /* The section (head or trailers) that is being read: its bytes stay in
     * the input until it is complete. */
    const uint8_t *base;                 /* good within a call */
    size_t seen;                         /* bytes looked at */
    size_t line;                         /* where the current line starts */
    uint32_t target, target_n, method_n; /* target: a response's reason */
    uint16_t status;
    uint8_t version;
    struct marks *marks; /* &kept, or the scratch's within a call */
    struct marks kept;   /* heap, while a section is incomplete */

    uint64_t left;       /* BODY_LENGTH: bytes to come */
    size_t chunk_excess; /* framing bytes beyond what chunks need */
    struct span data;    /* of the body, from the callback */
    bool chunk_header, last_chunk, section_end;
    llhttp_t parser;
};

extern _Thread_local struct scratch http_scratch;

/* Fail with a request's code; a response's is always 502.  Returns it. */
int http_reader_fail(struct http_reader *r, int code, const char *why);

/*
 * Look at the n bytes of the section at r->base, continuing at r->seen.
 * 1: the line is complete, r->line is its size.  0: more is needed.
 */
int http_start_line_next(struct http_reader *r, size_t n);

/* llhttp as it is after a start line. */
void http_fields_begin(struct http_reader *r);

/*
 * Let llhttp read the section's bytes up to n.  1: the section is complete
 * and r->seen its size.  0: more is needed.
 */
int http_fields_next(struct http_reader *r, size_t n);

/* Make the head (in the scratch) and check it as a whole.  1, or the code. */
int http_head_check(struct http_reader *r);

/* The trailer section's fields; those that would change the meaning of the
 * message are left out (RFC 9110 6.5.1).  1, or the code. */
int http_trailers_make(struct http_reader *r);

#endif
