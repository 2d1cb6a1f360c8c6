# SPDX-License-Identifier: BSD-2-Clause
"""auth_jwt: tokens and keys that another library made."""

import base64
import hmac
import http.client
import json
import time
import unittest

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import (
    ec, ed25519, ed448, padding, rsa, utils,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding, PublicFormat,
)
from support.penstock import PenstockTestCase


def code(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def number(n, size=None):
    return code(n.to_bytes(size or (n.bit_length() + 7) // 8, "big"))


HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
SECRET = b"a secret of some length, for HMAC"
RSA = rsa.generate_private_key(65537, 2048)
CURVES = {
    "256": ("P-256", ec.generate_private_key(ec.SECP256R1()), 32),
    "384": ("P-384", ec.generate_private_key(ec.SECP384R1()), 48),
    "512": ("P-521", ec.generate_private_key(ec.SECP521R1()), 66),
}
ED = {
    "Ed25519": ed25519.Ed25519PrivateKey.generate(),
    "Ed448": ed448.Ed448PrivateKey.generate(),
}


def raw(key):
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def jwks():
    n = RSA.public_key().public_numbers()
    keys = [
        {"kty": "oct", "k": code(SECRET), "kid": "hs"},
        {"kty": "RSA", "n": number(n.n), "e": number(n.e), "kid": "rs"},
        {"kty": "future", "x": "y"},
    ]
    for name, key, size in CURVES.values():
        p = key.public_key().public_numbers()
        keys.append(
            {
                "kty": "EC", "crv": name, "kid": name,
                "x": number(p.x, size), "y": number(p.y, size),
            }
        )  # fmt: skip
    for name, key in ED.items():
        keys.append(
            {"kty": "OKP", "crv": name, "x": code(raw(key)), "kid": name}
        )
    return json.dumps({"keys": keys})


def sign(alg, text, curve="Ed25519"):
    bits = alg[2:]
    if alg.startswith("HS"):
        return hmac.new(SECRET, text, "sha" + bits).digest()
    if alg.startswith("RS"):
        return RSA.sign(text, padding.PKCS1v15(), HASHES[bits])
    if alg.startswith("PS"):
        digest = HASHES[bits]
        pss = padding.PSS(padding.MGF1(digest), digest.digest_size)
        return RSA.sign(text, pss, digest)
    if alg.startswith("ES"):
        _, key, size = CURVES[bits]
        r, s = utils.decode_dss_signature(key.sign(text, ec.ECDSA(HASHES[bits])))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")
    return ED[curve].sign(text)


def token(alg="HS256", claims=None, header=None, signer=None, **how):
    head = {"alg": alg, "typ": "JWT", **(header or {})}
    text = ".".join(
        code(json.dumps(part).encode())
        for part in (head, {"sub": "me"} if claims is None else claims)
    ).encode()
    return text.decode() + "." + code(sign(signer or alg, text, **how))


ALGORITHMS = [
    kind + bits for kind in ("HS", "RS", "PS", "ES") for bits in HASHES
] + ["EdDSA"]

CONFIG = """
http {
    log_format jwt "$jwt_claim_sub";
    auth_jwt_claim_set $inner deep er claim;
    auth_jwt_header_set $type typ;
    map $jwt_claim_role $is_admin { admin 1; default 0; }
    server {
        listen 127.0.0.1:@PORT@;
        auth_jwt "the realm";
        auth_jwt_key_file @PREFIX@/conf/keys.json;
        error_page 404 = @show;
        location @show {
            auth_jwt off;
            add_header X-Show
"$jwt_claim_sub|$jwt_header_alg|$inner|$type|$jwt_claim_list|$jwt_claim_n"
                always;
            try_files /none =410;
        }
        location / { try_files /none =404; }
        location /off { auth_jwt off; try_files /none =404; }
        location /arg { auth_jwt x token=$arg_t; try_files /none =404; }
        location /admin { auth_jwt_require $is_admin error=403;
            try_files /none =404; }
        location /sub { auth_jwt_require $jwt_claim_sub $jwt_claim_n;
            try_files /none =404; }
        location /late { auth_jwt_leeway 60s; try_files /none =404; }
        location /any { satisfy any; deny all; try_files /none =404; }
    }
}
"""


class AuthJwtTest(PenstockTestCase):
    def setUp(self):
        self.p = self.penstock(CONFIG, files={"conf/keys.json": jwks()})

    def ask(self, given, target="/", **headers):
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.p.port(), timeout=20
        )
        if given is not None:
            headers["Authorization"] = "Bearer " + given
        connection.request("GET", target, headers=headers)
        response = connection.getresponse()
        response.read()
        connection.close()
        self.show = response.getheader("X-Show")
        self.challenge = response.getheader("WWW-Authenticate")
        return response.status

    def test_every_algorithm(self):
        for alg in ALGORITHMS:
            good = token(alg)
            self.assertEqual(self.ask(good), 410, alg)
            head, body, signature = good.split(".")
            bytes_of = base64.urlsafe_b64decode(signature + "==")
            bent = code(bytes_of[:-1] + bytes([bytes_of[-1] ^ 1]))
            other = code(b'{"sub":"you"}')
            for bad in (
                f"{head}.{other}.{signature}", f"{head}.{body}.{bent}",
                f"{head}.{body}.", f"{head}.{body}.{signature[:-4]}",
                f"{head}.{body}.{signature}AAAA",
            ):
                self.assertEqual(self.ask(bad), 401, alg + " " + bad)
        self.assertEqual(self.ask(token("EdDSA", curve="Ed448")), 410)

    def test_no_algorithm_is_taken_for_another(self):
        text = f"{code(json.dumps({'alg': 'none'}).encode())}.{code(b'{}')}"
        self.assertEqual(self.ask(text + "."), 401)
        # The public key as the secret of an HMAC.
        pem = RSA.public_key().public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        )
        text = f"{code(json.dumps({'alg': 'HS256'}).encode())}.{code(b'{}')}"
        mac = hmac.new(pem, text.encode(), "sha256").digest()
        self.assertEqual(self.ask(f"{text}.{code(mac)}"), 401)
        for alg, signer in (
            ("HS512", "HS256"), ("RS256", "PS256"), ("ES384", "ES256"),
            ("HS256", "RS256"), ("XX256", "HS256"), ("hs256", "HS256"),
        ):
            bad = token(alg, signer=signer)
            self.assertEqual(self.ask(bad), 401, (alg, signer))
        self.assertEqual(self.ask(token(header={"kid": "hs"})), 410)
        self.assertEqual(self.ask(token(header={"kid": "rs"})), 401)
        self.assertEqual(self.ask(token(header={"crit": ["x"]})), 401)

    def test_malformed_tokens(self):
        good = token()
        for bad in (
            "x", ".", "..", "...", good + ".", "." + good, good[:-50],
            good.replace(".", ".."), "!" + good, "A" * 7000,
            code(b"[]") + "." + code(b"{}") + ".",
            code(b"{") + "." + code(b"{}") + ".",
        ):
            self.assertEqual(self.ask(bad), 401, bad[:50])
            self.assertEqual(
                self.challenge,
                'Bearer realm="the realm", error="invalid_token"',
            )
        self.assertEqual(self.ask(None), 401)
        self.assertEqual(self.challenge, 'Bearer realm="the realm"')
        self.assertEqual(self.ask(None, Authorization="Basic eDp5"), 401)

    def test_times(self):
        now = int(time.time())
        for claims, place, status in (
            ({"exp": now + 100}, "/", 410), ({"exp": now - 10}, "/", 401),
            ({"exp": now - 10}, "/late", 410), ({"exp": now - 90}, "/late", 401),
            ({"nbf": now - 10}, "/", 410), ({"nbf": now + 30}, "/", 401),
            ({"nbf": now + 30}, "/late", 410), ({"nbf": now + 99}, "/late", 401),
            ({"exp": now + 1e5 + 0.5}, "/", 410), ({"exp": "soon"}, "/", 401),
            ({"nbf": None}, "/", 401), ({"exp": 1e300}, "/", 410),
        ):
            self.assertEqual(self.ask(token(claims=claims), place), status, claims)

    def test_claims(self):
        claims = {
            "sub": 'J\u00fcrgen "x"', "list": ["a", "b", 3], "n": 17,
            "deep": {"er": {"claim": True}},
        }
        self.assertEqual(self.ask(token(claims=claims)), 410)
        self.assertEqual(
            self.show.encode("latin-1").decode(),
            'J\u00fcrgen "x"|HS256|true|JWT|a,b,3|17',
        )

    def test_where_and_what(self):
        self.assertEqual(self.ask(None, "/off"), 410)
        self.assertEqual(self.ask(None, "/arg?t=" + token()), 410)
        self.assertEqual(self.ask(token(), "/arg"), 401)
        self.assertEqual(self.ask(token(), "/admin"), 403)
        admin = token(claims={"role": "admin"})
        self.assertEqual(self.ask(admin, "/admin"), 410)
        self.assertEqual(self.ask(token(), "/sub"), 401)
        both = token(claims={"sub": "x", "n": 1})
        self.assertEqual(self.ask(both, "/sub"), 410)
        self.assertEqual(self.ask(token(), "/any"), 410)
        self.assertEqual(self.ask("x", "/any"), 401)


if __name__ == "__main__":
    unittest.main()
