# SPDX-License-Identifier: BSD-2-Clause
"""How files are opened: open_file_cache and disable_symlinks."""

import os
import unittest

from support.nginx import CompareTestCase


class OpenFileCacheTest(CompareTestCase):
    def test_same_answers(self):
        """open_file_cache: whole, ranges, directories, errors"""
        files = {
            "html/small": "small",
            "html/large": b"x" * 100_000,
            "html/d/index.html": "index",
            "html/empty/x": "",
        }
        both = self.both(
            "open_file_cache max=100 inactive=20s; open_file_cache_valid 30s;"
            "open_file_cache_min_uses 2; open_file_cache_errors on;"
            "location /try { try_files /small =404; }",
            files=files,
        )
        for _ in range(3):
            for target in (
                "/small", "/large", "/d/", "/d", "/empty/", "/none", "/none/",
                "/try/x",
            ):  # fmt: skip
                both.same(target)
            both.same("/large", Range="bytes=10-20")
            both.same("/large", Range="bytes=0-1,99990-")
            both.same("/large", method="HEAD")

    def test_what_is_kept(self):
        """open_file_cache_valid, open_file_cache_errors"""
        for valid, seen in (("1m", False), ("0", True)):
            both = self.both(
                f"open_file_cache max=10; open_file_cache_valid {valid};"
                "open_file_cache_errors on;",
                files={"html/a": "one"},
            )
            both.same("/a")
            both.same("/b")
            both.ours.write("html/fresh", "second")
            os.replace(both.ours.path("html/fresh"), both.ours.path("html/a"))
            both.ours.write("html/b", "b")
            for name in ("html/a", "html/b"):
                os.utime(both.ours.path(name), (1000000000, 1000000000))
            self.assertEqual(both.same("/a").body, b"second" if seen else b"one")
            self.assertEqual(both.same("/b").status, 200 if seen else 404)

    def test_a_file_that_is_sent_while_it_leaves_the_cache(self):
        both = self.both(
            "open_file_cache max=1;",
            files={f"html/{n}": n.encode() * 500_000 for n in "abc"},
        )
        for n in "abcabc":
            self.assertEqual(both.same(f"/{n}").body, n.encode() * 500_000)


class DisableSymlinksTest(CompareTestCase):
    def test_links(self):
        """disable_symlinks off | on | if_not_owner, from="""
        for mode in (
            "off", "on", "if_not_owner", "on from=$document_root",
            "if_not_owner from=$document_root", "on from=/nonsense",
        ):  # fmt: skip
            both = self.both(
                f"disable_symlinks {mode};"
                "location /try/ { try_files $uri /file =404; }",
                files={
                    "html/file": "file",
                    "html/d/index.html": "index",
                    "html/d/e/f": "deep",
                },
            )
            html = both.ours.path("html")
            for link, target in (
                ("link", "file"), ("dir", "d"), ("dangling", "nothing"),
                ("out", "/etc/hostname"),
            ):  # fmt: skip
                os.symlink(target, os.path.join(html, link))
            os.symlink("file", os.path.join(html, "strange"))
            if os.geteuid() == 0:
                os.lchown(os.path.join(html, "strange"), 12345, 12345)
            for target in (
                "/file", "/link", "/dir/", "/dir/index.html", "/dir/e/f", "/d/",
                "/d/e/f", "/dangling", "/strange", "/nothing", "/d/none",
                "/try/link", "/file/x",
            ):  # fmt: skip
                with self.subTest(mode, target=target):
                    both.same(target)

    def test_refusals(self):
        for words, sentence in (
            ("disable_symlinks maybe;", 'invalid parameter "maybe"'),
            ("disable_symlinks on to=/;", 'invalid parameter "to=/"'),
            ("open_file_cache valid=1m;", 'invalid "open_file_cache" parameter'),
            ("open_file_cache inactive=1m;", 'must have the "max" parameter'),
        ):
            p = self.penstock(
                f"events {{ }} http {{ {words} }}", start=False
            )
            self.assertIn(sentence, p.run("-t").stderr)


if __name__ == "__main__":
    unittest.main()
