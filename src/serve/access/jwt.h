/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * access/jwt.h - signed JSON Web Tokens (RFC 7519, 7515, 7518, 8037) and the
 * keys they are signed with (RFC 7517).
 *
 * HS, RS, PS and ES with 256, 384 and 512, and EdDSA.  "none" is none.  Which
 * kind of key an algorithm takes is its own matter: a public key is never a
 * secret, whatever the token says.
 */
#ifndef PENSTOCK_SERVE_JWT_H
#define PENSTOCK_SERVE_JWT_H

#include "base/arena.h"
#include "base/err.h"
#include "base/list.h"
#include "base/str.h"

enum {
    JWT_MAX = 16 * 1024 /* bytes of a token */
};

struct jwk;

/* Keys of a file, in its order. */
struct jwk_set {
    struct jwk *keys; /* NULL: none */
};

struct jwt {
    struct str header, payload; /* good JSON objects, in the arena */
};

/*
 * Add the keys of a JWK set ("keys": [...]) to set; keys of kinds that are
 * not known are passed over.  Freed with the arena.  -1 with err.
 */
int jwk_set_read(struct jwk_set *set, struct str text, struct arena *arena,
                 struct err *err);

/* Read and verify a token.  NULL, or what is wrong with it. */
const char *jwt_verify(struct jwt *out, struct str token,
                       const struct jwk_set *set, struct arena *arena);

/* Claims exp and nbf against the clock: NULL, or what is wrong. */
const char *jwt_check_times(const struct jwt *t, int64_t now_s,
                            int64_t leeway_s);

#endif
