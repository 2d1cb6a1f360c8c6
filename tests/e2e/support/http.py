# SPDX-License-Identifier: BSD-2-Clause
"""A server that is asked byte by byte."""

from support.penstock import PenstockTestCase
from support.raw import Origin, Raw

CONFIG = """
pid logs/penstock.pid;
events { }
http {
    access_log logs/access.log;
    %s
    server { listen 127.0.0.1:@PORT@; root @PREFIX@/html; %s }
}
"""

REST = "location / { return 200 'uri $uri\\n'; }"
GET = "GET %s HTTP/1.1\r\nHost: x\r\n\r\n"


class HttpTestCase(PenstockTestCase):
    def serve(self, server=REST, http="", **how):
        return self.penstock(CONFIG % (http, server), **how)

    def client(self, p, **how):
        s = Raw(p.port(), **how)
        self.addCleanup(s.close)
        return s

    def origin(self, respond, **how):
        o = Origin(respond, **how)
        self.addCleanup(o.stop)
        return o
