# SPDX-License-Identifier: BSD-2-Clause
"""Lines of the error log, beside nginx's."""

import re
import socket
import threading
import unittest

from support.nginx import Answer, CompareTestCase
from support.penstock import free_port, wait_for


def lines(text, both, port):
    """[level] and sentence, without what can not be the same."""
    found = []
    for line in text.splitlines():
        m = re.match(r"\S+ \S+ (\[(?:error|crit|alert)\]) \d+#\d+: \*\d+ (.*)", line)
        if m:
            found.append(
                m[1]
                + " "
                + m[2]
                .replace(f":{port}", ":PORT")
                .replace(" while sending to client", "")  # of a subrequest
            )  # fmt: skip
    return found


class ErrorLinesTest(CompareTestCase):
    def same_lines(self, both, n, *targets, method="GET", **headers):
        headers = {k.replace("_", "-"): v for k, v in headers.items()}
        for target in targets:
            for port in (both.ours.port(), both.nginx.port):
                Answer(port, method, target, headers)
        with open(both.nginx.log_path) as f:
            theirs = lines(f.read(), both, both.nginx.port)
        self.assertEqual(len(theirs), n, theirs)
        wait_for(
            "lines",
            lambda: len(lines(both.ours.log(), both, both.ours.port())) >= n,
        )
        ours = lines(both.ours.log(), both, both.ours.port())
        self.assertEqual(theirs, ours)

    def test_files(self):
        both = self.both(
            "location /d/ { } location /loop { rewrite ^ /loop/x; }"
            "location /deny { deny all; }"
            "location /named { try_files /none @none; }"
            "location /quiet { log_not_found off; }",
            files={"html/d/x": ""},
        )
        self.same_lines(
            both, 5, "/missing", "/d/", "/loop", "/deny", "/quiet", "/named",
            Referer="http://from.test/",
        )  # fmt: skip

    def test_bodies(self):
        both = self.both("client_max_body_size 10; location / { return 200; }")
        self.same_lines(both, 1, "/", Content_Length="100")

    def test_upstreams(self):
        """connect() refused, closed too early"""
        with socket.create_server(("127.0.0.1", 0)) as s:

            def run():
                for _ in range(2):
                    c = s.accept()[0]
                    c.recv(4096)
                    c.close()

            threading.Thread(target=run, daemon=True).start()
            port = s.getsockname()[1]
            both = self.both(
                f"location /a {{ proxy_pass http://127.0.0.1:{free_port()}; }}"
                f"location /b {{ proxy_pass http://127.0.0.1:{port}/x/; }}"
            )
            self.same_lines(both, 2, "/a?q", "/b/c")

    def test_subrequests(self):
        """auth_request to an upstream that is not there"""
        both = self.both(
            "location / { auth_request /auth; }"
            f"location /auth {{ proxy_pass http://127.0.0.1:{free_port()}/x; }}"
        )
        self.same_lines(both, 2, "/y")


if __name__ == "__main__":
    unittest.main()
