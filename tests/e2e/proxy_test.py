# SPDX-License-Identifier: BSD-2-Clause
"""proxy_pass against origins that do right, wrong, and nothing."""

import asyncio
import os
import socket
import threading
import time
import unittest

import websockets

from support.nginx import CompareTestCase
from support.penstock import PenstockTestCase, free_port, wait_for
from support.raw import Closed, Origin, Raw, seconds_of, silence

CONFIG = """
pid logs/penstock.pid;
events { }
http {
    access_log logs/access.log;
    %s
    server { listen 127.0.0.1:@PORT@; root @PREFIX@/html; %s }
}
"""


def show(peer):
    """Answers with what was asked."""
    m = peer.request
    lines = [m.start, *sorted(f"{n.lower()}: {v}" for n, v in m.fields), ""]
    peer.reply("\n".join(lines) + m.text, "X-Origin: yes", "Content-Type: text/plain")


def echo(peer):
    peer.reply(peer.request.body)


def named(name):
    return lambda peer: peer.reply(name)


class ProxyTestCase(PenstockTestCase):
    def serve(self, server, http="", **how):
        return self.penstock(CONFIG % (http, server), **how)

    def client(self, p, **how):
        s = Raw(p.port(), **how)
        self.addCleanup(s.close)
        return s

    def origin(self, respond, **how):
        o = Origin(respond, **how)
        self.addCleanup(o.stop)
        return o

    def before(self, *origins, server="", location="", settings="", how="", http=""):
        """A penstock before an upstream{} of these."""
        servers = "".join(
            f"server 127.0.0.1:{o if isinstance(o, int) else o.port} {how};"
            for o in origins
        )
        return self.serve(
            f"{server} location / {{ proxy_pass http://app; {location} }}",
            http=http + f"upstream app {{ {servers} {settings} }}",
        )


class LikeNginxTest(CompareTestCase):
    """What is asked of the origin, and what the client sees of its answer."""

    def both_before(self, respond, server, http=""):
        o = Origin(respond)
        self.addCleanup(o.stop)
        self.origin = o
        return self.both(
            server.replace("ORIGIN", f"127.0.0.1:{o.port}"),
            http.replace("ORIGIN", f"127.0.0.1:{o.port}"),
        )

    def test_the_uri(self):
        both = self.both_before(
            show,
            "proxy_http_version 1.1; proxy_set_header Connection '';"
            "location / { proxy_pass http://ORIGIN; }"
            "location /slash/ { proxy_pass http://ORIGIN/; }"
            "location /cut { proxy_pass http://ORIGIN/; }"
            "location /to/ { proxy_pass http://ORIGIN/a/b; }"
            "location /args/ { proxy_pass http://ORIGIN/x?y=1; }"
            "location /var/ { proxy_pass http://ORIGIN$request_uri; }"
            "location /var2/ { proxy_pass http://ORIGIN/v$uri?q=$arg_q; }"
            "location /var3/ { set $o ORIGIN; proxy_pass http://$o; }"
            "location ~ ^/re/(.*)$ { proxy_pass http://ORIGIN/$1; }"
            "location ~ ^/plain/ { proxy_pass http://ORIGIN; }"
            "location /rw/ { rewrite ^/rw/(.*)$ /new/$1 break; proxy_pass http://ORIGIN; }"
            "location /rwu/ { rewrite ^/rwu/(.*)$ /new/$1 break; proxy_pass http://ORIGIN/u/; }"
            "location /err/ { error_page 418 = @n; return 418; }"
            "location @n { proxy_pass http://ORIGIN; }"
            "location /limit/ { limit_except GET { deny all; } proxy_pass http://ORIGIN/l/; }",
        )
        for target in (
            "/", "/a?b=c", "/a%20b", "/a%2fb", "/a//b", "/a/../b", "/a/./b?x#y",
            "/%41", "/a%3Fb?c", "/slash/", "/slash/x", "/slash/x%20y?z",
            "/slash/a%2fb", "/slash//x", "/slash/a%3fb%23c%25d", "/slash/%e4;,:@&=+$",
            "/slash", "/cut", "/cutter/x", "/to/x", "/args/x", "/args/x?z",
            "/var/a%20b?c", "/var2/a%20b?q=1&r=2", "/var3/a%20b?q", "/re/a%20b",
            "/re/x?y", "/plain/a%2fb?c", "/rw/a%20b?c", "/rwu/x?c", "/err/x%20y?z",
            "/limit/x", '/a"b', "/a?", "/slash/?",
        ):
            both.same(target.split("#")[0])
        both.same("/limit/x", method="PUT", Content_Length="0")
        both.same("http://other.example/abs?x", Host="other.example")

    def test_the_fields(self):
        both = self.both_before(
            show,
            "location / { proxy_http_version 1.1; proxy_set_header Connection '';"
            " proxy_pass http://ORIGIN; }"
            "location /v10 { proxy_http_version 1.0; proxy_set_header Connection close;"
            " proxy_pass http://ORIGIN; }"
            "location /app { proxy_http_version 1.1; proxy_set_header Connection '';"
            " proxy_pass http://app; }"
            "location /own { proxy_http_version 1.1; proxy_set_header Connection '';"
            " proxy_set_header Host $host:81;"
            " proxy_set_header X-Real-IP $remote_addr;"
            " proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"
            " proxy_set_header X-Forwarded-Proto $scheme;"
            " proxy_set_header Accept ''; proxy_set_header x-lower 'a b';"
            " proxy_pass http://ORIGIN;"
            "  location /own/in { proxy_pass http://ORIGIN; }"
            "  location /own/other { proxy_http_version 1.1; proxy_set_header Connection '';"
            "   proxy_set_header Other 1; proxy_pass http://ORIGIN; } }"
            "location /no { proxy_http_version 1.1; proxy_set_header Connection '';"
            " proxy_pass_request_headers off; proxy_pass_request_body off;"
            " proxy_set_header Content-Length ''; proxy_pass http://ORIGIN; }"
            "location /method { proxy_http_version 1.1; proxy_set_header Connection '';"
            " proxy_method PUT; proxy_set_body 'body $arg_x'; proxy_pass http://ORIGIN; }",
            http="upstream app { server ORIGIN; }",
        )
        fields = {
            "Accept": "a/b", "User-Agent": "me", "Cookie": "a=b; c",
            "X-Forwarded-For": "192.0.2.1", "Keep-Alive": "timeout=5",
            "TE": "trailers", "Upgrade": "h2c", "Expect": "", "X-Mine": "1",
            "Accept-Encoding": "gzip", "Authorization": "Basic eA==",
        }
        for target in ("/v10", "/own/x", "/own/in", "/own/other", "/no", "/method?x=y", "/app"):
            for headers in ({}, {"Accept": "a/b", "X-Forwarded-For": "192.0.2.1", "X-Mine": "1", "Cookie": "a=b"}):
                both.same(target, **headers)
        del fields["TE"], fields["Upgrade"], fields["Keep-Alive"], fields["Expect"]
        both.same("/", **fields)
        both.same("/", method="HEAD")
        both.same("/", method="DELETE")
        both.same("/", Content_Length="0", method="POST")

    def test_the_answer(self):
        def respond(peer):
            port = peer.request.get("Host").split(":")[1]
            peer.reply(
                "body", "Server: theirs", "Date: Thu, 01 Jan 1970 00:00:00 GMT",
                "Content-Type: a/b", "X-Accel-Expires: 1", "X-Pad: x",
                "Set-Cookie: a=b", "Set-Cookie: c=d", "ETag: \"x\"",
                "Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT", "Vary: A",
                "X-Hidden: 1", "Keep-Alive: timeout=1", "Cache-Control: no-store",
                "Refresh: 5; url=http://127.0.0.1:%s/in/r" % port,
                "Location: http://127.0.0.1:%s/in/there?a" % port
                if "abs" in peer.request.target else "Location: /in/rel",
                status="302 Whatever",
            )

        both = self.both_before(
            respond,
            "proxy_http_version 1.1; proxy_set_header Connection '';"
            "location / { proxy_pass http://ORIGIN; }"
            "location /out/ { proxy_pass http://ORIGIN/in/; }"
            "location /off/ { proxy_redirect off; proxy_pass http://ORIGIN/in/; }"
            "location /own/ { proxy_redirect http://ORIGIN/in/ http://x.example/o/;"
            " proxy_redirect ~*^/IN/(.*)$ /re/$1; proxy_pass http://ORIGIN/in/; }"
            "location /hide/ { proxy_hide_header X-Hidden; proxy_pass_header X-Pad;"
            " proxy_pass http://ORIGIN; }",
        )
        for target in ("/abs", "/rel", "/out/abs", "/out/rel", "/off/abs",
                       "/own/abs", "/own/rel", "/hide/abs"):
            both.same(target)

    def test_statuses(self):
        def respond(peer):
            code = int(peer.request.target.split("/")[-1])
            peer.reply("" if code in (204, 304) else "text", status=f"{code} X",
                       length=code not in (204, 304))

        both = self.both_before(
            respond,
            "proxy_http_version 1.1; proxy_set_header Connection '';"
            "location / { proxy_pass http://ORIGIN; }"
            "location /page/ { error_page 404 =200 /own; error_page 500 /own; proxy_intercept_errors on;"
            " proxy_pass http://ORIGIN/; }"
            "location /own { return 200 own; }",
        )
        for code in (200, 201, 204, 206, 301, 304, 400, 401, 404, 418, 500, 502, 503, 599, 299):
            both.same(f"/{code}")
            both.same(f"/page/{code}")
            both.same(f"/{code}", method="HEAD")

    def test_down(self):
        both = self.both_before(
            echo,
            "location / { proxy_pass http://127.0.0.1:%d; }" % free_port()
            + "location /down { proxy_pass http://down; error_page 502 /sorry; }"
            "location /sorry { return 200 sorry; }"
            "location /var { proxy_pass http://$arg_x; }",
            http="upstream down { server ORIGIN down; }",
        )
        for target in ("/", "/down", "/var?x=nowhere.invalid"):
            both.same(target)


class FieldsTest(ProxyTestCase):
    """Where we do better than nginx, or what it cannot be asked."""

    def asked(self, p, *fields, **how):
        return self.client(p).ask("/", *fields, **how).text.split("\n")

    def test_hop_by_hop_fields_stay_here(self):
        p = self.before(self.origin(show))
        lines = self.asked(
            p, "Connection: keep-alive, X-Secret, Host, X-Real", "X-Secret: 1",
            "Keep-Alive: 5", "TE: trailers", "Trailer: x", "X-Kept: 1",
            "Proxy-Connection: x", "Upgrade: h2c", "X-Real: client",
        )
        names = [line.split(":")[0] for line in lines[1:-1]]
        self.assertEqual(names, ["host", "x-kept"])
        self.assertEqual(lines[1], "host: app")

    def test_connection_does_not_name_what_we_set(self):
        p = self.before(self.origin(show), location="proxy_set_header X-Real mine;")
        lines = self.asked(p, "Connection: X-Real, Host", "X-Real: theirs")
        self.assertIn("x-real: mine", lines)

    def test_h2c_is_not_passed(self):
        p = self.before(
            self.origin(show),
            location="proxy_set_header Upgrade $http_upgrade;"
            " proxy_set_header Connection upgrade;",
        )
        lines = self.asked(p, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c",
                           "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA")
        names = [line.split(":")[0] for line in lines[1:-1]]
        self.assertEqual(names, ["host"])

    def test_hop_by_hop_fields_of_the_answer(self):
        o = self.origin(lambda peer: peer.reply(
            "x", "Connection: X-Theirs", "X-Theirs: 1", "Keep-Alive: 1",
            "Proxy-Connection: x", "Upgrade: h2", "X-Kept: 1"))
        m = self.client(self.before(o)).ask("/")
        self.assertEqual(
            m.names(), ["connection", "content-length", "date", "server", "x-kept"])

    def test_unix_and_variables(self):
        o = self.origin(show, unix=True)
        p = self.serve(
            f"location / {{ proxy_pass http://unix:{o.path}; }}"
            f"location /u/ {{ proxy_pass http://unix:{o.path}:/v/; }}"
        )
        s = self.client(p)
        lines = s.ask("/a?b").text.split("\n")
        self.assertEqual((lines[0], "host: localhost" in lines), ("GET /a?b HTTP/1.1", True))
        self.assertTrue(s.ask("/u/x").text.startswith("GET /v/x HTTP/1.1\n"))


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


class BrokenOriginTest(ProxyTestCase):
    def test_bad_gateways(self):
        answers = {
            "/nothing": "",
            "/garbage": "\x00\x01 hello\r\n\r\n",
            "/http09": "<html>hello</html>",
            "/status": "HTTP/1.1 abc OK\r\n\r\n",
            "/cut": "HTTP/1.1 200 OK\r\nX: y\r\n",
            "/field": "HTTP/1.1 200 OK\r\nNo colon\r\n\r\n",
            "/fold": "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
            "/nul": "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
            "/both": "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
            "/lengths": "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy",
            "/coding": "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nxy",
            "/huge": "HTTP/1.1 200 OK\r\nX: " + "a" * 70000 + "\r\n\r\n",
            "/101": "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
            "/interims": "HTTP/1.1 100 Continue\r\n\r\n" * 100,
        }

        def respond(peer):
            peer.send(answers[peer.request.target])
            return True

        o = self.origin(respond)
        p = self.before(o, how="max_fails=0")
        s = self.client(p)
        for target in answers:
            with self.subTest(target):
                self.assertEqual(s.ask(target).status, 502)
        lines = [l for l in p.log().splitlines() if "upstream" in l and "[error]" in l]
        self.assertGreaterEqual(len(lines), len(answers))
        self.assertIn('request: "GET /fold HTTP/1.1"', p.log())

    def test_short_bodies_are_seen_to_be_short(self):
        def respond(peer):
            peer.send({
                "/length": "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
                "/chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
                "/bad": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\nxyz\r\n",
            }[peer.request.target])
            return True

        p = self.before(self.origin(respond))
        for target in ("/length", "/chunk", "/bad"):
            with self.subTest(target):
                s = self.client(p)
                s.get(target)
                m = s.head()
                if m.status == 502:
                    continue  # it was seen before anything was sent
                self.assertEqual(m.status, 200)
                with self.assertRaises(Closed):
                    s.body(m)
        # An HTTP/1.0 client can only be told by a length.
        s = self.client(p)
        self.assertEqual(len(s.ask("/chunk", version="1.0").body), 5)

    def test_silence(self):
        hold = threading.Event()
        o = self.origin(lambda peer: hold.wait(20))
        self.addCleanup(hold.set)
        p = self.before(o, location="proxy_read_timeout 1s;")
        s = self.client(p)
        m, seconds = seconds_of(lambda: s.ask("/"))
        self.assertEqual(m.status, 504)
        self.assertGreater(seconds, 0.5)
        self.assertIn("upstream timed out (110", p.log())
        self.assertEqual(s.ask("/").status, 504)

    def test_silence_within_a_body(self):
        def respond(peer):
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort")
            hold.wait(20)

        hold = threading.Event()
        o = self.origin(respond)
        self.addCleanup(hold.set)
        s = self.client(self.before(o, location="proxy_read_timeout 1s;"))
        s.get("/")
        m = s.head()
        with self.assertRaises(Closed):
            s.body(m)

    def test_no_way_there(self):
        """A listener whose queue is full: SYNs are dropped."""
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            port = listener.getsockname()[1]
            fill = []
            for _ in range(4):
                f = socket.socket()
                f.setblocking(False)
                f.connect_ex(("127.0.0.1", port))
                fill.append(f)
            p = self.before(port, location="proxy_connect_timeout 1s;")
            m, seconds = seconds_of(lambda: self.client(p).ask("/"))
            self.assertEqual(m.status, 504)
            self.assertLess(seconds, 10)
            for f in fill:
                f.close()


class BodiesTest(ProxyTestCase):
    def test_framings(self):
        def respond(peer):
            t = peer.request.target
            if t == "/chunked":
                peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                          "3;x=y\r\nabc\r\n4\r\ndefg\r\n0\r\nX-Trailer: x\r\n\r\n")
            elif t == "/close":
                peer.send("HTTP/1.1 200 OK\r\nX: y\r\n\r\nuntil close")
                return True
            elif t == "/close0":
                peer.send("HTTP/1.0 200 OK\r\n\r\n")
                return True
            elif t == "/interim":
                peer.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                          "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nreal")
            elif t == "/204":
                peer.send("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n")
            elif t == "/304":
                peer.send("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: \"x\"\r\n\r\n")
            elif t == "/head":
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
            elif t == "/headchunked":
                peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            elif t == "/dribble":
                for c in "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n":
                    peer.send(c)
                    time.sleep(0.002)

        o = self.origin(respond)
        p = self.before(o)
        s = self.client(p)
        for target, text in (
            ("/chunked", "abcdefg"), ("/close", "until close"), ("/close0", ""),
            ("/interim", "real"), ("/204", ""), ("/304", ""), ("/dribble", "ab"),
            ("/chunked", "abcdefg"),
        ):
            with self.subTest(target):
                m = s.ask(target)
                self.assertEqual(m.text, text)
                self.assertEqual(m.get("Connection"), "keep-alive")
        m = s.ask("/head", method="HEAD")
        self.assertEqual(m.get("Content-Length"), "500")
        m = s.ask("/headchunked", method="HEAD")
        self.assertEqual((m.status, m.get("Content-Length")), (200, None))
        for target, text in (("/chunked", "abcdefg"), ("/close", "until close")):
            old = self.client(p)
            m = old.ask(target, "Connection: keep-alive", version="1.0")
            self.assertEqual((m.text, m.chunked, m.get("Connection")), (text, False, "close"))

    def resident(self, p):
        """The worker's memory, in bytes."""
        with open(f"/proc/{p.workers()[0]}/status") as f:
            line = next(l for l in f if l.startswith("VmRSS"))
        return int(line.split()[1]) << 10

    SIZE = 48 << 20
    BOUND = 12 << 20  # far less than what passes; sanitizers keep freed blocks

    def test_a_large_answer_and_a_slow_reader(self):
        piece = b"x" * (1 << 20)

        def respond(peer):
            peer.send(f"HTTP/1.1 200 OK\r\nContent-Length: {self.SIZE}\r\n\r\n")
            for _ in range(self.SIZE >> 20):
                peer.send(piece)

        for buffering in ("on", "off"):
            p = self.before(self.origin(respond), location=f"proxy_buffering {buffering};")
            s = self.client(p, small=True)
            before = self.resident(p)
            s.get("/")
            m = s.head()
            time.sleep(1)
            left, most = self.SIZE, 0
            while left:
                left -= len(s.exactly(min(left, 4 << 20)))
                most = max(most, self.resident(p) - before)
            self.assertLess(most, self.BOUND)
            self.assertEqual(m.status, 200)

    def test_a_large_body_and_a_slow_origin(self):
        got = []

        def respond(peer):
            time.sleep(1)
            total = 0
            if peer.request.chunked:
                total = sum(len(c) for c in peer.chunks())
            else:
                left = int(peer.request.get("Content-Length"))
                while left:
                    left -= len(peer.exactly(min(left, 4 << 20)))
                    total += 0
                total = int(peer.request.get("Content-Length"))
            got.append(total)
            peer.reply(str(total))

        o = self.origin(respond, read_body=False)
        p = self.before(o, server="client_max_body_size 0; proxy_request_buffering off;")
        q = self.before(o, server="client_max_body_size 0;")
        chunked, length = "Transfer-Encoding: chunked", f"Content-Length: {self.SIZE}"
        for p, framing in ((p, length), (p, chunked), (q, length), (q, chunked)):
            s = self.client(p)
            before = self.resident(p)
            s.get("/", framing, method="POST")
            most, piece = 0, b"y" * (1 << 20)
            if "chunked" in framing:
                piece = b"100000\r\n" + piece + b"\r\n"
            for _ in range(self.SIZE >> 20):
                s.send(piece)
                most = max(most, self.resident(p) - before)
            if "chunked" in framing:
                s.send("0\r\n\r\n")
            self.assertEqual(s.answer().text, str(self.SIZE))
            self.assertLess(most, self.BOUND)

    def test_both_ways_at_once(self):
        def respond(peer):
            peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for c in peer.chunks():
                peer.send(b"%x\r\n" % len(c) + c + b"\r\n")
            peer.send("0\r\n\r\n")

        p = self.before(self.origin(respond, read_body=False), server="client_max_body_size 0; proxy_request_buffering off;")
        s = self.client(p)
        s.get("/", "Transfer-Encoding: chunked", method="POST")
        n = 200

        def send():
            for i in range(n):
                s.send(b"8000\r\n" + bytes([i]) * 0x8000 + b"\r\n")
            s.send("0\r\n\r\n")

        t = threading.Thread(target=send)
        t.start()
        m = s.answer()
        t.join()
        self.assertEqual(m.body, b"".join(bytes([i]) * 0x8000 for i in range(n)))

    def test_an_answer_before_the_body_ended(self):
        o = self.origin(lambda peer: peer.reply("no", status="403 No"), read_body=False)
        p = self.before(o, server="client_max_body_size 0; proxy_request_buffering off;")
        s = self.client(p)
        s.get("/", "Content-Length: 100000", method="POST")
        s.send("x" * 1000)
        m = s.answer()
        self.assertEqual((m.status, m.text), (403, "no"))
        if m.get("Connection") == "keep-alive":  # then the rest is skipped
            s.send("x" * 99000)
            self.assertEqual(s.ask("/", "Content-Length: 0", method="POST").status, 403)
        # The origin's connection has half a request on it: not used again.
        self.assertEqual(o.connections, len(o.requests))
        s = self.client(p)
        s.get("/", "Transfer-Encoding: chunked", method="POST")
        s.send("5\r\nhello\r\n")
        self.assertEqual(s.answer().status, 403)

    def test_an_answer_and_a_close_before_the_body_ended(self):
        def respond(peer):
            peer.reply("no", "Connection: close", status="403 No")
            return True

        o = self.origin(respond, read_body=False)
        p = self.before(o, server="client_max_body_size 0; proxy_request_buffering off;")
        for _ in range(5):
            s = self.client(p)
            s.get("/", "Content-Length: 4000000", method="POST")
            t = threading.Thread(target=self.try_to_send, args=(s, b"x" * 4000000))
            t.start()
            self.assertEqual(s.answer().status, 403)
            s.end()
            t.join()

    @staticmethod
    def try_to_send(s, data):
        try:
            s.send(data)
        except OSError:
            pass

    def test_a_client_that_leaves_takes_the_origin_along(self):
        ended = threading.Event()

        def respond(peer):
            if peer.request.target == "/stream":
                peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                try:
                    while True:
                        peer.send(b"8000\r\n" + b"z" * 0x8000 + b"\r\n")
                except OSError:
                    ended.set()
                    raise
            try:
                peer.more()
            except Closed:
                ended.set()
                raise

        o = self.origin(respond)
        p = self.before(o)
        for target in ("/wait", "/stream"):
            ended.clear()
            s = self.client(p)
            s.get(target)
            wait_for("the request", lambda: any(m.target == target for m in o.requests))
            s.close()
            self.assertTrue(ended.wait(20), target)
        p.stop()
        self.assertIn('"GET /wait HTTP/1.1" 499', p.log("logs/access.log"))
        self.assertIn('"GET /stream HTTP/1.1" 200', p.log("logs/access.log"))

    def test_a_slow_client_is_not_a_slow_origin(self):
        p = self.before(self.origin(echo), location="proxy_request_buffering off; proxy_send_timeout 1s; proxy_read_timeout 1s;")
        s = self.client(p)
        s.get("/", "Content-Length: 4", method="POST")
        for c in "slow":
            time.sleep(0.7 if c != "o" else 2)
            s.send(c)
        self.assertEqual(s.answer().text, "slow")

    def test_an_origin_that_does_not_read(self):
        hold = threading.Event()
        o = self.origin(lambda peer: hold.wait(20), read_body=False)
        self.addCleanup(hold.set)
        for buffering, length in (("off", 99999999), ("on", 30000000)):
            p = self.before(o, location="proxy_send_timeout 1s;",
                            server="client_max_body_size 0; proxy_request_buffering %s;" % buffering)
            s = self.client(p)
            s.get("/", f"Content-Length: {length}", method="POST")
            self.try_to_send(s, b"x" * 30000000)
            self.assertEqual(s.answer().status, 504, buffering)

    def test_a_body_that_stops_takes_the_origin_along(self):
        ended = threading.Event()

        def respond(peer):
            try:
                peer.exactly(100)
            except Closed:
                ended.set()
                raise

        p = self.before(self.origin(respond, read_body=False),
                        location="proxy_request_buffering off;")
        s = self.client(p)
        s.get("/", "Content-Length: 100", method="POST")
        s.send("half")
        time.sleep(0.3)
        s.close()
        self.assertTrue(ended.wait(20))

    def test_ignore_client_abort(self):
        answered = threading.Event()

        def respond(peer):
            time.sleep(0.7)
            peer.reply("late")
            answered.set()

        p = self.before(self.origin(respond), location="proxy_ignore_client_abort on;")
        s = self.client(p)
        s.get("/")
        s.end()
        self.assertEqual(s.answer().text, "late")
        self.assertTrue(answered.wait(5))


class TunnelTest(ProxyTestCase):
    RECIPE = (
        "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;"
        " proxy_set_header Connection $connection_upgrade;"
    )
    MAP = "map $http_upgrade $connection_upgrade { default upgrade; '' close; }"

    def websocket_server(self):
        """websockets' echo server on a loop in a thread: its port."""
        loop = asyncio.new_event_loop()

        async def serve_one(ws, *_):
            async for message in ws:
                await ws.send(message)
            # The close code of the client reached us.

        async def start():
            return await websockets.serve(serve_one, "127.0.0.1", 0, max_size=None,
                                          subprotocols=["echo"])

        server = loop.run_until_complete(start())
        t = threading.Thread(target=loop.run_forever)
        t.start()

        async def finish():
            server.close()
            await server.wait_closed()

        def stop():
            asyncio.run_coroutine_threadsafe(finish(), loop).result(20)
            loop.call_soon_threadsafe(loop.stop)
            t.join()
            loop.close()

        self.addCleanup(stop)
        return server.sockets[0].getsockname()[1]

    def talk(self, p):
        async def run():
            uri = f"ws://127.0.0.1:{p.port()}/chat?x"
            async with websockets.connect(uri, max_size=None, subprotocols=["echo"]) as ws:
                self.assertEqual(ws.subprotocol, "echo")
                for message in ("hello", b"\0\1", "x" * 3000000, ""):
                    await ws.send(message)
                    self.assertEqual(await asyncio.wait_for(ws.recv(), 20), message)
            self.assertEqual(ws.close_code, 1000)

        asyncio.run(run())

    def test_the_recipe_of_nginx(self):
        port = self.websocket_server()
        self.talk(self.before(port, location=self.RECIPE, http=self.MAP))

    def test_proxy_websocket(self):
        port = self.websocket_server()
        self.talk(self.before(port, location="proxy_websocket on;"))

    ASK = ("GET /t HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")

    def raw(self, respond, **how):
        return self.before(self.origin(respond), location=self.RECIPE, http=self.MAP, **how)

    @staticmethod
    def switch(peer, more=""):
        peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                  "Upgrade: websocket\r\nX-Kept: 1\r\n\r\n" + more)

    def test_bytes_that_come_early(self):
        def respond(peer):
            self.switch(peer, "server first")
            peer.send(b"got " + peer.exactly(11))
            return True

        s = self.client(self.raw(respond))
        s.send(self.ASK + "client early")
        m = s.answer()
        self.assertEqual((m.status, m.get("Upgrade"), m.get("X-Kept")), (101, "websocket", "1"))
        self.assertEqual(s.rest(), b"server firstgot client earl")

    def test_the_last_bytes_reach_a_slow_reader(self):
        def respond(peer):
            self.switch(peer)
            peer.send(b"z" * 8000000)
            return True

        s = self.client(self.raw(respond), small=True)
        s.send(self.ASK)
        self.assertEqual(s.answer().status, 101)
        time.sleep(1)
        self.assertEqual(len(s.rest()), 8000000)

    def test_the_last_bytes_reach_the_origin(self):
        got = []

        def respond(peer):
            self.switch(peer)
            time.sleep(1)
            got.append(len(peer.rest()))
            return True

        s = self.client(self.raw(respond))
        s.send(self.ASK)
        self.assertEqual(s.answer().status, 101)
        s.send(b"z" * 8000000)
        s.close()
        wait_for("the bytes", lambda: got)
        self.assertEqual(got, [8000000])

    def test_refused(self):
        p = self.raw(lambda peer: peer.reply("no", status="403 No"))
        s = self.client(p)
        s.send(self.ASK)
        self.assertEqual(s.answer().text, "no")
        self.assertEqual(s.ask("/again").text, "no")

    def test_the_recipe_without_an_upgrade(self):
        o = self.origin(show)
        p = self.before(o, location=self.RECIPE, http=self.MAP)
        s = self.client(p)
        lines = s.ask("/").text.split("\n")
        self.assertIn("connection: close", lines)
        self.assertFalse([l for l in lines if l.startswith("upgrade")])

    def test_read_timeout(self):
        def respond(peer):
            self.switch(peer)
            peer.rest()
            return True

        p = self.before(self.origin(respond), http=self.MAP,
                        location=self.RECIPE + "proxy_read_timeout 1s;")
        s = self.client(p)
        s.send(self.ASK)
        self.assertEqual(s.answer().status, 101)
        for _ in range(4):
            time.sleep(0.4)
            s.send("x")
        closed, seconds = seconds_of(s.is_closed)
        self.assertTrue(closed)
        self.assertLess(seconds, 10)

    def test_a_worker_that_ends_lets_tunnels_go(self):
        def respond(peer):
            self.switch(peer)
            peer.rest()
            return True

        p = self.raw(respond)
        s = self.client(p)
        s.send(self.ASK)
        self.assertEqual(s.answer().status, 101)
        p.stop()
        self.assertTrue(s.is_closed())


if __name__ == "__main__":
    unittest.main()
