# SPDX-License-Identifier: BSD-2-Clause
"""Where lines about requests go, and what variables say in them."""

import gzip
import os
import re
import socket
import unittest
import urllib.request

from support.nginx import CompareTestCase
from support.penstock import PenstockTestCase, wait_for


def fetch(p, path="/", **headers):
    headers = {n.replace("_", "-"): v for n, v in headers.items()}
    request = urllib.request.Request(p.url(path), headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as r:
            return r.read().decode()
    except urllib.error.HTTPError as e:
        with e:
            return e.read().decode()


def http(text, server="location / { return 200 x; }", main="", events=""):
    return f"""
        user root;
        {main}
        events {{ {events} }}
        http {{ {text}
            server {{ listen 127.0.0.1:@PORT@; {server} }} }}
    """


class SyslogTest(PenstockTestCase):
    def receiver(self, family=socket.AF_INET, address=("127.0.0.1", 0)):
        s = socket.socket(family, socket.SOCK_DGRAM)
        s.bind(address)
        s.settimeout(20)
        self.addCleanup(s.close)
        return s

    def test_access_log_to_syslog(self):
        """access_log syslog:server=..., over UDP and a Unix socket"""
        udp = self.receiver()
        p = self.penstock(
            http(
                "log_format short '$request_method $uri';"
                "access_log syslog:server=127.0.0.1:%d,facility=local3,"
                "tag=web,severity=notice short;"
                "access_log syslog:server=unix:@PREFIX@/log.sock,nohostname"
                " short if=$arg_both;" % udp.getsockname()[1]
            ),
            start=False,
        )
        unix = self.receiver(socket.AF_UNIX, p.path("log.sock"))
        p.start()
        fetch(p, "/a")
        self.assertRegex(
            udp.recv(4096).decode(),
            r"^<157>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d %s web: GET /a$"
            % re.escape(socket.gethostname()),
        )
        fetch(p, "/b?both=1")
        self.assertIn("GET /b", udp.recv(4096).decode())
        self.assertRegex(
            unix.recv(4096).decode(),
            r"^<190>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d penstock: GET /b$",
        )
        # A daemon that was restarted is found again.
        unix.close()
        os.unlink(p.path("log.sock"))
        fetch(p, "/c?both=1")
        unix = self.receiver(socket.AF_UNIX, p.path("log.sock"))
        p.wait_for_log("sending to syslog server")
        fetch(p, "/d?both=1")
        self.assertIn("GET /d", unix.recv(4096).decode())

    def test_error_log_to_syslog_and_a_file(self):
        """error_log syslog:, several at once"""
        udp = self.receiver()
        p = self.penstock(
            http(
                "access_log off;",
                "error_log syslog:server=127.0.0.1:%d error;"
                "error_log logs/second.log;" % udp.getsockname()[1],
                main="error_log logs/error.log notice;",
            )
        )
        fetch(p, "/missing")
        self.assertRegex(
            udp.recv(4096).decode(),
            r"^<187>.* penstock: \d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[error\] "
            r"\d+#0: \*1 open\(\) \".*/missing\" failed \(2: .*, "
            r'client: 127.0.0.1, server: , request: "GET /missing HTTP/1.1", '
            r'host: "127.0.0.1:\d+"$',
        )
        p.wait_for_log("/missing", "logs/second.log")

    def test_refusals(self):
        for word, sentence in (
            ("syslog:", "no syslog server specified"),
            ("syslog:server=127.0.0.1,facility=x", 'unknown syslog facility "x"'),
            ("syslog:server=127.0.0.1,severity=x", 'unknown syslog severity "x"'),
            ("syslog:server=127.0.0.1,tag=a-b", 'syslog "tag" only allows'),
            ("syslog:server=127.0.0.1,what", 'unknown syslog parameter "what"'),
            ("syslog:server=127.0.0.1:0", "invalid port in syslog server"),
            ("syslog:server=unix:", "no path in syslog server"),
            ("syslog:server=127.0.0.1 combined buffer=1k", "cannot be buffered"),
            ("logs/$host.log combined buffer=1k", "buffered logs cannot have"),
            ("logs/a.log combined gzip=10", "invalid compression level"),
        ):
            with self.subTest(word):
                p = self.penstock(http(f"access_log {word};"), start=False)
                result = p.run("-t")
                self.assertEqual(result.returncode, 1)
                self.assertIn(sentence, result.stderr)


class AccessLogTest(PenstockTestCase):
    def test_gzip(self):
        """access_log ... gzip: each piece that is written is a member"""
        p = self.penstock(
            http(
                "log_format uri '$uri';"
                "access_log logs/a.gz uri gzip=9 flush=1m;"
            )
        )
        for i in range(5):
            fetch(p, f"/{i}")
        self.assertEqual(os.path.getsize(p.path("logs/a.gz")), 0)
        p.signal(10)  # USR1
        wait_for("lines", lambda: os.path.getsize(p.path("logs/a.gz")))
        fetch(p, "/last")
        p.stop()
        with gzip.open(p.path("logs/a.gz"), "rt") as f:
            self.assertEqual(f.read(), "/0\n/1\n/2\n/3\n/4\n/last\n")

    def test_variables_in_the_path(self):
        """access_log logs/$arg_x.log, with and without open_log_file_cache"""
        for cache in ("", "open_log_file_cache max=2 inactive=1m valid=1m;"):
            p = self.penstock(
                http(
                    f"log_format uri '$uri'; {cache}"
                    "access_log logs/$arg_x.log uri;",
                    "location / { return 200 x; }"
                    "location /no { root nothing; return 200 x; }",
                )
            )
            for x in "abcab":
                fetch(p, f"/{x}?x={x}")
            self.assertEqual(p.read("logs/a.log"), "/a\n/a\n")
            self.assertEqual(p.read("logs/b.log"), "/b\n/b\n")
            self.assertEqual(p.read("logs/c.log"), "/c\n")
            # No log without the root of the request.
            fetch(p, "/no?x=no")
            self.assertFalse(os.path.exists(p.path("logs/no.log")))
            # A reopen closes what the cache holds.
            os.rename(p.path("logs/b.log"), p.path("logs/old.log"))
            p.signal(10)
            p.wait_for_log("reopening logs")

            def reopened():
                fetch(p, "/new?x=b")
                return os.path.exists(p.path("logs/b.log"))

            wait_for("a new log", reopened)
            fetch(p, "/?x=a/../../etc/x")  # no such directory: reported
            p.wait_for_log("failed (2: No such file or directory)")
            p.stop()

    def test_open_log_file_cache_sees_a_new_file(self):
        """open_log_file_cache valid="""
        p = self.penstock(
            http(
                "log_format uri '$uri'; access_log logs/$arg_x.log uri;"
                "open_log_file_cache max=10 valid=50ms min_uses=1;"
            )
        )
        fetch(p, "/1?x=a")
        os.unlink(p.path("logs/a.log"))

        def there():
            fetch(p, "/2?x=a")
            return os.path.exists(p.path("logs/a.log"))

        wait_for("a new log", there)


class ErrorLogTest(PenstockTestCase):
    def test_debug_connection(self):
        """debug_connection in events{}"""
        for mask, debugs in (
            ("127.0.0.1", True), ("127.0.0.0/8", True), ("192.0.2.1", False),
        ):  # fmt: skip
            p = self.penstock(
                http("", events=f"debug_connection {mask};",
                     main="error_log logs/error.log warn;")
            )  # fmt: skip
            fetch(p, "/x")
            if debugs:
                p.wait_for_log('[debug]')
                p.wait_for_log('uses location "/"')
            p.stop()
            self.assertEqual("[debug]" in p.log(), debugs, mask)

    def test_level_debug(self):
        """error_log ... debug"""
        p = self.penstock(http("", main="error_log logs/error.log debug;"))
        fetch(p, "/x")
        p.wait_for_log('http request "GET /x HTTP/1.1" for server')
        p.wait_for_log("http done: status 200")

    def test_sent_trailers(self):
        """$sent_trailer_NAME"""
        p = self.penstock(
            http(
                "log_format t '$uri [$sent_trailer_x_sum]';"
                "access_log logs/t.log t;",
                "location / { add_trailer X-Sum $arg_a;"
                " proxy_pass http://127.0.0.1:@PORT1@; } }"
                "server { listen 127.0.0.1:@PORT1@; location / {"
                " add_trailer Other x; }",
            ),
            files={"html/f": "f" * 10},
        )
        fetch(p, "/f?a=12")
        fetch(p, "/f")
        p.wait_for_log("/f [-]", "logs/t.log")
        self.assertIn("/f [12]", p.log("logs/t.log"))

    def test_levels_of_contexts(self):
        """error_log in http, server, location, with its levels"""
        p = self.penstock(
            http(
                "error_log logs/http.log;",
                "location / { }"
                "location /crit { error_log logs/crit.log crit; }"
                "location /two { error_log logs/one.log; error_log logs/two.log"
                " info; }",
            )
        )
        for path in ("/a", "/crit", "/two"):
            fetch(p, path)
        p.wait_for_log('"GET /two', "logs/two.log")
        self.assertIn('"GET /a', p.log("logs/http.log"))
        self.assertNotIn("/two", p.log("logs/http.log"))
        self.assertIn('"GET /two', p.log("logs/one.log"))
        self.assertEqual(p.log("logs/crit.log"), "")


class VariablesTest(PenstockTestCase):
    def test_connection(self):
        p = self.penstock(
            http(
                "",
                "location / { return 200 '$connection_time|$tcpinfo_rtt|"
                "$tcpinfo_rttvar|$tcpinfo_snd_cwnd|$tcpinfo_rcv_space|"
                "$request_port|$is_request_port'; }",
            )
        )
        seconds, *info, port, colon = fetch(p).split("|")
        self.assertRegex(seconds, r"^\d+\.\d{3}$")
        for number in info:
            self.assertGreater(int(number), 0)
        self.assertEqual((port, colon), (str(p.port()), ":"))
        self.assertTrue(fetch(p, Host="a.test").endswith("||"))
        self.assertTrue(fetch(p, Host="[::1]:81").endswith("|81|:"))

    def test_pipe(self):
        p = self.penstock(
            http("log_format l '$uri $pipe'; access_log logs/p.log l;")
        )
        ask = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"
        with socket.create_connection(("127.0.0.1", p.port()), 20) as s:
            s.sendall(ask % 1 + ask % 2)
            got = b""
            while got.count(b"HTTP/1.1 200") < 2 or not got.endswith(b"x"):
                got += s.recv(4096)
            s.sendall(ask % 3)
            s.recv(4096)
        wait_for("lines", lambda: p.log("logs/p.log").count("\n") == 3)
        self.assertEqual(p.read("logs/p.log"), "/1 .\n/2 p\n/3 .\n")


class CompareVariablesTest(CompareTestCase):
    def test_values(self):
        names = (
            "document_root realpath_root request_filename uri document_uri "
            "args is_args query_string arg_a arg_b cookie_c http_x_y host "
            "request request_method request_uri scheme https server_name "
            "server_protocol content_type content_length remote_addr "
            "remote_user request_completion hostname connection_requests pipe "
            "sent_http_x sent_http_content_type request_length"
        ).split()
        text = "|".join(f"{n}=${n}" for n in names)
        both = self.both(
            f"server_name some.test; add_header X a; location / {{ return 200 '{text}'; }}"
        )
        both.same(
            "/a%20b/c?a=1&b=%20",
            Cookie="c=d; e=f",
            X_Y="z",
            Authorization="Basic dXNlcjpwYXNz",
        )
        both.same("/", Host="other:81")


if __name__ == "__main__":
    unittest.main()
