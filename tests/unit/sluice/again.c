/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/sluice/again.h"

#include "base/check.h"
#include "sluice/ack.h"
#include "sluice/app.h"
#include "sluice/client.h"
#include "sluice/close.h"
#include "sluice/group.h"
#include "sluice/hello.h"
#include "sluice/http.h"
#include "sluice/link.h"
#include "sluice/open.h"

/* Each pair, as a function from frame to frame. */
#define AGAIN(name)                                                            \
    static int name##_again(struct buf *out, const struct sluice_frame *f)     \
    {                                                                          \
        struct sluice_##name body;                                             \
        int got = sluice_##name##_get(&body, f);                               \
        if (got == 0 && !sluice_##name##_put(out, &body))                      \
            return AGAIN_FULL;                                                 \
        return got;                                                            \
    }

AGAIN(hello)
AGAIN(keepalive)
AGAIN(goaway)
AGAIN(log)
AGAIN(stats)
AGAIN(open)
AGAIN(accept)
AGAIN(reject)
AGAIN(close)
AGAIN(closed)
AGAIN(set_state)
AGAIN(set_opts)
AGAIN(state)
AGAIN(ping)
AGAIN(raw)
AGAIN(publish)
AGAIN(broadcast)
AGAIN(msend)
AGAIN(bstream)
AGAIN(delivered)
AGAIN(presence_req)
AGAIN(presence)
AGAIN(http_res)
AGAIN(http_reset)
AGAIN(http_trailers)
AGAIN(http_done)
AGAIN(conn)
AGAIN(client_error)
AGAIN(register)
AGAIN(registered)
AGAIN(claim)

static int error_again(struct buf *out, const struct sluice_frame *f)
{
    struct sluice_error_frame body;
    int got = sluice_error_get(&body, f);
    if (got == 0 && !sluice_error_put(out, &body))
        return AGAIN_FULL;
    return got;
}

static int stats_req_again(struct buf *out, const struct sluice_frame *f)
{
    struct sluice_stats body;
    int got = sluice_stats_get(&body, f);
    if (got == 0 && !sluice_stats_req_put(out, &body))
        return AGAIN_FULL;
    return got;
}

static int resume_end_again(struct buf *out, const struct sluice_frame *f)
{
    uint32_t count;
    int got = sluice_resume_end_get(&count, f);
    if (got == 0 && !sluice_resume_end_put(out, count))
        return AGAIN_FULL;
    return got;
}

static int ack_again(struct buf *out, const struct sluice_frame *f)
{
    struct str rest = sluice_payload(f);
    struct sluice_ack a;
    int got = sluice_ack_check(f);
    if (got != 0)
        return got;
    size_t begin = sluice_frame_begin(out, &f->header);
    bool ok = true;
    while (sluice_ack_next(&rest, &a))
        ok = ok && sluice_ack_put_entry(out, &a);
    check(rest.n == 0);
    return sluice_frame_end(out, begin, ok) ? 0 : AGAIN_FULL;
}

static int channels_again(struct buf *out, const struct sluice_frame *f)
{
    struct str rest = sluice_payload(f), name;
    int got = sluice_channels_check(f);
    if (got != 0)
        return got;
    size_t begin = sluice_frame_begin(out, &f->header);
    bool ok = true;
    while (sluice_channel_next(&rest, &name) == 1)
        ok = ok && sluice_channel_put(out, name);
    return sluice_frame_end(out, begin, ok) ? 0 : AGAIN_FULL;
}

/* Types without a body of their own: header and payload as they are. */
static int plain_again(struct buf *out, const struct sluice_frame *f)
{
    bool ok = sluice_frame_put(out, &f->header, sluice_payload(f));
    return ok ? 0 : AGAIN_FULL;
}

int again(struct buf *out, const struct sluice_frame *f)
{
    switch ((enum sluice_type)f->header.type) {
    case SLUICE_HELLO:
        return hello_again(out, f);
    case SLUICE_KEEPALIVE:
        return keepalive_again(out, f);
    case SLUICE_GOAWAY:
        return goaway_again(out, f);
    case SLUICE_ERROR:
        return error_again(out, f);
    case SLUICE_LOG:
        return log_again(out, f);
    case SLUICE_STATS_REQ:
        return stats_req_again(out, f);
    case SLUICE_STATS:
        return stats_again(out, f);
    case SLUICE_OPEN:
    case SLUICE_RESUME:
    case SLUICE_HTTP_REQ:
        return open_again(out, f);
    case SLUICE_ACCEPT:
        return accept_again(out, f);
    case SLUICE_REJECT:
        return reject_again(out, f);
    case SLUICE_CLOSE:
        return close_again(out, f);
    case SLUICE_CLOSED:
        return closed_again(out, f);
    case SLUICE_RESUME_END:
        return resume_end_again(out, f);
    case SLUICE_SET_STATE:
        return set_state_again(out, f);
    case SLUICE_SET_OPTS:
        return set_opts_again(out, f);
    case SLUICE_STATE:
        return state_again(out, f);
    case SLUICE_PING:
    case SLUICE_PONG:
        return ping_again(out, f);
    case SLUICE_RAW:
        return raw_again(out, f);
    case SLUICE_ACK:
        return ack_again(out, f);
    case SLUICE_SUBSCRIBE:
    case SLUICE_UNSUBSCRIBE:
        return channels_again(out, f);
    case SLUICE_PUBLISH:
        return publish_again(out, f);
    case SLUICE_BROADCAST:
        return broadcast_again(out, f);
    case SLUICE_MSEND:
        return msend_again(out, f);
    case SLUICE_BSTREAM:
        return bstream_again(out, f);
    case SLUICE_DELIVERED:
        return delivered_again(out, f);
    case SLUICE_PRESENCE_REQ:
        return presence_req_again(out, f);
    case SLUICE_PRESENCE:
        return presence_again(out, f);
    case SLUICE_HTTP_RES:
    case SLUICE_HTTP_INFO:
        return http_res_again(out, f);
    case SLUICE_HTTP_RESET:
        return http_reset_again(out, f);
    case SLUICE_HTTP_TRAILERS:
        return http_trailers_again(out, f);
    case SLUICE_HTTP_DONE:
        return http_done_again(out, f);
    case SLUICE_CONN:
        return conn_again(out, f);
    case SLUICE_CLIENT_ERROR:
        return client_error_again(out, f);
    case SLUICE_REGISTER:
        return register_again(out, f);
    case SLUICE_REGISTERED:
        return registered_again(out, f);
    case SLUICE_CLAIM:
    case SLUICE_UNCLAIM:
        return claim_again(out, f);
    case SLUICE_READY:
    case SLUICE_BYE:
    case SLUICE_SETLOG:
    case SLUICE_NOP:
    case SLUICE_OPENED:
    case SLUICE_TERMINATE:
    case SLUICE_DETACH:
    case SLUICE_DETACHED:
    case SLUICE_TEXT:
    case SLUICE_BINARY:
    case SLUICE_CONT:
    case SLUICE_PAUSE:
    case SLUICE_UNPAUSE:
    case SLUICE_HTTP_BODY:
    case SLUICE_UNREGISTER:
        return plain_again(out, f);
    }
    check_failed("the type is in the table", __FILE__, __LINE__);
}
