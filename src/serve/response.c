/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/version.h"
#include "exchange.h"
#include "filter/filters.h"
#include "serve/core.h"
#include "serve/limit_rate.h"
#include "serve/subrequest.h"
#include "steps.h"

enum {
    SENDFILE_MAX = 512 * 1024, /* bytes of a file in one call, so that a fast
                                  reader does not hold the loop */
    PIECE_SIZE = 32 * 1024,    /* bytes of a file that go through memory */
};

struct file_send {
    int fd;
    off_t at;
    uint64_t left;
    bool read; /* filters or a parent want the bytes */
    struct request *request;
    struct loop_task more; /* the rest, in the next turn */
};

/* ---- fields ---- */

static void grow(struct request *r, struct response_field **fields, size_t n,
                 size_t *capacity)
{
    if (n < *capacity)
        return;
    *capacity = *capacity ? *capacity * 2 : 16;
    struct response_field *bigger =
        arena_alloc(r->arena, *capacity * sizeof *bigger);
    if (n)
        memcpy(bigger, *fields, n * sizeof *bigger);
    *fields = bigger;
}

void response_add(struct request *r, struct str name, struct str value)
{
    struct response *p = &r->response;

    grow(r, &p->fields, p->fields_n, &p->fields_capacity);
    p->fields[p->fields_n++] = (struct response_field){name, value};
}

void response_add_trailer(struct request *r, struct str name, struct str value)
{
    struct response *p = &r->response;

    grow(r, &p->trailers, p->trailers_n, &p->trailers_capacity);
    p->trailers[p->trailers_n++] = (struct response_field){name, value};
}

time_t response_modified(const struct request *r)
{
    if (r->response.last_modified != -1)
        return r->response.last_modified;
    struct str text = response_find(r, STR("Last-Modified"));
    return text.p ? clock_parse_http(text) : -1;
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
    r->filters = NULL;
}

/* ---- bodies ---- */

static void prepare_head(struct request *r)
{
    if (r->error_status)
        r->response.status = r->error_status;
    if (!r->response.head_filtered)
        filters_run_head(r);
    limit_rate_begin(r);
}

void request_send_head(struct request *r)
{
    prepare_head(r);
    r->wire->send(r, NULL, 0, false);
}

static bool send_filtered(struct request *r, const struct iovec *iov, int n,
                          bool last)
{
    if (!r->response.head_sent)
        r->wire->send(r, NULL, 0, false);
    return filters_put(r, iov, n, last);
}

bool request_send_body(struct request *r, const struct iovec *iov, int n,
                       bool last)
{
    bool room;

    if (!r->response.head_sent)
        prepare_head(r);
    r->response.ended = last;
    if (r->filters && !r->response.header_only)
        room = send_filtered(r, iov, n, last);
    else
        room = r->wire->send(r, iov, n, last) <= r->output_max;
    r->blocked = !last && !room;
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
    loop_cancel(&f->more);
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
}

/* Through memory.  Returns false when the file failed. */
static bool send_file_read(struct request *r)
{
    static uint8_t piece[PIECE_SIZE]; /* what is kept of it is copied */
    struct file_send *f = r->file;
    size_t turn = 0;
    bool room = true;

    while (f->left && room) {
        if (turn >= SENDFILE_MAX) {
            loop_defer_next(request_loop(r), &f->more);
            break;
        }
        size_t want = f->left < sizeof piece ? (size_t)f->left : sizeof piece;
        ssize_t got = pread(f->fd, piece, want, f->at);
        if (got <= 0) {
            log_errno(&r->log, LEVEL_CRIT, got ? errno : 0,
                      "pread() read only 0 of %zu bytes", want);
            return false;
        }
        f->at += got;
        f->left -= (uint64_t)got;
        turn += (size_t)got;
        struct iovec iov = {piece, (size_t)got};
        room = request_send_body(r, &iov, 1, !f->left);
    }
    return true;
}

/* Returns false when the file failed: the response cannot be completed. */
static bool send_file_some(struct request *r)
{
    struct file_send *f = r->file;
    struct stream *s = r->client->stream;

    if (f->read)
        return send_file_read(r);

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

/* What the client took makes room for more of the file. */
static void file_goes_on(struct request *r)
{
    struct file_send *f = r->file;

    if (!send_file_some(r)) {
        r->keep_alive = false;
        r->truncated = true;
        r->response.finished = true;
        f->left = 0;
    }
    if (f->left) {
        if (!f->read)
            client_wait_for(r->client, WAIT_SEND,
                            core_conf_of(r->location)->send_timeout_ms);
        return;
    }
    close_file(f);
    r->file = NULL;
    r->response.ended = true;
    if (!f->read)
        r->response.finished = true;
}

static void on_more(struct loop_task *task)
{
    struct request *r = CONTAINER(task, struct file_send, more)->request;

    if (!r->file || r->done || r->aborted)
        return;
    file_goes_on(r);
    request_complete(r);
}

void request_send_file(struct request *r, int fd, off_t offset, uint64_t n)
{
    struct file_send *f = arena_alloc(r->arena, sizeof *f);

    *f = (struct file_send){.fd = fd,
                            .at = offset,
                            .left = n,
                            .request = r,
                            .more = {.run = on_more}};
    arena_on_destroy(r->arena, close_file, f);
    prepare_head(r);
    if (r->response.header_only || n == 0) {
        request_send_body(r, NULL, 0, true);
        return;
    }
    f->read = r->filters || r->response.expect_trailers || request_is_sub(r);
    if (!f->read)
        request_send_head(r);
    r->file = f;
    file_goes_on(r);
}

void request_drained(struct request *r)
{
    if (r->filters && !r->response.header_only && !filters_drain(r))
        return;
    if (r->file)
        file_goes_on(r);
    if (r->finishing) {
        request_complete(r);
    } else if (r->blocked && !r->file) {
        r->blocked = false;
        if (r->handler && r->handler->on_drain)
            r->handler->on_drain(r);
    }
}

struct str response_server(struct request *r)
{
    const struct core_conf *conf = core_conf_of(r->location);

    switch ((enum server_tokens)conf->server_tokens) {
    case TOKENS_OFF:
        return STR(PENSTOCK_NAME);
    case TOKENS_TEXT:
        break;
    case TOKENS_ON:
    case TOKENS_BUILD:
        return STR(PENSTOCK_TOKEN);
    }
    struct str text = value_eval(conf->server_text, &r->eval);
    return http_field_value_is_valid(text) ? text : STR("");
}
