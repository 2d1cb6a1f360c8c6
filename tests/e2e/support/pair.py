# SPDX-License-Identifier: BSD-2-Clause
"""Two workers and two processes of one of the examples in C, so that clients
are anywhere: what is for many has to cross workers and backends."""

import os
import subprocess

from . import penstock
from .penstock import PenstockTestCase, wait_for

EXAMPLES = os.path.join(os.path.dirname(penstock.BINARY), "..", "contrib", "examples")
CONFIG = """
user root;
worker_processes 2;
events { }
http {
    access_log off;
    backend pair {
        server unix:@PREFIX@/a.sock;
        server unix:@PREFIX@/b.sock;
        round_robin;
        %s
    }
    server {
        listen 127.0.0.1:@PORT@ reuseport;
        location / { websocket_pass pair; }
        %s
    }
}
"""


class PairTestCase(PenstockTestCase):
    example = None  # the program's name
    backend = ""  # more of backend{}
    server = ""  # more of server{}

    def setUp(self):
        super().setUp()
        self.p = self.penstock(CONFIG % (self.backend, self.server), start=False)
        self.prepare()
        program = os.path.join(EXAMPLES, self.example)
        sockets = [self.p.path(name) for name in ("a.sock", "b.sock")]
        self.backends = []
        for path in sockets:
            process = subprocess.Popen([program, path])
            self.addCleanup(process.wait)
            self.addCleanup(process.kill)
            self.backends.append(process)
        for path in sockets:
            wait_for(path, lambda: os.path.exists(path))
        self.p.start()
        wait_for("four links", lambda: self.p.log().count("backend is ready") >= 4)

    def prepare(self):
        """Files that the configuration names."""
