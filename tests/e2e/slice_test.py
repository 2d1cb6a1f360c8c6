# SPDX-License-Identifier: BSD-2-Clause
"""slice and $slice_range, as in nginx."""

import re
import unittest

from support.nginx import CompareTestCase
from support.penstock import wait_for
from support.raw import Origin, Raw

WHOLE = bytes(i * 7 % 251 for i in range(10_500))


class SliceTest(CompareTestCase):
    def before(self, respond):
        o = Origin(respond)
        self.addCleanup(o.stop)
        self.origin = o
        return self.both(
            "slice 1k; proxy_http_version 1.1; proxy_set_header Connection '';"
            f"location / {{ proxy_set_header Range $slice_range;"
            f" proxy_pass http://127.0.0.1:{o.port}; }}"
            f"location /unused/ {{ proxy_pass http://127.0.0.1:{o.port}; }}",
        )

    @staticmethod
    def serve(peer, etag='"e"', shift=0, total=len(WHOLE)):
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", peer.request.get("Range") or "")
        if not asked:
            return peer.reply(WHOLE, f"ETag: {etag}")
        start, end = int(asked[1]), min(int(asked[2]) + 1, len(WHOLE))
        if start >= len(WHOLE):
            return peer.reply("", f"Content-Range: bytes */{len(WHOLE)}",
                              status="416 Range Not Satisfiable")
        peer.reply(
            WHOLE[start:end], f"ETag: {etag}", "Content-Type: text/plain",
            f"Content-Range: bytes {start + shift}-{end - 1 + shift}/{total}",
            status="206 Partial Content",
        )

    def test_slices(self):
        both = self.before(self.serve)
        self.assertEqual(WHOLE, both.same("/").body)
        asked = [m.get("Range") for m in self.origin.requests]
        self.assertEqual(asked[: len(asked) // 2], asked[len(asked) // 2 :])
        self.assertEqual(22, len(asked))
        for ranges in (
            "bytes=0-9", "bytes=0-1023", "bytes=0-1024", "bytes=1000-1030", "bytes=3000-",
            "bytes=10240-", "bytes=5000-7000", "bytes=2048-3071", "bytes=10000-99999",
            "bytes=1-2,5-6",
        ):
            del self.origin.requests[:]
            both.same("/", Range=ranges)
            asked = [m.get("Range") for m in self.origin.requests]
            self.assertEqual(
                asked[: len(asked) // 2], asked[len(asked) // 2 :], ranges
            )
        both.same("/", Range="bytes=2000-2100", If_Range='"e"')
        both.same("/", Range="bytes=2000-2100", If_Range='"f"')
        both.same("/unused/")

    def test_an_origin_without_ranges(self):
        both = self.before(lambda peer: peer.reply(WHOLE))
        both.same("/")

    def test_what_does_not_fit_is_cut_off(self):
        count = []

        def changed(peer):
            count.append(1)
            self.serve(peer, etag=f'"{len(count) // 3}"')

        for respond, words in (
            (changed, "etag mismatch in slice response"),
            (lambda peer: self.serve(peer, shift=1 if "-2047" in peer.request.get("Range") else 0),
             "unexpected range in slice response"),
            (lambda peer: self.serve(peer) if "=0-" in peer.request.get("Range")
             else peer.reply("x" * 1024), "unexpected status code in slice response"),
        ):
            both = self.before(respond)
            with Raw(both.ours.port()) as s:
                s.get("/")
                head = s.head()
                self.assertEqual(str(len(WHOLE)), head.get("Content-Length"))
                self.assertLess(len(s.rest()), len(WHOLE))
            both.ours.wait_for_log(words)


if __name__ == "__main__":
    unittest.main()
