/* SPDX-License-Identifier: BSD-2-Clause */
/* psb_broadcast_raw(): a frame to all, by what its first byte says. */
#include <errno.h>

#include "internal.h"
#include "sluice/frame.h"

struct frame {
    unsigned head;
    const uint8_t *p;
    size_t n;
    int result, error;
};

static int close_one(psb_client_t *c, const struct frame *f)
{
    char reason[SLUICE_REASON_MAX + 1] = "";

    if (f->n < 2)
        return psb_close(c, 0, NULL);
    memcpy(reason, f->p + 2, f->n - 2);
    return psb_close(c, f->p[0] << 8 | f->p[1], reason);
}

static int send_one(psb_client_t *c, void *arg)
{
    struct frame *f = arg;
    int rc;

    if (psb_ready_state(c) != PSB_OPEN || c->http || c->tunnel)
        return 0;
    if (f->head == 0x88)
        rc = close_one(c, f);
    else if (f->head == 0x89)
        rc = psb_ping(c, f->p, f->n);
    else if (f->head == 0x8a)
        rc = psb_pong(c, f->p, f->n);
    else
        rc = psb_raw(c, f->head, f->p, f->n);
    if (rc == -1) {
        f->error = errno;
        f->result = -1;
    } else if (f->result == 0) {
        f->result = rc;
    }
    return 0;
}

/* To each client of this backend. */
static int each(psb_t *b, int app, unsigned head, const void *p, size_t n)
{
    struct frame f = {.head = head, .p = p, .n = n};

    psb_foreach(b, app, send_one, &f);
    if (f.result == -1)
        errno = f.error;
    return f.result;
}

/* Pieces of a message: a stream. */
static int piece(psb_t *b, int app, unsigned head, const void *p, size_t n)
{
    uint64_t *id = &b->raw_streams[app];
    unsigned opcode = head & 0x0f;
    int rc = 0;

    if (opcode && *id)
        return psb_refuse(EBUSY);
    if (!opcode && !*id)
        return psb_refuse(EINVAL);
    if (opcode && !(*id = psb_bstream_begin(b, app, opcode == 2)))
        return -1;
    if (n)
        rc = psb_bstream_write(b, *id, p, n);
    if (rc != -1 && head & 0x80) {
        rc = psb_bstream_end(b, *id);
        *id = 0;
    } else if (rc == -1 && opcode) {
        psb_bstream_end(b, *id);
        *id = 0;
    }
    return rc;
}

int psb_broadcast_raw(psb_t *b, int app, uint8_t head, const void *p, size_t n)
{
    unsigned opcode = head & 0x0f;
    bool fin = head & 0x80;

    if (app < 0 || (size_t)app > b->apps_n)
        return psb_refuse(EINVAL);
    if (opcode >= 8 && (!fin || n > SLUICE_CONTROL_MAX))
        return psb_refuse(EINVAL);
    if (head & 0x70 || (opcode > 2 && opcode < 8) || opcode > 10)
        return each(b, app, head, p, n);
    if (opcode == 8 && n == 1)
        return psb_refuse(EINVAL);
    if (opcode >= 8)
        return each(b, app, head, p, n);
    if (fin && opcode)
        return psb_broadcast(b, app, opcode == 2, p, n, 0);
    return piece(b, app, head, p, n);
}
