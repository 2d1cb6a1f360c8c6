# SPDX-License-Identifier: BSD-2-Clause
"""A gateway before origins of our own."""

from support.http import HttpTestCase
from support.nginx import CompareTestCase
from support.raw import Origin


def show(peer):
    """Answers with what was asked."""
    m = peer.request
    lines = [m.start, *sorted(f"{n.lower()}: {v}" for n, v in m.fields), ""]
    peer.reply("\n".join(lines) + m.text, "X-Origin: yes", "Content-Type: text/plain")


def echo(peer):
    peer.reply(peer.request.body)


def named(name):
    return lambda peer: peer.reply(name)


class ProxyTestCase(HttpTestCase):
    def before(self, *origins, server="", location="", settings="", how="", http=""):
        """A penstock before an upstream{} of these."""
        servers = "".join(
            f"server 127.0.0.1:{o if isinstance(o, int) else o.port} {how};"
            for o in origins
        )
        return self.serve(
            f"{server} location / {{ proxy_pass http://app; {location} }}",
            http=http + f"upstream app {{ {servers} {settings} }}",
        )


class CompareProxyTestCase(CompareTestCase):
    """The same before nginx and before ours; ORIGIN is where it is."""

    def both_before(self, respond, server, http=""):
        o = Origin(respond)
        self.addCleanup(o.stop)
        self.origin = o
        return self.both(
            server.replace("ORIGIN", f"127.0.0.1:{o.port}"),
            http.replace("ORIGIN", f"127.0.0.1:{o.port}"),
        )
