# SPDX-License-Identifier: BSD-2-Clause
"""What an idle TLS connection costs.

Needs a build without sanitizers, named by PENSTOCK_RELEASE.
"""

import os
import re
import time
import unittest

RELEASE = os.environ.get("PENSTOCK_RELEASE")
if RELEASE:
    os.environ["PENSTOCK"] = RELEASE

from tls_test import TlsTestCase, config, server

CONNECTIONS = 300
MOST = 24 * 1024  # bytes each; OpenSSL's own is most of it


@unittest.skipUnless(RELEASE, "PENSTOCK_RELEASE does not name a release build")
class TlsMemoryTest(TlsTestCase):
    def private(self, pid):
        with open(f"/proc/{pid}/smaps_rollup") as f:
            text = f.read()
        return 1024 * sum(map(int, re.findall(r"Private_\w+: +(\d+)", text)))

    def open(self, p, context):
        """A connection that has had an answer and may ask again."""
        tls = self.connect(p, context=context)
        tls.sendall(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        self.assertIn(b"200 OK", tls.recv(65536))
        return tls

    def test_idle_connections(self):
        p = self.serve(
            config(
                server("keepalive_timeout 600s; return 200 x;"),
                main="worker_rlimit_nofile 4096;",
            )
        )
        (pid,) = p.workers()
        context = self.context()
        for _ in range(20):  # what is needed once is there
            self.open(p, context)
        time.sleep(0.3)
        before = self.private(pid)
        kept = [self.open(p, context) for _ in range(CONNECTIONS)]
        time.sleep(0.3)
        each = (self.private(pid) - before) / len(kept)
        print(f"\nTLS: {each:.0f} bytes a connection")
        self.assertLess(each, MOST)


if __name__ == "__main__":
    unittest.main()
