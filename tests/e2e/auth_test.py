# SPDX-License-Identifier: BSD-2-Clause
"""auth_basic, auth_delay, satisfy, allow and deny, limit_except."""

import base64
import hashlib
import os
import socket
import time
import unittest
import warnings

from support.nginx import CompareTestCase

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import crypt


def basic(user, password):
    text = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": "Basic " + text}


def ssha(password, salt):
    digest = hashlib.sha1(password.encode() + salt).digest() + salt
    return "{SSHA}" + base64.b64encode(digest).decode()


HASHES = {
    "des": crypt.crypt("pass-des", "ab"),
    "md5": crypt.crypt("pass-md5", "$1$saltsalt"),
    "sha256": crypt.crypt("pass-sha256", "$5$rounds=1000$salt"),
    "sha512": crypt.crypt("pass-sha512", "$6$rounds=1000$salt"),
    "bcrypt": crypt.crypt(
        "pass-bcrypt", crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16)
    ),
    # openssl passwd -apr1 -salt r31..... pass-apr1
    "apr1": "$apr1$r31.....$mADoHiWt0PO.neKHGeuGP/",
    "plain": "{PLAIN}pass-plain",
    "sha": "{SHA}"
    + base64.b64encode(hashlib.sha1(b"pass-sha").digest()).decode(),
    "ssha": ssha("pass-ssha", b"salt"),
    "empty": "",
    "odd": "$9$nothing$of$the$kind",
}
USERS = "# people\n\n" + "".join(
    f"{user}:{hash}:a comment\n" for user, hash in HASHES.items()
)
FILES = {"conf/users": USERS, "html/a": "a", "html/index.html": "index"}
BASIC = "auth_basic 'the realm'; auth_basic_user_file @PREFIX@/conf/users;"


class AuthBasicTest(CompareTestCase):
    def test_every_kind_of_hash(self):
        both = self.both(BASIC, files=FILES)
        for user in HASHES:
            for _ in range(2):  # the second time from memory
                answer = both.same("/a", **basic(user, "pass-" + user))
            self.assertEqual(
                answer.status, 401 if user in ("empty", "odd") else 200, user
            )
            both.same("/a", **basic(user, "wrong"))
            both.same("/a", **basic(user, ""))

    def test_who_is_not_let_in(self):
        both = self.both(BASIC, files=FILES)
        both.same("/a")
        both.same("/a", **basic("nobody", "x"))
        for value in (
            "Basic", "Basic !!!", "Bearer x", "Basic " + "A" * 5, "basic cGxh",
            "Basic " + base64.b64encode(b"plain").decode(),
            "Basic " + base64.b64encode(b":pass").decode(),
        ):
            both.same("/a", Authorization=value)
        self.assertEqual(
            both.same("/a", **basic("plain", "x" * 3000)).status, 401
        )
        both.ours.wait_for_log('user "plain": password mismatch, client:')
        both.ours.wait_for_log('user "nobody" was not found in "')

    def test_inheritance_and_variables(self):
        both = self.both(
            BASIC + "location /off/ { auth_basic off; try_files /a =404; }"
            "location /var/ { auth_basic $arg_realm; try_files /a =404;"
            " auth_basic_user_file @PREFIX@/conf/$arg_file; }"
            "location /except/ { auth_basic off; try_files /a =404;"
            f" limit_except GET {{ {BASIC} }} }}",
            files=FILES,
        )
        both.same("/off/")
        for args in (
            "", "realm=off", "realm=x", "realm=x&file=users",
            "realm=x&file=no", "realm=&file=users",
        ):
            both.same("/var/?" + args)
            both.same("/var/?" + args, **basic("plain", "pass-plain"))
        both.same("/except/")
        both.same("/except/", method="HEAD")
        both.same("/except/", method="DELETE")
        both.same("/except/", method="DELETE", **basic("sha", "pass-sha"))

    def test_a_file_that_changes_is_read_again(self):
        both = self.both(BASIC, files=FILES)
        self.assertEqual(both.same("/a", **basic("new", "p")).status, 401)
        both.ours.write("conf/users", "new:{PLAIN}p\n")
        self.assertEqual(both.same("/a", **basic("new", "p")).status, 200)
        self.assertEqual(
            both.same("/a", **basic("plain", "pass-plain")).status, 401
        )
        os.remove(both.ours.path("conf/users"))
        self.assertEqual(both.same("/a", **basic("new", "p")).status, 403)

    def test_many_at_once_and_a_client_that_leaves(self):
        slow = crypt.crypt("p", crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=512))
        both = self.both(BASIC, files={**FILES, "conf/users": f"u:{slow}\n"})
        field = f"Authorization: {basic('u', 'p')['Authorization']}\r\n"
        head = f"GET /a HTTP/1.1\r\nHost: x\r\n{field}\r\n".encode()
        clients = []
        for _ in range(12):
            s = socket.create_connection(("127.0.0.1", both.ours.port()))
            s.settimeout(20)
            s.sendall(head)
            clients.append(s)
        for s in clients[::2]:
            s.close()
        for s in clients[1::2]:
            self.assertIn(b"200 OK", s.recv(4096))
            s.close()

    def test_a_body_waits_for_the_check(self):
        both = self.both(
            BASIC + "location /up { proxy_pass http://127.0.0.1:@PORT1@/; }",
            http="server { listen 127.0.0.1:@PORT1@;"
            " location / { return 200 $content_length; } }",
            files=FILES,
        )
        field = f"Authorization: {basic('bcrypt', 'pass-bcrypt')['Authorization']}"
        with socket.create_connection(("127.0.0.1", both.ours.port())) as s:
            s.settimeout(20)
            s.sendall(
                f"POST /up HTTP/1.1\r\nHost: x\r\n{field}\r\n"
                "Content-Length: 70000\r\nConnection: close\r\n\r\n".encode()
                + b"x" * 70000
            )
            self.assertIn(b"\r\n\r\n70000", s.makefile("rb").read())

    def test_auth_delay(self):
        both = self.both(BASIC + "auth_delay 300ms;", files=FILES)
        before = time.monotonic()
        both.same("/a")
        self.assertGreater(time.monotonic() - before, 0.6)
        before = time.monotonic()
        both.same("/a", **basic("plain", "pass-plain"))
        self.assertLess(time.monotonic() - before, 0.3)


class SatisfyTest(CompareTestCase):
    def test_satisfy(self):
        places = {
            "any/deny": "satisfy any; deny all;" + BASIC,
            "any/allow": "satisfy any; allow 127.0.0.1; deny all;" + BASIC,
            "any/nothing": "satisfy any;",
            "any/rules": "satisfy any; deny all;",
            "all/deny": "satisfy all; deny all;" + BASIC,
            "all/allow": "allow 127.0.0.0/8; deny all;" + BASIC,
            "any/request": "satisfy any; deny all; auth_request /ask;",
            "any/three": "satisfy any; deny all; auth_request /ask;" + BASIC,
            "all/three": "satisfy all; allow all; auth_request /ask;" + BASIC,
        }
        both = self.both(
            "location = /ask { auth_basic off; allow all;"
            " if ($arg_s = 401) { return 401; }"
            " if ($http_x_ask = 403) { return 403; }"
            " if ($http_x_ask = 500) { return 500; } return 204; }"
            + "".join(
                f"location /{name} {{ {text} try_files /a =404; }}"
                for name, text in places.items()
            ),
            files=FILES,
        )
        for name in places:
            for ask in ("204", "403", "500"):
                both.same("/" + name, X_Ask=ask)
                both.same("/" + name, X_Ask=ask, **basic("sha", "pass-sha"))
                both.same("/" + name, X_Ask=ask, **basic("sha", "wrong"))
                both.same(
                    "/" + name, X_Ask=ask, **basic("sha512", "pass-sha512")
                )

    def test_rules(self):
        both = self.both(
            "location /v4 { allow 127.0.0.1/32; deny all; try_files /a =404; }"
            "location /net { deny 127.0.0.0/9; try_files /a =404; }"
            "location /other { deny 10.0.0.0/8; deny 2001:db8::/32;"
            " allow unix:; try_files /a =404; }"
            "location /v6 { allow ::1; deny all; try_files /a =404; }"
            "location /zero { deny 0.0.0.0/0; try_files /a =404; }"
            "location /page { deny all; error_page 403 /why; }"
            "location /why { allow all; try_files /a =404; }",
            files=FILES,
        )
        for target in ("/v4", "/net", "/other", "/v6", "/zero", "/page"):
            both.same(target)

    def test_limit_except(self):
        both = self.both(
            "location / { try_files /a =404;"
            " limit_except GET POST { deny all; } }"
            "location /put { try_files /a =404; limit_except PUT {"
            " allow 127.0.0.1; deny all; } }",
            files=FILES,
        )
        for target in ("/", "/put"):
            for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"):
                both.same(target, method=method)


if __name__ == "__main__":
    unittest.main()
