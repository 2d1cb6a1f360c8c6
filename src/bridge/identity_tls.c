/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/conf.h"
#include "identity.h"
#include "io/tls.h"
#include "serve/client.h"

static bool put_text(struct buf *out, enum sluice_tls_tag tag,
                     const struct tls *t, enum tls_peer_part part)
{
    struct buf text = {0};

    bool ok =
        !tls_put(t, part, &text) || sluice_tlv_put(out, tag, buf_str(&text));
    buf_fini(&text);
    return ok;
}

/* Who has no certificate, costs nothing here. */
static bool put_peer(struct buf *out, const struct tls *t)
{
    const char *wrong = tls_verify_error(t, false);

    if (!tls_has_peer_certificate(t))
        return true;
    return (!wrong ||
            sluice_tlv_put(out, SLUICE_TLS_VERIFY_ERROR, str_c(wrong))) &&
           put_text(out, SLUICE_TLS_CLIENT_DN, t, TLS_PEER_SUBJECT) &&
           put_text(out, SLUICE_TLS_CLIENT_CERT, t, TLS_PEER_PEM);
}

static bool put_name(struct buf *out, enum sluice_tls_tag tag, struct str name)
{
    return !name.n || sluice_tlv_put(out, tag, name);
}

bool identity_put_tls(struct buf *out, struct request *r)
{
    struct buf tlvs = {0};

    if (!request_is_tls(r))
        return true;
    const struct tls *t = r->client->tls;
    const struct websocket_conf *conf = request_conf(r, &websocket_module);
    bool ok =
        sluice_tlv_put_u16(&tlvs, SLUICE_TLS_VERSION, tls_protocol_code(t)) &&
        sluice_tlv_put_u16(&tlvs, SLUICE_TLS_CIPHER, tls_cipher_code(t)) &&
        put_name(&tlvs, SLUICE_TLS_SNI, tls_server_name(t)) &&
        put_name(&tlvs, SLUICE_TLS_ALPN, tls_alpn(t)) && put_peer(&tlvs, t) &&
        (!conf->server_certificate ||
         put_text(&tlvs, SLUICE_TLS_SERVER_CERT, t, TLS_OWN_PEM)) &&
        sluice_tlv_put(out, SLUICE_TAG_TLS, buf_str(&tlvs));
    buf_fini(&tlvs);
    return ok;
}
