# SPDX-License-Identifier: BSD-2-Clause
"""The connections of an upstream{}, and where a request goes next."""

import socket
import threading
import time
import unittest

from support.penstock import free_port
from support.proxy import ProxyTestCase, echo, named
from support.raw import silence


class PoolTest(ProxyTestCase):
    def test_connections_are_used_again(self):
        o = self.origin(echo)
        s = self.client(self.before(o))
        for i in range(20):
            self.assertEqual(s.ask("/", "Content-Length: 0", method="POST").status, 200)
        self.assertEqual((o.connections, len(o.requests)), (1, 20))

    def test_a_connection_that_says_close_is_not(self):
        o = self.origin(lambda peer: peer.reply("x", "Connection: close"))
        s = self.client(self.before(o))
        for _ in range(3):
            self.assertEqual(s.ask("/").text, "x")
        self.assertEqual(o.connections, 3)

    def test_a_stale_connection_is_replaced(self):
        def stale(peer):
            # The second request on a connection finds it gone.
            if sum(1 for _ in o.requests) in (2, 4):
                return True
            peer.reply("x")

        o = self.origin(stale)
        s = self.client(self.before(o))
        for _ in range(2):
            self.assertEqual(s.ask("/").text, "x")
        self.assertEqual((o.connections, len(o.requests)), (2, 3))

    def test_a_post_on_a_stale_connection_is_not_sent_twice(self):
        def stale(peer):
            if len(o.requests) == 2:
                return True
            peer.reply("x")

        o = self.origin(stale)
        s = self.client(self.before(o))
        post = {"method": "POST"}
        self.assertEqual(s.ask("/", "Content-Length: 0", **post).text, "x")
        self.assertEqual(s.ask("/", "Content-Length: 0", **post).status, 502)
        self.assertEqual(len(o.requests), 2)
        # The peer is not to blame.
        self.assertEqual(s.ask("/").text, "x")

    def test_bytes_behind_an_answer_end_the_connection(self):
        o = self.origin(lambda peer: peer.send(
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"))
        s = self.client(self.before(o))
        for _ in range(3):
            self.assertEqual(s.ask("/").text, "x")
        self.assertEqual(o.connections, 3)

    def test_late_bytes_end_an_idle_connection(self):
        def respond(peer):
            peer.reply("x")
            time.sleep(0.3)
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")

        o = self.origin(respond)
        s = self.client(self.before(o))
        self.assertEqual(s.ask("/").text, "x")
        time.sleep(1)
        self.assertEqual(s.ask("/").text, "x")
        self.assertEqual(o.connections, 2)

    def test_keepalive_requests_and_zero(self):
        o = self.origin(echo)
        s = self.client(self.before(o, settings="keepalive 4; keepalive_requests 2;"))
        for _ in range(6):
            self.assertEqual(s.ask("/").status, 200)
        self.assertEqual(o.connections, 3)

    def test_many_at_once(self):
        o = self.origin(lambda peer: (time.sleep(0.2), peer.reply(peer.request.target))[1])
        p = self.before(o, settings="keepalive 2;")
        for _ in range(2):
            all_ = [self.client(p) for _ in range(30)]
            for i, s in enumerate(all_):
                s.get(f"/{i}")
            for i, s in enumerate(all_):
                self.assertEqual(s.answer().text, f"/{i}")


class NextTest(ProxyTestCase):
    def test_refused(self):
        o = self.origin(named("up"))
        p = self.before(free_port(), o)
        s = self.client(p)
        for _ in range(4):
            self.assertEqual(s.ask("/").text, "up")
        self.assertEqual(p.log().count("connect() "), 1)  # then it rests
        self.assertIn("111: Connection refused", p.log())

    def test_all_refused(self):
        s = self.client(self.before(free_port(), free_port()))
        self.assertEqual(s.ask("/").status, 502)
        self.assertEqual(s.ask("/").status, 502)

    def test_a_post_goes_on_when_it_was_not_sent(self):
        o = self.origin(echo)
        p = self.before(free_port(), o, how="max_fails=0")
        s = self.client(p)
        for _ in range(4):
            s.get("/", "Content-Length: 5", method="POST")
            s.send("hello")
            self.assertEqual(s.answer().text, "hello")

    def test_a_post_that_was_sent_does_not(self):
        bad = self.origin(lambda peer: True)
        also = self.origin(lambda peer: True)
        s = self.client(self.before(bad, also))
        s.get("/", "Content-Length: 5", method="POST")
        s.send("hello")
        self.assertEqual(s.answer().status, 502)
        self.assertEqual(len(bad.requests) + len(also.requests), 1)

    def test_a_get_that_was_sent_does(self):
        bad, good = self.origin(lambda peer: True), self.origin(named("good"))
        s = self.client(self.before(bad, good))
        for _ in range(3):
            self.assertEqual(s.ask("/").text, "good")
        self.assertEqual(len(bad.requests), 1)

    def test_a_put_takes_its_body_along(self):
        bad, good = self.origin(lambda peer: True), self.origin(echo)
        s = self.client(self.before(bad, good, how="max_fails=0"))
        for i in range(4):
            s.get("/", "Content-Length: 5000", method="PUT")
            s.send("x" * 5000)
            self.assertEqual(s.answer().text, "x" * 5000)
            s.get("/", "Transfer-Encoding: chunked", method="PUT")
            s.send("3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n")
            self.assertEqual(s.answer().text, "abcdef")
        self.assertGreater(len(bad.requests), 1)

    def test_by_status(self):
        bad = self.origin(lambda peer: peer.reply("bad", status="503 X"))
        good = self.origin(named("good"))
        p = self.before(bad, good, location="proxy_next_upstream http_503;", how="max_fails=0")
        s = self.client(p)
        for _ in range(4):
            self.assertEqual(s.ask("/").text, "good")
        self.assertGreater(len(bad.requests), 1)
        s = self.client(self.before(bad, bad, location="proxy_next_upstream http_503;", how="max_fails=0"))
        m = s.ask("/")
        self.assertEqual((m.status, m.text), (503, "bad"))

    def test_a_404_is_no_failure(self):
        none = self.origin(lambda peer: peer.reply("", status="404 X"))
        good = self.origin(named("good"))
        p = self.before(none, good, location="proxy_next_upstream http_404;")
        s = self.client(p)
        for _ in range(6):
            self.assertEqual(s.ask("/").text, "good")
        self.assertGreater(len(none.requests), 1)

    def test_next_off_and_tries(self):
        bad, good = self.origin(lambda peer: True), self.origin(named("good"))
        s = self.client(self.before(bad, good, location="proxy_next_upstream off;"))
        self.assertEqual(s.ask("/").status, 502)
        s = self.client(self.before(
            free_port(), free_port(), good, location="proxy_next_upstream_tries 2;"))
        self.assertEqual(s.ask("/").status, 502)

    def test_backup_and_down(self):
        first, spare, down = (self.origin(named(n)) for n in ("first", "spare", "down"))
        p = self.serve(
            "location / { proxy_pass http://app; }",
            http=f"upstream app {{ server 127.0.0.1:{first.port};"
            f" server 127.0.0.1:{spare.port} backup;"
            f" server 127.0.0.1:{down.port} down; }}",
        )
        s = self.client(p)
        for _ in range(4):
            self.assertEqual(s.ask("/").text, "first")
        first.stop()
        for _ in range(4):
            self.assertEqual(s.ask("/").text, "spare")
        self.assertEqual(down.connections, 0)

    def test_max_fails_and_back(self):
        port = free_port()
        good = self.origin(named("good"))
        p = self.before(port, good, how="max_fails=2 fail_timeout=1s")
        s = self.client(p)
        for _ in range(10):
            self.assertEqual(s.ask("/").text, "good")
        self.assertEqual(p.log().count("connect() "), 2)
        with socket.create_server(("127.0.0.1", port)) as listener:
            listener.settimeout(1)
            answered = []

            def accept():
                while not answered:
                    try:
                        answered.append(listener.accept()[0])
                    except TimeoutError:
                        return

            time.sleep(1.2)
            t = threading.Thread(target=accept)
            t.start()
            for _ in range(2):
                s.get("/")
                if not silence(s, 0.3):
                    s.answer()
            t.join()
            self.assertTrue(answered)  # it is asked again
            answered[0].close()

    def test_weights(self):
        a, b = self.origin(named("a")), self.origin(named("b"))
        p = self.serve(
            "location / { proxy_pass http://app; }",
            http=f"upstream app {{ server 127.0.0.1:{a.port} weight=3; server 127.0.0.1:{b.port}; }}",
        )
        s = self.client(p)
        self.assertEqual("".join(s.ask("/").text for _ in range(8)), "aabaaaba")


if __name__ == "__main__":
    unittest.main()
