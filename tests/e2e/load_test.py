# SPDX-License-Identifier: BSD-2-Clause
"""Load from generators that we did not write: every answer is right, nothing
is left behind."""

import os
import re
import subprocess
import unittest

from support.penstock import PenstockTestCase, wait_for

CONFIG = """
worker_processes 2;
events { worker_connections 2000; }
http {
    keepalive_requests 100000;
    access_log logs/access.log;
    upstream origin { server 127.0.0.1:@PORT1@; }
    server {
        listen 127.0.0.1:@PORT1@;
        location / { return 200 "origin says $uri\\n"; }
    }
    server {
        listen 127.0.0.1:@PORT@ reuseport;
        location / { proxy_pass http://origin; }
        location = /return { return 200 "here\\n"; }
        location /files/ { alias html/; }
    }
}
"""


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


class LoadTest(PenstockTestCase):
    def start(self):
        p = self.penstock(CONFIG, files={"html/small": "s" * 1024,
                                         "html/large": "l" * 300000})
        return p, p.url("")

    def wrk(self, url, connections):
        out = subprocess.run(["wrk", "-t1", f"-c{connections}", "-d2s", url],
                             capture_output=True, text=True, timeout=60, check=True).stdout
        self.assertNotIn("Non-2xx", out)
        self.assertNotIn("Socket errors", out)
        self.assertGreater(int(re.search(r"(\d+) requests in", out).group(1)), 100)

    def test_wrk_on_every_kind_of_answer(self):
        p, url = self.start()
        wait_for("both workers", lambda: len(p.workers()) == 2)
        workers = p.workers()
        before = [descriptors(pid) for pid in workers]
        for path in ("/return", "/files/small", "/files/large", "/proxied/x"):
            with self.subTest(path=path):
                self.wrk(url + path, 50)
        self.assertEqual(workers, p.workers(), "a worker died under load")

        # Idle upstream connections may stay: at most 32 of each worker, and
        # their other ends.
        def returned():
            return all(descriptors(pid) <= n + 2 * 32 * len(workers)
                       for pid, n in zip(workers, before))
        wait_for("descriptors to be given back", returned)

    def test_h2load_counts_every_answer(self):
        p, url = self.start()
        out = subprocess.run(["h2load", "--h1", "-n", "5000", "-c", "20", url + "/return"],
                             capture_output=True, text=True, timeout=60, check=True).stdout
        self.assertIn("5000 succeeded, 0 failed, 0 errored, 0 timeout", out)
        lines = wait_for("5000 lines in the access log", lambda: self.log_lines(p, 5000))
        self.assertEqual(5000, len(lines))

    def log_lines(self, p, n):
        with open(os.path.join(p.prefix, "logs/access.log")) as f:
            lines = f.readlines()
        return lines if len(lines) >= n else None


if __name__ == "__main__":
    unittest.main()
