# SPDX-License-Identifier: BSD-2-Clause
"""ssi and addition, as in nginx."""

import threading
import time
import unittest

from support.nginx import CompareTestCase
from support.penstock import PenstockTestCase, wait_for
from support.raw import Origin, Raw

FILES = {
    "html/part.html": "[part <!--# echo var='uri' -->]",
    "html/plain.txt": "plain & simple",
    "html/empty.html": "",
    "html/d/rel.html": "rel",
    "html/d/page.html": "<!--# include virtual='rel.html' --><!--# include file='rel.html' -->",
    "html/loop.html": "x<!--# include virtual='/loop.html' -->",
    "html/big.html": "<p>" + "b" * 300000 + "</p>",
    "html/slow.html": "<!--# include virtual='/o/1' --> <!--# include virtual='/o/2' -->",
}

PAGES = {
    "none": "nothing <!-- at all --> <!- <!--x < ",
    "include": "a<!--# include virtual='/part.html' -->b<!--# include file='/plain.txt' -->c",
    "two": "<!--#include virtual='/part.html'--><!--#include virtual='/plain.txt'-->",
    "args": "<!--# include virtual='/args?x=1&y=2' -->",
    "stub": "<!--# block name='s' -->stub<!--# endblock -->"
    "[<!--# include virtual='/empty.html' stub='s' -->]",
    "wait": "<!--# include virtual='/setter.html' wait='yes' --><!--# echo var='inner' -->",
    "setinc": "<!--# include virtual='/plain.txt' set='v' -->(<!--# echo var='v' -->)",
    "badinc": "<!--# include --><!--# include virtual='/a' file='/b' -->"
    "<!--# include virtual='../x' --><!--# include virtual='/a/../../x' -->",
    "echo": "<!--# echo var='uri' -->|<!--# echo var='none' -->|<!--# echo var='none' default='d' -->|"
    "<!--# echo var='arg_h' -->|<!--# echo var='arg_h' encoding='none' -->|"
    "<!--# echo var='arg_h' encoding='url' -->|<!--# echo var='arg_h' encoding='entity' -->|"
    "<!--# echo -->|<!--# echo var='none' default='' -->|<!--# echo var='HTTP_HOST' -->",
    "set": "<!--# set var='a' value='x$uri-${arg_h}y' --><!--# echo var='a' encoding='none' -->"
    "<!--# set var='a' value='again' --><!--# echo var='a' -->",
    "if": "<!--# if expr='$arg_a' -->yes<!--# else -->no<!--# endif -->|"
    "<!--# if expr='$arg_a = 1' -->one<!--# elif expr='$arg_a = 2' -->two<!--# elif expr='$arg_a != 3' -->"
    "other<!--# else -->three<!--# endif -->|"
    "<!--# if expr='$arg_a = /^([0-9])(?<rest>.*)/' -->m <!--# echo var='1' --> <!--# echo var='rest' -->"
    "<!--# endif -->|<!--# if expr='$arg_a != /x/' -->nox<!--# endif -->"
    "<!--# if expr='$none' -->hidden <!--# echo var='uri' --><!--# set var='h' value='h' --><!--# endif -->"
    "<!--# echo var='h' default='unset' -->",
    "config": "<!--# config errmsg='oops' --><!--# include --><!--# config timefmt='%Y' -->"
    "<!--# echo var='date_local' --> <!--# echo var='date_gmt' -->",
    "bad": "<!--# unknown a='b' -->|<!--# echo var=uri -->|<!--# echo var='uri' x -->|"
    "<!--# ECHO VAR='uri' -->|<!--# if expr='x' -->a<!--# endif -->|<!--# endif -->|<!--# else -->",
    "nested": "<!--# block name='b' -->in <!--# echo var='uri' --> out<!--# endblock -->after",
    "quotes": "<!--# echo var=\"none\" default=\"a 'b' --> c\" -->|<!--# echo var='none' default='a\\'b' -->",
    "tail": "text<!--# echo var='uri'",
    "long": "<!--# echo var='none' default='" + "x" * 257 + "' -->|<!--# echo var='none' default='"
    + "x" * 256 + "' -->",
    "bigpage": "y" * 200000 + "<!--# include virtual='/big.html' -->" + "z" * 200000,
}
FILES.update({f"html/p/{n}.html": t for n, t in PAGES.items()})
FILES["html/setter.html"] = "<!--# set var='inner' value='seen' -->set"


class SsiTest(CompareTestCase):
    def test_pages(self):
        both = self.both(
            "ssi on; location /args { default_type text/plain; return 200 $args; }"
            "location = /plain.txt { ssi off; }"
            "location /silent/ { ssi_silent_errors on; alias @PREFIX@/html/p/; }"
            "location /lm/ { ssi_last_modified on; alias @PREFIX@/html/p/; }"
            "location /v/ { ssi_value_length 300; alias @PREFIX@/html/p/; }"
            "location /off/ { ssi off; alias @PREFIX@/html/p/; }"
            "location /gz/ { gzip on; alias @PREFIX@/html/p/; }",
            files=FILES,
            http="types { text/html html; text/plain txt; }",
        )
        for name in PAGES:
            both.same(f"/p/{name}.html?a=1&h=<a%26'\"b>")
        for a in ("", "1", "2", "3", "4x"):
            both.same(f"/p/if.html?a={a}")
        both.same("/d/page.html")
        both.same("/silent/badinc.html")
        both.same("/lm/echo.html")
        both.same("/v/long.html")
        both.same("/off/echo.html")
        both.same("/p/echo.html", method="HEAD")
        both.same("/p/echo.html", Range="bytes=0-4")
        both.same("/p/echo.html", If_Modified_Since="Sun, 09 Sep 2001 01:46:40 GMT")

    def test_addition(self):
        both = self.both(
            "location / { add_before_body /plain.txt; add_after_body /part.html; }"
            "location /after/ { alias @PREFIX@/html/; add_after_body /big.html; }"
            "location /txt/ { alias @PREFIX@/html/; add_before_body /d/rel.html;"
            " addition_types text/plain; gzip on; }"
            'location /none/ { alias @PREFIX@/html/; add_before_body ""; }'
            "location /ssi/ { ssi on; alias @PREFIX@/html/; add_after_body /d/rel.html; }"
            "location = /plain.txt { } location = /part.html { } location /d/ { }"
            "location = /big.html { }",
            files=FILES,
            http="types { text/html html; text/plain txt; } add_before_body /d/rel.html;",
        )
        for target in (
            "/empty.html", "/slow.html", "/after/part.html", "/txt/plain.txt", "/txt/part.html",
            "/none/part.html", "/ssi/part.html", "/after/big.html", "/missing.html", "/plain.txt",
        ):
            both.same(target)
        both.same("/slow.html", method="HEAD")
        both.same("/slow.html", Range="bytes=0-1")


class OwnTest(PenstockTestCase):
    def serve(self, server, files=FILES):
        return self.penstock(
            "pid logs/penstock.pid; events { } http { access_log off; types { text/html html; }"
            " server { listen 127.0.0.1:@PORT@; root @PREFIX@/html; %s } }" % server,
            files=files,
        )

    def test_includes_run_at_once_and_come_in_order(self):
        both_asked = threading.Barrier(2, timeout=20)

        def respond(peer):
            both_asked.wait()
            if peer.request.target == "/o/1":
                time.sleep(0.2)
            peer.reply(f"answer {peer.request.target}")

        o = Origin(respond)
        self.addCleanup(o.stop)
        p = self.serve(
            f"ssi on; location /o/ {{ proxy_pass http://127.0.0.1:{o.port}; }}"
        )
        with Raw(p.port()) as s:
            self.assertEqual("answer /o/1 answer /o/2", s.ask("/slow.html").text)

    def test_every_split(self):
        """The same page in pieces of any size."""
        text = (
            "<<!--# set var='q' value='v' --><!--<!--# echo var='q' -->-<!--# if expr='$q = v' -->"
            "yes<!--# endif --><!--# echo var='q' -->--><!-"
        )

        def respond(peer):
            size = int(peer.request.target.rpartition("/")[2])
            peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
                      "Transfer-Encoding: chunked\r\n\r\n")
            for i in range(0, len(text), size):
                piece = text[i : i + size]
                peer.send(f"{len(piece):x}\r\n{piece}\r\n")
            peer.send("0\r\n\r\n")

        o = Origin(respond)
        self.addCleanup(o.stop)
        p = self.serve("location / { ssi on; proxy_pass http://127.0.0.1:%d; }" % o.port)
        with Raw(p.port()) as s:
            for size in (*range(1, 12), 1000):
                self.assertEqual("<<!--v-yesv--><!-", s.ask(f"/{size}").text)

    def test_a_loop_ends(self):
        p = self.serve("ssi on;")
        with Raw(p.port()) as s:
            got = s.ask("/loop.html")
        self.assertEqual(51, got.text.count("x"))
        self.assertIn("subrequests cycle", p.log())

    def test_an_include_that_is_cut_off_cuts_the_page_off(self):
        def respond(peer):
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            return True

        o = Origin(respond)
        self.addCleanup(o.stop)
        p = self.serve(f"ssi on; location /o/ {{ proxy_pass http://127.0.0.1:{o.port}; }}")
        with Raw(p.port()) as s:
            s.get("/slow.html")
            self.assertFalse(s.rest().endswith(b"0\r\n\r\n"))

    def test_a_client_that_leaves_and_one_that_reads_slowly(self):
        pages = {"html/big.html": "b" * 3_000_000,
                 "html/many.html": "<!--# include virtual='/big.html' -->" * 8}
        p = self.serve("ssi on; location = /big.html { ssi off; }", pages)
        with Raw(p.port(), small=True) as s:
            s.get("/many.html")
            s.head()
        with Raw(p.port(), small=True) as s:
            got = s.ask("/many.html")
            self.assertEqual(24_000_000, len(got.body))
        with open(f"/proc/{p.workers()[0]}/statm") as f:
            self.assertLess(int(f.read().split()[1]) * 4096, 400 << 20)


if __name__ == "__main__":
    unittest.main()
