# SPDX-License-Identifier: BSD-2-Clause
"""Variables that decide: geo, split_clients, map, valid_referers,
secure_link, as in nginx."""

import base64
import hashlib
import time
import unittest

from support.nginx import CompareTestCase


class GeoTest(CompareTestCase):
    ADDRESSES = (
        "10.1.2.3", "10.1.2.4", "10.1.9.9", "10.9.9.9", "192.168.0.1", "1.1.1.1",
        "127.0.0.1", "255.255.255.255", "0.0.0.0", "2001:db8::1",
        "2001:db8:1::1", "::1", "::ffff:10.1.2.3", "not-an-address", "",
    )

    def test_networks(self):
        both = self.both(
            'location / { return 200 "$place|$own|$none|$far"; }',
            http="geo $http_x_ip $place { default out; 10.0.0.0/8 ten;"
            " include @PREFIX@/conf/geo; 10.1.2.3 one; 2001:db8::/32 six;"
            " 2001:db8:1::/48 sixone; 127.0.0.1/32 me; ::1 me6;"
            " 192.168.0.0/16 gone; delete 192.168.0.0/16;"
            " 255.255.255.255 nobody; }"
            "geo $own { 127.0.0.0/8 local; 10.0.0.0/8 ten; }"
            "geo $http_x_ip $none { 10.0.0.0/8 ''; }"
            "geo $far { default x; proxy 127.0.0.1; proxy 10.0.0.0/8;"
            " proxy_recursive; 192.0.2.0/24 test; 10.0.0.0/8 ten; }",
            files={"conf/geo": "10.1.0.0/16 inc;\n10.1.2.0/30 small;\n"},
        )
        for address in self.ADDRESSES:
            both.same("/", X_IP=address)
        for list in ("192.0.2.1", "192.0.2.1, 10.0.0.1", "10.0.0.1", "x"):
            both.same("/", X_Forwarded_For=list)

    def test_ranges(self):
        both = self.both(
            'location / { return 200 "$place"; }',
            http="geo $http_x_ip $place { ranges; default out;"
            " 10.0.0.0-10.255.255.255 ten; 10.1.0.0-10.1.255.255 tenone;"
            " 10.1.2.3-10.1.2.3 one; 1.0.0.0-2.0.0.0 low;"
            " 192.168.0.0-192.168.0.255 gone;"
            " delete 192.168.0.0-192.168.0.255; }",
        )
        for address in self.ADDRESSES + (
            "10.0.255.255", "10.2.0.0", "2.0.0.0", "2.0.0.1", "0.255.255.255",
        ):
            both.same("/", X_IP=address)


class SplitClientsTest(CompareTestCase):
    def test_split_clients(self):
        both = self.both(
            'location / { return 200 "$a|$b|$c"; }',
            http="split_clients $arg_k $a { 0.5% .one; 33.33% .two; 50% .three;"
            " * ''; }"
            "split_clients 'x$arg_k$remote_addr' $b { 100% all; }"
            "split_clients $arg_k $c { 1.25% few; 20% some; }",
        )
        seen = set()
        for i in range(60):
            for key in (str(i), "k" * i, f"user-{i * i}"):
                seen.add(both.same("/?k=" + key).body)
        self.assertGreater(len(seen), 3)
        both.same("/")
        both.same("/?k=%E2%82%AC")


class MapTest(CompareTestCase):
    def test_map(self):
        both = self.both(
            "location / { set $first $v;"
            ' return 200 "$m|$h|$r|$cap|$chain|$first$v$v|$both"; }',
            http="map $http_x $m { default d; '' empty; a 1; 'b c' 3;"
            " \\~tilde 4; \\default 5; ~^re(\\w+)$ $1; ~*^CASE ci; }"
            "map $http_x $h { hostnames; default d; example.org exact;"
            " *.example.org star; .both.org dot; www.* tail;"
            " ~^rx[0-9]+\\.org$ rx; }"
            "map $http_x $r { ~^(?<cap>x.*)y$ $cap; volatile; }"
            "map $m$h $chain { ~1 one; default $http_x; }"
            "map $request_id $v { volatile; default x; }"
            "map '$http_x-$arg_a' $both { a-1 yes; ~-2$ two; }",
        )
        for value in (
            "", "a", "A", "b c", "~tilde", "default", "reX1", "caseless", "no",
            "example.org", "EXAMPLE.org", "www.example.org", "a.b.example.org",
            "both.org", "x.both.org", "www.net", "www.co.uk", "rx12.org",
            "RX1.org", "xzy", "xy", "example.org.", "*.example.org",
        ):
            for args in ("", "?a=1", "?a=2"):
                both.same("/" + args, X=value)


class ValidReferersTest(CompareTestCase):
    def test_valid_referers(self):
        show = 'return 200 "[$invalid_referer]";'
        both = self.both(
            "server_name test.example *.wild.example ~^re\\d+\\.example$;"
            f"location /all {{ valid_referers none blocked server_names"
            " *.example.com example.* www.example.org/galleries/"
            f" ~\\.google\\.; {show} }}"
            f"location /none {{ valid_referers none x.test; {show} }}"
            f"location /blocked {{ valid_referers blocked x.test; {show} }}"
            f"location /host {{ valid_referers a.test; {show} }}"
            f"location /names {{ valid_referers server_names; {show} }}"
            f"location /unset {{ {show} }}"
        )
        for place in ("all", "none", "blocked", "host", "names", "unset"):
            both.same("/" + place)
            for referer in (
                "", "-", "blocked", "http://", "https://", "http:/x",
                "http://test.example/", "https://TEST.example",
                "http://test.example:8080/x", "http://x.wild.example/",
                "http://wild.example/", "http://re12.example/",
                "http://re.example/", "http://a.example.com/x",
                "http://example.com", "http://example.net/",
                "http://www.example.org/galleries/1",
                "http://www.example.org:80/galleries/",
                "http://www.example.org/other", "http://www.google.de/?q",
                "http://a.test", "http://a.test.evil/", "ftp://a.test/",
                "http://user@a.test/",
            ):
                both.same("/" + place, Referer=referer)


class SecureLinkTest(CompareTestCase):
    def code(self, text):
        digest = hashlib.md5(text.encode()).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

    def test_secure_link(self):
        both = self.both(
            "location /s/ { secure_link $arg_md5,$arg_e;"
            ' secure_link_md5 "$uri$arg_e key";'
            ' return 200 "[$secure_link|$secure_link_expires]"; }'
            "location /n/ { secure_link $arg_md5; secure_link_md5 '$uri key';"
            ' return 200 "[$secure_link|$secure_link_expires]"; }'
            'location /half/ { secure_link $arg_md5; return 200'
            ' "[$secure_link]"; }'
        )
        soon, late = int(time.time()) + 1000, int(time.time()) - 1000
        for expires in (soon, late, 0, "", "x", -1, "99999999999999999999"):
            good = self.code(f"/s/a{expires} key")
            for code in (good, good + "==", good[:-1], "x" + good[1:], ""):
                both.same(f"/s/a?md5={code}&e={expires}")
        good = self.code("/n/a key")
        both.same(f"/n/a?md5={good}")
        both.same(f"/n/a?md5={good},{soon}")
        both.same(f"/n/b?md5={good}")
        both.same("/n/b?md5=" + "A" * 300)
        both.same(f"/half/?md5={good}")

    def test_secure_link_secret(self):
        both = self.both(
            "location /p/ { secure_link_secret word;"
            ' if ($secure_link = "") { return 403; }'
            ' return 200 "[$secure_link]"; }'
        )
        good = hashlib.md5(b"dir/file.txtword").hexdigest()
        for target in (
            f"/p/{good}/dir/file.txt", f"/p/{good.upper()}/dir/file.txt",
            f"/p/{good}/dir/other", f"/p/{good}/", f"/p/{good}", "/p/",
            "/p/x/dir/file.txt", f"/p/{good[:-1]}/dir/file.txt",
            f"/p/{good}0/dir/file.txt", f"/p/{good[:-1]}g/dir/file.txt",
        ):
            both.same(target)


if __name__ == "__main__":
    unittest.main()
