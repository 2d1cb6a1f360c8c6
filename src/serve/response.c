/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <unistd.h>

#include "base/check.h"
#include "exchange.h"
#include "serve/core.h"
#include "steps.h"

enum {
    SENDFILE_MAX = 512 * 1024, /* bytes of a file in one call, so that a fast
                                  reader does not hold the loop */
};

struct file_send {
    int fd;
    off_t at;
    uint64_t left;
};

/* ---- fields ---- */

void response_add(struct request *r, struct str name, struct str value)
{
    struct response *p = &r->response;

    if (p->fields_n == p->fields_capacity) {
        size_t capacity = p->fields_capacity ? p->fields_capacity * 2 : 16;
        struct response_field *bigger =
            arena_alloc(r->arena, capacity * sizeof *bigger);
        if (p->fields_n)
            memcpy(bigger, p->fields, p->fields_n * sizeof *bigger);
        p->fields = bigger;
        p->fields_capacity = capacity;
    }
    p->fields[p->fields_n++] = (struct response_field){name, value};
}

struct str response_find(const struct request *r, struct str name)
{
    for (size_t i = 0; i < r->response.fields_n; i++)
        if (str_eq_nocase(r->response.fields[i].name, name))
            return r->response.fields[i].value;
    return (struct str){NULL, 0};
}

size_t response_remove(struct request *r, struct str name)
{
    struct response *p = &r->response;
    size_t kept = 0, n = p->fields_n;

    for (size_t i = 0; i < n; i++)
        if (!str_eq_nocase(p->fields[i].name, name))
            p->fields[kept++] = p->fields[i];
    p->fields_n = kept;
    return n - kept;
}

void response_reset(struct request *r)
{
    struct response *p = &r->response;
    struct response_field *fields = p->fields;
    size_t capacity = p->fields_capacity;

    check(!p->head_sent);
    *p = (struct response){
        .fields = fields,
        .fields_capacity = capacity,
        .content_length = -1,
        .last_modified = -1,
    };
}

/* ---- bodies ---- */

void request_send_head(struct request *r)
{
    r->wire->send(r, NULL, 0, false);
}

bool request_send_body(struct request *r, const struct iovec *iov, int n,
                       bool last)
{
    r->wire->send(r, iov, n, last);
    r->blocked = !last && stream_queued(r->client->stream) > r->output_max;
    return !r->blocked;
}

int request_respond(struct request *r, unsigned status, struct str type,
                    struct str body)
{
    struct iovec iov = {(void *)(uintptr_t)body.p, body.n};

    r->response.status = status;
    r->response.content_type = type;
    r->response.content_length = (int64_t)body.n;
    request_send_body(r, &iov, 1, true);
    return VERDICT_DONE;
}

static void close_file(void *arg)
{
    struct file_send *f = arg;
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
}

/* Returns false when the file failed: the response cannot be completed. */
static bool send_file_some(struct request *r)
{
    struct file_send *f = r->file;
    struct stream *s = r->client->stream;

    stream_flush(s);
    while (f->left && !stream_queued(s)) {
        size_t want = f->left < SENDFILE_MAX ? (size_t)f->left : SENDFILE_MAX;
        ssize_t sent = stream_sendfile(s, f->fd, &f->at, want);
        if (sent == 0)
            break; /* on_written tells when to go on */
        if (sent < 0) {
            log_errno(&r->log, LEVEL_CRIT, errno, "sendfile() failed");
            return false;
        }
        f->left -= (uint64_t)sent;
        r->body_sent += (uint64_t)sent;
        r->bytes_sent += (uint64_t)sent;
    }
    return true;
}

void request_send_file(struct request *r, int fd, off_t offset, uint64_t n)
{
    struct file_send *f = arena_alloc(r->arena, sizeof *f);

    *f = (struct file_send){.fd = fd, .at = offset, .left = n};
    arena_on_destroy(r->arena, close_file, f);
    check(!r->response.chunked);
    request_send_head(r);
    if (r->response.header_only || n == 0) {
        r->response.finished = true;
        return;
    }
    r->file = f;
    request_file_goes_on(r);
}

void request_file_goes_on(struct request *r)
{
    struct file_send *f = r->file;

    if (!send_file_some(r)) {
        r->keep_alive = false;
        r->truncated = true;
        f->left = 0;
    }
    if (f->left) {
        client_wait_for(r->client, WAIT_SEND,
                        core_conf_of(r->location)->send_timeout_ms);
        return;
    }
    close_file(f);
    r->file = NULL;
    r->response.finished = true;
}
