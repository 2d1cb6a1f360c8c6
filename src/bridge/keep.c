/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/keep.h"

#include <stdlib.h>

#include "base/check.h"
#include "bridge/session.h"

/* The front of keep.common, before TLVs. */
struct common {
    uint32_t max_message;
    uint16_t ws_version, local_port;
    uint8_t http_version, flags;
};

/* Empty between calls: what goes into keep.common, and what is the session's
 * own. */
static struct buf shared, own;

/* Is it the same for most clients of a location? */
static bool is_common(const struct sluice_tlv *t)
{
    unsigned tag = t->tag;

    if (tag == SLUICE_TAG_TARGET)
        return intern_is_worth(t->value);
    return tag == SLUICE_TAG_METHOD || tag == SLUICE_TAG_LOCAL_ADDR ||
           tag == SLUICE_TAG_ORIGIN || tag == SLUICE_TAG_APP ||
           tag == SLUICE_TAG_ROUTE || tag == SLUICE_TAG_EXTENSION;
}

/* What a target's PATH is when nothing in it had to be decoded. */
static struct str plain_path(struct str target)
{
    const char *end = target.n ? memchr(target.p, '?', target.n) : NULL;
    return str_slice(target, 0, end ? (size_t)(end - target.p) : target.n);
}

/* REMOTE_ADDR is session.client; REQUEST_ID is the handshake's, not the
 * client's. */
static void sort(struct str tlvs, bool path_is_target)
{
    struct sluice_tlv t;

    while (sluice_tlv_next(&tlvs, &t) == 1) {
        if (t.tag == SLUICE_TAG_REMOTE_ADDR || t.tag == SLUICE_TAG_REQUEST_ID ||
            (t.tag == SLUICE_TAG_PATH && path_is_target))
            continue;
        check(sluice_tlv_put(is_common(&t) ? &shared : &own, t.tag, t.value));
    }
}

void keep_open(struct session *s, const struct sluice_open *o, struct str tlvs)
{
    struct common c;
    bool path_is_target =
        str_eq(sluice_tlv_find(tlvs, SLUICE_TAG_PATH),
               plain_path(sluice_tlv_find(tlvs, SLUICE_TAG_TARGET)));

    memset(&c, 0, sizeof c); /* padding too: its bytes are compared */
    c.max_message = o->max_message;
    c.ws_version = o->ws_version;
    c.local_port = o->local_port;
    c.http_version = o->http_version;
    c.flags = o->flags;
    keep_free(s);
    buf_put(&shared, &c, sizeof c);
    sort(tlvs, path_is_target);
    size_t size = offsetof(struct keep, tlvs) + own.n;
    struct keep *k = s->keep = xmalloc(size > sizeof *k ? size : sizeof *k);
    *k = (struct keep){
        .common = intern(buf_str(&shared)),
        .t_us = o->t_us,
        .max_frame = s->link->peer_max_frame,
        .remote_port = o->remote_port,
        .path_is_target = path_is_target,
        .tlvs_n = (uint32_t)own.n,
    };
    memcpy(k->tlvs, own.p, own.n);
    buf_clear(&shared);
    buf_clear(&own);
}

static struct str own_tlvs(const struct keep *k)
{
    return str_n(k->tlvs, k->tlvs_n);
}

static struct str common_tlvs(const struct keep *k)
{
    struct str all = interned_str(k->common);
    return str_slice(all, sizeof(struct common), all.n);
}

void keep_say(const struct session *s, struct sluice_open *o)
{
    struct common c;

    memcpy(&c, s->keep->common->bytes, sizeof c);
    o->ws_version = c.ws_version;
    o->http_version = c.http_version;
    o->flags |= c.flags;
    o->t_us = s->keep->t_us;
    o->max_message = c.max_message;
    o->remote_port = s->keep->remote_port;
    o->local_port = c.local_port;
}

bool keep_put_tlvs(struct buf *out, const struct session *s)
{
    const struct keep *k = s->keep;
    struct str mine = own_tlvs(k), alike = common_tlvs(k);
    struct str target = sluice_tlv_find(mine, SLUICE_TAG_TARGET);

    if (!target.p)
        target = sluice_tlv_find(alike, SLUICE_TAG_TARGET);
    bool ok = buf_put_str(out, alike) && buf_put_str(out, mine) &&
              sluice_tlv_put(out, SLUICE_TAG_REMOTE_ADDR, str_c(s->client));
    return ok && (!k->path_is_target ||
                  sluice_tlv_put(out, SLUICE_TAG_PATH, plain_path(target)));
}

void keep_protocol(struct session *s, struct str protocol)
{
    struct buf tlv = {0};

    if (!s->keep || !sluice_tlv_put(&tlv, SLUICE_TAG_SUBPROTOCOL, protocol))
        return;
    struct keep *k = xrealloc(s->keep, sizeof *k + s->keep->tlvs_n + tlv.n);
    memcpy(k->tlvs + k->tlvs_n, tlv.p, tlv.n);
    k->tlvs_n += (uint32_t)tlv.n;
    s->keep = k;
    buf_fini(&tlv);
}

struct keep_more *keep_more(struct keep *k)
{
    if (!k->more)
        k->more = xcalloc(1, sizeof *k->more);
    return k->more;
}

int keep_state(struct session *s, struct str blob)
{
    struct keep_more *k;

    if (blob.n > s->pool->conf->set.state_max)
        return -SLUICE_ERROR_LIMIT;
    if (!s->keep)
        return 0;
    k = keep_more(s->keep);
    if (!k->state || blob.n != k->state->n) {
        free(k->state);
        k->state = blob.n ? xmalloc(sizeof *k->state + blob.n) : NULL;
    }
    if (blob.n) {
        k->state->n = (uint32_t)blob.n;
        memcpy(k->state->bytes, blob.p, blob.n);
    }
    return 0;
}

struct str keep_app(const struct session *s)
{
    return sluice_tlv_find(common_tlvs(s->keep), SLUICE_TAG_APP);
}

void keep_free(struct session *s)
{
    if (!s->keep)
        return;
    kept_free(s);
    intern_unref(s->keep->common);
    if (s->keep->more)
        free(s->keep->more->state);
    free(s->keep->more);
    free(s->keep);
    s->keep = NULL;
}
