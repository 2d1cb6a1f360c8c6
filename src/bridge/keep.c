/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/keep.h"

#include <stdlib.h>

#include "base/check.h"
#include "bridge/session.h"

void keep_open(struct session *s, const struct sluice_open *o, struct str tlvs)
{
    struct keep *k = xmalloc(sizeof *k + tlvs.n);

    keep_free(s);
    *k = (struct keep){
        .max_frame = s->link->peer_max_frame,
        .t_us = o->t_us,
        .max_message = o->max_message,
        .ws_version = o->ws_version,
        .remote_port = o->remote_port,
        .local_port = o->local_port,
        .http_version = o->http_version,
        .open_flags = o->flags,
        .tlvs_n = (uint32_t)tlvs.n,
    };
    memcpy(k->tlvs, tlvs.p, tlvs.n);
    s->keep = k;
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

int keep_state(struct session *s, struct str blob)
{
    struct keep *k = s->keep;

    if (blob.n > s->pool->conf->set.state_max)
        return -SLUICE_ERROR_LIMIT;
    if (!k)
        return 0;
    if (blob.n != k->state_n || !k->state) {
        free(k->state);
        k->state = blob.n ? xmalloc(blob.n) : NULL;
        k->state_n = (uint32_t)blob.n;
    }
    if (blob.n)
        memcpy(k->state, blob.p, blob.n);
    return 0;
}

struct str keep_app(const struct session *s)
{
    return sluice_tlv_find(str_n(s->keep->tlvs, s->keep->tlvs_n),
                           SLUICE_TAG_APP);
}

void keep_free(struct session *s)
{
    if (!s->keep)
        return;
    kept_free(s);
    free(s->keep->state);
    free(s->keep);
    s->keep = NULL;
}
