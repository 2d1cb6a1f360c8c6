# SPDX-License-Identifier: BSD-2-Clause
"""allow_uid: who may listen on a backend's socket (SO_PEERCRED)."""

import os
import pwd
import socket
import unittest

from support.gateway import ECHO, READY, BridgeTestCase, frame, hello
from support.penstock import wait_for

NOBODY = pwd.getpwnam("nobody").pw_uid
CONFIG = """
user root;
worker_processes 1;
events { }
http {
    access_log off;
    backend echo { %s %s }
    server { listen 127.0.0.1:@PORT@; location / { websocket_pass echo; } }
}
"""


def listen_as(path, uid):
    s = socket.socket(socket.AF_UNIX)
    s.bind(path)
    os.chmod(path, 0o666)
    os.seteuid(uid)
    try:
        s.listen(10)
    finally:
        os.seteuid(0)
    return s


@unittest.skipIf(os.geteuid(), "only root can be somebody else")
class AllowUidTest(BridgeTestCase):
    def start(self, allowed, uid):
        self.p = p = self.penstock(
            CONFIG % (allowed, "server unix:@PREFIX@/echo.sock;"), start=False)
        self.listening = listen_as(p.path("echo.sock"), uid)
        self.addCleanup(self.listening.close)
        self.listening.settimeout(20)
        p.start()
        return p

    def test_who_may(self):
        for allowed, uid in (
            ("", NOBODY), ("allow_uid nobody;", NOBODY), (f"allow_uid {NOBODY};", NOBODY),
            ("allow_uid root nobody;", 0), ("allow_uid root nobody;", NOBODY),
        ):
            with self.subTest(allowed=allowed, uid=uid):
                p = self.start(allowed, uid)
                link, _ = self.listening.accept()
                with link:
                    link.sendall(hello() + frame(READY))
                    self.wait_ready(p)
                    p.stop()

    def test_who_may_not(self):
        for allowed, uid in (("allow_uid root;", NOBODY), ("allow_uid nobody;", 0),
                             (f"allow_uid {NOBODY + 1};", NOBODY)):
            with self.subTest(allowed=allowed, uid=uid):
                p = self.start(allowed, uid)
                for _ in range(3):  # it is dialled on, in case that changes
                    link, _ = self.listening.accept()
                    with link:
                        link.settimeout(20)
                        self.assertEqual(link.recv(100), b"")  # not even a HELLO
                text = f"user {uid} may not listen on a backend's socket"
                p.wait_for_log(text)
                self.assertEqual(p.log().count(text), 1)
                s, head = self.raw(p, request="GET / HTTP/1.1")
                self.assertIn(" 503 ", head)
                p.stop()

    def test_a_spawned_one_has_the_master_s_socket(self):
        p = self.penstock(CONFIG % (f"allow_uid {NOBODY + 1};", f"spawn {ECHO};"))
        self.wait_ready(p)
        wait_for("a session", lambda: " 101 " in self.raw(p, request="GET / HTTP/1.1")[1])


if __name__ == "__main__":
    unittest.main()
