# SPDX-License-Identifier: BSD-2-Clause
"""Who visits: userid cookies and kinds of browsers."""

import re
import unittest

from support.nginx import Answer, CompareTestCase

COOKIE = "uid=fwAAAWVAAAAAAAABAwMDAg=="
AGENTS = (
    "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1; SV1)",
    "Mozilla/4.0 (compatible; MSIE 5.5; Windows 98)",
    "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1; en) Opera 8.02",
    "Opera/7.50 (X11; Linux i686; U) [en]",
    "Mozilla/5.0 (X11; U; Linux i686; en-US; rv:1.7.2) Gecko/20040803",
    "Mozilla/5.0 (X11; U; Linux i686; en-US; rv:0.9.4.1) Gecko/20020508",
    "Mozilla/5.0 (Macintosh; U; PPC Mac OS X; en) AppleWebKit/125.2"
    " (KHTML, like Gecko) Safari/125.8",
    "Mozilla/5.0 (compatible; Konqueror/3.2; Linux) (KHTML, like Gecko)",
    "Mozilla/4.7 [en] (X11; U; Linux)",
    "Lynx/2.8.5rel.1 libwww-FM/2.14",
    "curl/8.0",
    "MSIE",
    "x",
)


class UseridTest(CompareTestCase):
    def cookie(self, both, target="/", **headers):
        """The cookie of each, with the random part taken out."""
        found = []
        for port in (both.ours.port(), both.nginx.port):
            answer = Answer(port, "GET", target, headers)
            value = dict(answer.headers).get("set-cookie")
            found.append(
                value
                and re.sub(
                    r"\d\d:\d\d:\d\d", "TIME",
                    re.sub(r"=([\w+/]{22})(..);", r"=ID\2;", value),
                )  # fmt: skip
            )
        self.assertEqual(found[1], found[0])
        return found[0]

    def test_cookies(self):
        """userid on | v1 | log | off, and what describes the cookie"""
        for directives, given in (
            ("userid on;", True),
            ("userid v1; userid_service 77;", True),
            ("userid on; userid_expires 365d; userid_domain example.org;"
             "userid_path /x; userid_name visitor; userid_p3p 'CP=\"X\"';", True),
            ("userid on; userid_expires max; userid_flags secure httponly"
             " samesite=lax;", True),
            ("userid on; userid_mark Z;", True),
            ("userid log;", False),
            ("userid off;", False),
        ):  # fmt: skip
            with self.subTest(directives):
                both = self.both(f"{directives} location / {{ return 200 x; }}")
                self.assertEqual(bool(self.cookie(both)), given)

    def test_what_is_known_already(self):
        """$uid_got, $uid_set, $uid_reset, userid_mark"""
        both = self.both(
            "userid on; add_header Got $uid_got always;"
            "location / { return 200 '[$uid_got]'; }"
            "location /mark { userid_mark Q; return 200 '[$uid_got]'; }"
            "location /log { userid log; return 200 '[$uid_got]'; }"
            "location /reset { set $uid_reset $arg_r; return 200 x; }"
        )
        both.same("/", Cookie=COOKIE)
        both.same("/log", Cookie=COOKIE)
        for cookie in ("uid=short", "uid=" + "*" * 24, "other=1; " + COOKIE):
            self.cookie(both, Cookie=cookie)
        both.same("/mark", Cookie=COOKIE)
        both.same("/mark", Cookie=COOKIE.replace("==", "Q="))
        for r in ("", "0", "1", "log"):
            self.cookie(both, f"/reset?r={r}", Cookie=COOKIE)
        both.ours.wait_for_log("was reset")

    def test_set_and_sent_are_one(self):
        p = self.penstock(
            "events { } http { server { listen 127.0.0.1:@PORT@; userid on;"
            "location / { return 200 '$uid_set'; } } }"
        )
        a = Answer(p.port(), "GET", "/", {})
        b = Answer(p.port(), "GET", "/", {})
        self.assertRegex(a.body, rb"^uid=7F000001|^uid=0100007F")
        self.assertNotEqual(a.body, b.body)
        self.assertIn("set-cookie", dict(a.headers))


class BrowserTest(CompareTestCase):
    def test_browsers(self):
        """modern_browser, ancient_browser and their values"""
        for directives in (
            "",
            "modern_browser unlisted;",
            "modern_browser msie 5.5; modern_browser gecko 1.0.0;"
            "modern_browser opera 9.0; modern_browser safari 413;"
            "modern_browser konqueror 3.0;",
            "modern_browser msie 5.5; modern_browser unlisted;"
            "ancient_browser Links Lynx netscape4;",
            "ancient_browser Lynx; modern_browser gecko 0.9.4.2;"
            "modern_browser_value new; ancient_browser_value old;",
        ):
            both = self.both(
                f"{directives} location / {{ return 200"
                " 'm=$modern_browser a=$ancient_browser'; }}".replace("}}", "}")
            )
            for agent in AGENTS:
                both.same("/", User_Agent=agent)
            both.same("/")

    def test_refusals(self):
        for words, sentence in (
            ("modern_browser chrome 1;", 'unknown browser name "chrome"'),
            ("modern_browser msie x;", 'invalid browser version "x"'),
            ("userid_mark xx;", 'value must be "off" or a single letter'),
            ("userid_flags fast;", 'invalid parameter "fast"'),
        ):
            p = self.penstock(f"events {{ }} http {{ {words} }}", start=False)
            self.assertIn(sentence, p.run("-t").stderr)


if __name__ == "__main__":
    unittest.main()
