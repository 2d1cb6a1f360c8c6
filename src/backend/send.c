/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "internal.h"
#include "sluice/client.h"
#include "sluice/close.h"
#include "sluice/group.h"
#include "sluice/http.h"
#include "sluice/link.h"

/* ---- answers to OPEN ---- */

static bool is_reserved(struct str name, bool accept)
{
    static const char *const always[] = {"Connection", "Keep-Alive", "Upgrade",
                                         "Transfer-Encoding"};
    for (size_t i = 0; i < COUNT(always); i++)
        if (str_eq_nocase(name, str_c(always[i])))
            return true;
    if (str_starts_nocase(name, STR("Sec-WebSocket-")))
        return true;
    return accept && str_eq_nocase(name, STR("Content-Length"));
}

static bool header_is_legal(struct str name, struct str value, bool accept)
{
    if (name.n == 0 || is_reserved(name, accept))
        return false;
    for (size_t i = 0; i < name.n; i++)
        if (!ascii_is_token(name.p[i]))
            return false;
    for (size_t i = 0; i < value.n; i++) {
        unsigned char ch = (unsigned char)value.p[i];
        if ((ch < 0x20 && ch != '\t') || ch == 0x7f)
            return false;
    }
    return true;
}

static bool put_headers(struct buf *out, const char *const *headers,
                        bool accept)
{
    for (size_t i = 0; headers && headers[i]; i += 2) {
        if (!headers[i + 1])
            return false;
        struct str name = str_c(headers[i]), value = str_c(headers[i + 1]);
        if (!header_is_legal(name, value, accept) ||
            !sluice_tlv_put_header(out, name, value))
            return false;
    }
    return true;
}

bool psb_put_headers(struct buf *out, const char *const *headers)
{
    return put_headers(out, headers, false);
}

static bool is_offered(const psb_client_t *c, const char *protocol)
{
    psb_buf offer;

    for (size_t i = 0; (offer = psb_offer(c, i)).p; i++)
        if (str_eq(str_n(offer.p, offer.n), str_c(protocol)))
            return true;
    return false;
}

/* 0, or -1 when an answer is not wanted any more. */
static int may_answer(const psb_client_t *c)
{
    if (c->link->dead || c->gone)
        return psb_refuse(EPIPE);
    return c->answered ? psb_refuse(EALREADY) : 0;
}

int psb_accept(psb_client_t *c, const char *protocol,
               const char *const *headers)
{
    struct buf tlvs = {0};
    bool ok = true;

    if (may_answer(c) == -1)
        return -1;
    if (protocol && !is_offered(c, protocol))
        return psb_refuse(EINVAL);
    if (protocol)
        ok = sluice_tlv_put(&tlvs, SLUICE_TAG_SUBPROTOCOL, str_c(protocol));
    ok = ok && buf_put_str(&tlvs, buf_str(&c->joins)) &&
         put_headers(&tlvs, headers, true) &&
         tlvs.n + 8 <= c->link->peer_max_frame;
    if (ok) {
        struct sluice_accept a = {.cid = c->cid, .tlvs = buf_str(&tlvs)};
        sluice_accept_put(&c->link->out, &a);
        psb_link_dirty(c->link);
        c->answered = true;
        c->state = PSB_OPEN;
    }
    buf_fini(&tlvs);
    return ok ? 0 : psb_refuse(EINVAL);
}

int psb_reject(psb_client_t *c, int status, const char *const *headers,
               psb_buf body, const char *debug_reason)
{
    struct buf tlvs = {0};
    struct sluice_reject r = {.cid = c->cid, .status = (uint16_t)status};

    if (may_answer(c) == -1)
        return -1;
    if (status == 0)
        r.flags = SLUICE_REJECT_PASS;
    else if (status < 300 || status > 599)
        return psb_refuse(EINVAL);
    bool ok = put_headers(&tlvs, headers, false);
    if (body.n)
        ok =
            ok && sluice_tlv_put(&tlvs, SLUICE_TAG_BODY, str_n(body.p, body.n));
    if (debug_reason)
        ok =
            ok && sluice_tlv_put(&tlvs, SLUICE_TAG_REASON, str_c(debug_reason));
    ok = ok && tlvs.n + 4 <= c->link->peer_max_frame;
    if (ok) {
        r.tlvs = buf_str(&tlvs);
        sluice_reject_put(&c->link->out, &r);
        psb_link_dirty(c->link);
        c->answered = true;
        c->state = PSB_CLOSED;
    }
    buf_fini(&tlvs);
    return ok ? 0 : psb_refuse(EINVAL);
}

/* ---- credit ---- */

static bool has_credit(const psb_client_t *c)
{
    return c->credit > 0 && c->link->credit > 0;
}

static void spend(psb_client_t *c, size_t n)
{
    c->credit -= (int64_t)n;
    c->link->credit -= (int64_t)n;
    c->unacked += (uint32_t)n;
}

static size_t queued(const psb_client_t *c)
{
    return c->queue.n - c->queue_at;
}

static void block(psb_client_t *c)
{
    if (!list_is_linked(&c->blocked))
        list_push_back(&c->link->blocked, &c->blocked);
}

/* Move what was kept to the link, as far as credit goes. */
static void release(psb_client_t *c)
{
    struct buf *out = &c->link->out;

    while (queued(c)) {
        const uint8_t *at = c->queue.p + c->queue_at;
        struct sluice_header h = sluice_header_get(at);
        bool data = sluice_type_is_data(h.type);
        if (data && !has_credit(c))
            break;
        size_t size = SLUICE_HEADER_SIZE + h.length;
        buf_put(out, at, size);
        c->queue_at += size;
        if (data) {
            spend(c, h.length);
            c->queue_payload -= h.length;
        }
    }
    if (!queued(c)) {
        buf_fini(&c->queue);
        c->queue_at = 0;
    } else if (c->queue_at > c->queue.n / 2) {
        buf_drop(&c->queue, c->queue_at);
        c->queue_at = 0;
    }
    psb_link_dirty(c->link);
    psb_client_may_leave(c);
}

void psb_client_credit(psb_client_t *c)
{
    if (!list_is_linked(&c->blocked) || !has_credit(c))
        return;
    release(c);
    if (queued(c) || !has_credit(c))
        return;
    list_remove(&c->blocked);
    if (c->state == PSB_OPEN && c->app->h.on_writable)
        c->app->h.on_writable(c, c->app->app.ud);
}

void psb_link_credit(struct psb_link *l)
{
    struct list waiting;

    if (l->credit <= 0 || list_is_empty(&l->blocked))
        return;
    /* Each gets one chance; who stays blocked goes to the end of the list,
     * so that none is always the last. */
    list_init(&waiting);
    list_splice(&waiting, &l->blocked);
    while (!list_is_empty(&waiting)) {
        psb_client_t *c = CONTAINER(waiting.next, psb_client_t, blocked);
        list_remove(&c->blocked);
        list_push_back(&l->blocked, &c->blocked);
        if (l->credit > 0)
            psb_client_credit(c);
    }
}

/* ---- data ---- */

static int may_send(const psb_client_t *c)
{
    if (c->http)
        return psb_refuse(EINVAL);
    if (c->state == PSB_CONNECTING)
        return psb_refuse(ENOTCONN);
    if (c->state != PSB_OPEN || c->link->dead || c->gone)
        return psb_refuse(EPIPE);
    return 0;
}

/* The same for what only a WebSocket has. */
static int may_speak(const psb_client_t *c)
{
    return c->tunnel ? psb_refuse(EINVAL) : may_send(c);
}

/* One data frame, to the link or behind what waits. */
static void put_data(psb_client_t *c, uint8_t type, uint16_t aux, bool more,
                     const struct iovec *iov, size_t n)
{
    struct psb_link *l = c->link;
    bool now = !queued(c) && has_credit(c);
    struct buf *out = now ? &l->out : &c->queue;
    uint8_t flags = more ? SLUICE_FLAG_MORE : 0;

    if (!more && type < SLUICE_PING && c->app->h.on_flushed)
        flags |= SLUICE_FLAG_NOTIFY;
    if (c->out_plain && type < SLUICE_CONT)
        flags |= SLUICE_FLAG_NOCOMPRESS;
    uint8_t *at = buf_reserve(out, SLUICE_HEADER_SIZE + n);
    sluice_data_header(at, (enum sluice_type)type, flags, aux, c->cid, n);
    if (n)
        memcpy(at + SLUICE_HEADER_SIZE, iov->iov_base, n);
    out->n += SLUICE_HEADER_SIZE + n;
    if (now) {
        spend(c, n);
        psb_link_dirty(l);
    } else {
        c->queue_payload += n;
    }
}

int psb_send_body(psb_client_t *c, const void *p, size_t n, bool last)
{
    const uint8_t *at = p;

    if (n > PSB_QUEUE_MAX || queued(c) + n > PSB_QUEUE_MAX)
        return psb_refuse(ENOBUFS);
    do {
        size_t take = n < c->link->peer_max_frame ? n : c->link->peer_max_frame;
        struct iovec piece = {(void *)(uintptr_t)at, take};
        put_data(c, SLUICE_HTTP_BODY, 0, !last || take < n, &piece, take);
        at += take;
        n -= take;
    } while (n);
    if (!queued(c) && has_credit(c))
        return 0;
    block(c);
    return 1;
}

int psb_send_trailers(psb_client_t *c, const struct sluice_http_trailers *t)
{
    bool waits = queued(c) > 0;

    sluice_http_trailers_put(waits ? &c->queue : &c->link->out, t);
    psb_link_dirty(c->link);
    return waits;
}

/* In as many frames as the gateway's max_frame makes necessary. */
static void put_pieces(psb_client_t *c, int opcode, const uint8_t *p, size_t n,
                       bool last)
{
    do {
        size_t take = n < c->link->peer_max_frame ? n : c->link->peer_max_frame;
        uint8_t type = c->out_begun  ? SLUICE_CONT
                       : opcode == 2 ? SLUICE_BINARY
                                     : SLUICE_TEXT;
        struct iovec piece = {(void *)(uintptr_t)p, take};
        bool more = !last || take < n;
        put_data(c, type, 0, more, &piece, take);
        c->out_begun = more;
        p += take;
        n -= take;
    } while (n);
}

static int send_part(psb_client_t *c, int opcode, const void *p, size_t n,
                     bool last)
{
    if (may_speak(c) == -1)
        return -1;
    if (opcode != 1 && opcode != 2)
        return psb_refuse(EINVAL);
    if (n > PSB_QUEUE_MAX || queued(c) + n > PSB_QUEUE_MAX)
        return psb_refuse(ENOBUFS);
    put_pieces(c, opcode, p ? p : "", n, last);
    if (last)
        c->seq_out++;
    if (!queued(c) && has_credit(c))
        return 0;
    block(c);
    return 1;
}

int psb_send(psb_client_t *c, int binary, const void *p, size_t n)
{
    if (c->out_opcode && may_send(c) == 0)
        return psb_refuse(EBUSY);
    c->out_plain = binary & PSB_NOCOMPRESS;
    return send_part(c, binary & ~PSB_NOCOMPRESS ? 2 : 1, p, n, true);
}

int psb_sendv(psb_client_t *c, int binary, const struct iovec *iov, int n)
{
    struct buf whole = {0};
    size_t total = 0;

    for (int i = 0; i < n; i++) {
        if (iov[i].iov_len > PSB_QUEUE_MAX - total)
            return may_send(c) == -1 ? -1 : psb_refuse(ENOBUFS);
        total += iov[i].iov_len;
    }
    for (int i = 0; i < n; i++)
        buf_put(&whole, iov[i].iov_base, iov[i].iov_len);
    int result = psb_send(c, binary, whole.p, whole.n);
    int error = errno;
    buf_fini(&whole);
    errno = error;
    return result;
}

int psb_fragment(psb_client_t *c, int opcode, const void *p, size_t n, int last)
{
    bool plain = opcode & PSB_NOCOMPRESS;
    opcode &= ~PSB_NOCOMPRESS;
    if (c->out_opcode && (c->out_raw || c->out_opcode != opcode) &&
        may_send(c) == 0)
        return psb_refuse(EBUSY);
    c->out_plain = plain;
    int result = send_part(c, opcode, p, n, last != 0);
    if (result != -1)
        c->out_opcode = last ? 0 : (uint8_t)opcode;
    psb_client_may_leave(c);
    return result;
}

/* What the gateway would refuse: it would end the client. */
static int check_raw(const psb_client_t *c, unsigned head, size_t n)
{
    unsigned opcode = head & 0x0f;
    bool control = opcode >= 8;

    if (head > 0xff || opcode == 8 ||
        (control && (!(head & 0x80) || n > SLUICE_CONTROL_MAX)))
        return psb_refuse(EINVAL);
    if (!control && (opcode == 0) != c->out_raw)
        return psb_refuse(opcode ? EBUSY : EINVAL);
    if (!control && opcode && c->out_opcode)
        return psb_refuse(EBUSY);
    if (n > c->link->peer_max_frame)
        return psb_refuse(EMSGSIZE);
    if (n > PSB_QUEUE_MAX || queued(c) + n > PSB_QUEUE_MAX)
        return psb_refuse(ENOBUFS);
    return 0;
}

int psb_raw(psb_client_t *c, unsigned head, const void *p, size_t n)
{
    struct iovec piece = {(void *)(uintptr_t)p, n};

    if (may_speak(c) == -1)
        return -1;
    if (!(c->link->reader.features & SLUICE_FEATURE_RAW))
        return psb_refuse(ENOTSUP);
    if (check_raw(c, head, n) == -1)
        return -1;
    put_data(c, SLUICE_RAW, (uint16_t)head, false, &piece, n);
    if (!(head & 0x08)) {
        bool fin = head & 0x80;
        c->out_raw = !fin;
        if (head & 0x0f)
            c->out_opcode = head & 0x0f;
        if (fin) {
            c->out_opcode = 0;
            c->seq_out++;
        }
        psb_client_may_leave(c);
    }
    if (!queued(c) && has_credit(c))
        return 0;
    block(c);
    return 1;
}

/* ---- control ---- */

static int send_ping(psb_client_t *c, enum sluice_type type, const void *p,
                     size_t n)
{
    struct sluice_ping ping = {type, c->cid, false, str_n(p, n)};

    if (may_speak(c) == -1)
        return -1;
    if (n > SLUICE_CONTROL_MAX)
        return psb_refuse(EINVAL);
    sluice_ping_put(&c->link->out, &ping);
    psb_link_dirty(c->link);
    return 0;
}

int psb_ping(psb_client_t *c, const void *p, size_t n)
{
    return send_ping(c, SLUICE_PING, p, n);
}

int psb_pong(psb_client_t *c, const void *p, size_t n)
{
    return send_ping(c, SLUICE_PONG, p, n);
}

bool psb_close_is_legal(int code, struct str reason)
{
    bool ok = code ? code > 0 && sluice_close_code_is_legal((unsigned)code)
                   : reason.n == 0;
    return ok && reason.n <= SLUICE_REASON_MAX;
}

int psb_close(psb_client_t *c, int code, const char *reason)
{
    struct sluice_close close = {c->cid, (uint16_t)code,
                                 str_c(reason ? reason : "")};

    if (may_send(c) == -1)
        return -1;
    if (!psb_close_is_legal(code, close.reason))
        return psb_refuse(EINVAL);
    /* Not before what waits for credit. */
    sluice_close_put(queued(c) ? &c->queue : &c->link->out, &close);
    psb_link_dirty(c->link);
    c->state = PSB_CLOSING;
    return 0;
}

int psb_terminate(psb_client_t *c)
{
    if (c->state == PSB_CLOSED || c->link->dead)
        return psb_refuse(EPIPE);
    if (!c->http && !c->answered)
        return psb_reject(c, 503, NULL, (psb_buf){NULL, 0}, NULL);
    buf_fini(&c->queue);
    c->queue_at = c->queue_payload = 0;
    list_remove(&c->blocked);
    sluice_empty_put(&c->link->out, SLUICE_TERMINATE, 0, c->cid);
    psb_link_dirty(c->link);
    c->state = PSB_CLOSED;
    return 0;
}

static int send_empty(psb_client_t *c, enum sluice_type type)
{
    if (c->http && (c->state == PSB_CLOSED || c->link->dead))
        return psb_refuse(EPIPE);
    if (!c->http && may_send(c) == -1)
        return -1;
    sluice_empty_put(&c->link->out, type, 0, c->cid);
    psb_link_dirty(c->link);
    return 0;
}

int psb_pause(psb_client_t *c)
{
    return send_empty(c, SLUICE_PAUSE);
}

int psb_resume(psb_client_t *c)
{
    return send_empty(c, SLUICE_UNPAUSE);
}

int psb_set_idle_timeout(psb_client_t *c, uint32_t ms)
{
    return psb_set_option(c, PSB_OPT_IDLE_TIMEOUT_MS, ms);
}

int psb_set_option(psb_client_t *c, int option, uint32_t value)
{
    struct buf tlvs = {0};

    if (c->http)
        return psb_refuse(EINVAL);
    if (may_send(c) == -1)
        return -1;
    if (option < PSB_OPT_NODELAY || option > PSB_OPT_DEBUG)
        return psb_refuse(EINVAL);
    sluice_tlv_put_opt(&tlvs, (enum sluice_option)option, value);
    struct sluice_set_opts s = {c->cid, buf_str(&tlvs)};
    sluice_set_opts_put(&c->link->out, &s);
    buf_fini(&tlvs);
    psb_link_dirty(c->link);
    return 0;
}
