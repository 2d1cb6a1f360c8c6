/* SPDX-License-Identifier: BSD-2-Clause */
#include "options.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

/* ---- of an app ---- */

void app_add_option(struct app *a, const struct sluice_tlv *t)
{
    uint16_t id;
    uint32_t value;

    if (sluice_tlv_get_opt(t, &id, &value) < 0 || id >= COUNT(a->options))
        return;
    a->options[id] = value;
    a->options_set |= 1u << id;
    if (id == SLUICE_OPT_EVENT_MASK)
        a->event_mask = value;
}

bool app_has_option(const struct app *a, enum sluice_option id, uint32_t *value)
{
    *value = a->options[id];
    return a->options_set & 1u << id;
}

/* ---- of a client ---- */

/* Small messages are often in a hurry; fails for a Unix socket. */
static void set_nodelay(struct session *s)
{
    int on = !s->delay;

    if (s->stream)
        setsockopt(s->stream->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void session_connect_options(struct session *s)
{
    set_nodelay(s);
}

/* at_least_once in a link and a pool that have it, unless it was put off.  The
 * bytes of a tunnel are no messages. */
static void set_ack_mode(struct session *s, bool on)
{
    if (s->tunnel)
        return;
    s->forgetful = !on;
    s->at_least_once = on && s->link &&
                       s->link->features & SLUICE_FEATURE_ALO &&
                       s->link->features & SLUICE_FEATURE_RESUME;
    if (!s->accepted || !s->keep)
        return;
    /* What is kept by now goes as far as it was sent. */
    s->keeping |= s->at_least_once;
    session_wake(s);
}

static void look_again(struct session *s)
{
    timer_set(bridge.loop, &s->timer, 0);
}

static struct session_options *asked(struct session *s)
{
    if (!s->options)
        s->options = xcalloc(1, sizeof *s->options);
    return s->options;
}

static void apply(struct session *s, unsigned id, uint32_t value)
{
    switch ((enum sluice_option)id) {
    case SLUICE_OPT_NODELAY:
        s->delay = value == 0;
        set_nodelay(s);
        break;
    case SLUICE_OPT_IDLE_TIMEOUT_MS:
        asked(s)->idle_timeout_ms = value;
        look_again(s);
        break;
    case SLUICE_OPT_AUTO_PONG:
        s->auto_pong = value != 0;
        break;
    case SLUICE_OPT_MAX_MESSAGE:
        asked(s)->max_message = value;
        break;
    case SLUICE_OPT_EVENT_MASK:
        s->event_mask = (uint16_t)value;
        break;
    case SLUICE_OPT_ON_LOSS:
        if (value <= LOSS_REASSIGN)
            s->on_loss = (uint8_t)value;
        break;
    case SLUICE_OPT_PING_INTERVAL_MS:
        asked(s)->ping_ms = value;
        look_again(s);
        break;
    case SLUICE_OPT_SEND_BUFFER:
        asked(s)->send_buffer = value;
        break;
    case SLUICE_OPT_CLOSE_TIMEOUT_MS:
        asked(s)->close_timeout_ms = value;
        look_again(s);
        break;
    case SLUICE_OPT_STREAM_THRESHOLD:
        asked(s)->stream_threshold = value ? value : 1; /* all of it */
        break;
    case SLUICE_OPT_ACK_MODE:
        set_ack_mode(s, value != 0);
        break;
    case SLUICE_OPT_DEBUG:
        s->debug = value != 0;
        break;
    case SLUICE_OPT_VERSIONS: /* of an app: link_find_app() */
        break;
    }
}

void session_apply_options(struct session *s, struct str tlvs)
{
    struct sluice_tlv t;
    uint16_t id;
    uint32_t value;

    while (sluice_tlv_next(&tlvs, &t) == 1)
        if (t.tag == SLUICE_TAG_OPT && sluice_tlv_get_opt(&t, &id, &value) == 0)
            apply(s, id, value);
}

void session_begin_options(struct session *s, const struct app *app)
{
    s->event_mask = SLUICE_EVENT_OPENED;
    free(s->options);
    s->options = NULL;
    s->auto_pong = s->conf->auto_pong;
    s->on_loss = SESSION_LOSS_POOL;
    s->debug = s->delay = s->forgetful = false;
    for (unsigned id = 0; app && id < COUNT(app->options); id++)
        if (app->options_set & 1u << id)
            apply(s, id, app->options[id]);
}
