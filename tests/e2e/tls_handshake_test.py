# SPDX-License-Identifier: BSD-2-Clause
"""What a TLS handshake asks of several places: sessions in memory of all
workers, keys that change, early data, OCSP, certificates by name."""

import os
import re
import socket
import ssl
import subprocess
import threading
import time
import unittest

from support.certificates import openssl
from support.penstock import free_port, wait_for
from tls_test import SHOW, TlsTestCase, config, server

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


class HandshakeTestCase(TlsTestCase):
    def s_client(self, p, *args, name="a.test", ask=b"", relay=None):
        """What openssl s_client says."""
        port = relay.port if relay else p.port()
        return subprocess.run(
            [
                "openssl", "s_client", "-connect", f"127.0.0.1:{port}",
                "-servername", name, "-CAfile", self.ca.path("ca.pem"), *args,
            ],
            input=ask, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=20,
        ).stdout.decode(errors="replace")  # fmt: skip

    def common_name(self, tls):
        return dict(tls.getpeercert()["subject"][-1])["commonName"]


class SessionCacheTest(HandshakeTestCase):
    def resumes(self, p, version, times=6):
        c = self.context(minimum_version=version, maximum_version=version)
        session, count = None, 0
        for _ in range(times):
            tls = self.connect(p, context=c, session=session)
            count += b" r " in self.all_of(tls)
            session = tls.session
        return count, session, c

    def test_shared_by_workers_and_reloads(self):
        """ssl_session_cache shared:NAME:SIZE, ssl_session_tickets off"""
        p = self.serve(
            config(
                server(
                    f"return 200 {SHOW}; ssl_session_tickets off;"
                    "ssl_session_cache shared:x:1m;",
                    listen="ssl reuseport",
                ),
                main="worker_processes 2;",
            )
        )
        for version in (V12, V13):
            count, session, c = self.resumes(p, version)
            self.assertEqual(count, 5)
            p.reload()
            again = self.connect(p, context=c, session=session)
            self.assertTrue(again.session_reused, version)

    def test_a_small_cache_forgets_the_oldest(self):
        """ssl_session_cache shared: of the smallest size"""
        p = self.serve(
            config(
                server(
                    f"return 200 {SHOW}; ssl_session_tickets off;"
                    "ssl_session_cache builtin:10 shared:x:32k;"
                )
            )
        )
        c = self.context(maximum_version=V12)
        first = self.connect(p, context=c)
        self.all_of(first)
        for _ in range(150):
            last = self.connect(p, context=c)
            self.all_of(last)
        again = self.connect(p, context=c, session=first.session)
        self.assertFalse(again.session_reused)
        again = self.connect(p, context=c, session=last.session)
        self.assertTrue(again.session_reused)

    def test_none_off_and_builtin(self):
        """ssl_session_cache none | off | builtin"""
        for cache, count in (("none", 0), ("off", 0), ("builtin:100", 5)):
            p = self.serve(
                config(
                    server(
                        f"return 200 {SHOW}; ssl_session_tickets off;"
                        f"ssl_session_cache {cache};"
                    )
                )
            )
            self.assertEqual(self.resumes(p, V12)[0], count, cache)


class TicketTest(HandshakeTestCase):
    def key_name(self, p):
        """The first bytes of a fresh TLS 1.2 ticket."""
        path = p.path("session")
        self.s_client(p, "-tls1_2", "-sess_out", path)
        text = openssl("sess_id", "-in", path, "-noout", "-text").decode()
        return re.search(r"0000 - ([\da-f -]+?)   ", text)[1]

    def test_keys_change(self):
        """ssl_session_ticket_key is not set: the master makes new keys"""
        p = self.serve(
            config(
                server(
                    f"return 200 {SHOW}; ssl_session_timeout 1s;",
                    listen="ssl reuseport",
                ),
                main="worker_processes 2;",
            )
        )
        first = self.key_name(p)
        wait_for("another key", lambda: self.key_name(p) != first)

    def test_keys_are_the_same_meanwhile(self):
        p = self.serve(
            config(
                server(f"return 200 {SHOW};", listen="ssl reuseport"),
                main="worker_processes 2;",
            )
        )
        self.assertEqual(len({self.key_name(p) for _ in range(6)}), 1)

    def test_several_files(self):
        """ssl_session_ticket_key: the first encrypts, all decrypt"""
        keys = {f"conf/{n}.key80": os.urandom(80) for n in "12"}
        one = server(f"return 200 {SHOW}; ssl_session_ticket_key 1.key80;")
        p = self.serve(config(one), files=keys)
        self.assertEqual(
            self.key_name(p).replace("-", " ").split(),
            [f"{b:02x}" for b in keys["conf/1.key80"][:16]],
        )
        c = self.context(maximum_version=V12)
        tls = self.connect(p, context=c)
        self.all_of(tls)
        p.configure(
            config(
                server(
                    f"return 200 {SHOW}; ssl_session_ticket_key 2.key80;"
                    "ssl_session_ticket_key 1.key80;"
                )
            )
        )
        p.reload()
        again = self.connect(p, context=c, session=tls.session)
        self.assertTrue(again.session_reused)
        p.configure(
            config(
                server(f"return 200 {SHOW}; ssl_session_ticket_key 2.key80;")
            )
        )
        p.reload()
        again = self.connect(p, context=c, session=tls.session)
        self.assertFalse(again.session_reused)


class Relay:
    """Between a client and a server; what the client sends after its first
    flight waits until the server has said all that it has to say to that."""

    def __init__(self, test, port):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.to = ("127.0.0.1", port)
        self.port = self.listener.getsockname()[1]
        test.addCleanup(self.listener.close)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        try:
            while True:
                client = self.listener.accept()[0]
                with client, socket.create_connection(self.to) as server:
                    self.relay(client, server)
        except OSError:
            pass

    def relay(self, client, server):
        time.sleep(0.2)  # the first flight is several writes
        server.sendall(client.recv(65536))
        server.settimeout(0.7)
        try:
            while True:
                data = server.recv(65536)
                if not data:
                    return
                client.sendall(data)
        except TimeoutError:
            pass
        server.settimeout(20)
        back = threading.Thread(target=self.pump, args=(client, server))
        back.start()
        self.pump(server, client)
        back.join()

    @staticmethod
    def pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


class EarlyDataTest(HandshakeTestCase):
    def early(self, p, request, name="a.test", accepted=True):
        session, data = p.path("session"), p.write("request", request)
        self.s_client(
            p, "-tls1_3", "-ign_eof", "-sess_out", session, name=name,
            ask=b"GET /first HTTP/1.0\r\nHost: a.test\r\n\r\n",
        )  # fmt: skip
        return self.s_client(
            p, "-tls1_3", *(["-ign_eof"] if accepted else []), "-sess_in",
            session, "-early_data", data, name=name,
            relay=Relay(self, p.port()) if accepted else None,
        )  # fmt: skip

    def test_early_data(self):
        """ssl_early_data, $ssl_early_data, Early-Data and 425"""
        p = self.serve(
            config(
                server(
                    "server_name a.test; ssl_early_data on;"
                    "location / { return 200 'early=[$ssl_early_data]'; }"
                    "location /no { if ($ssl_early_data) { return 425; }"
                    " return 200 late; }"
                    "location /up { proxy_pass http://127.0.0.1:@PORT1@;"
                    " proxy_set_header Early-Data $ssl_early_data; }"
                    "client_max_body_size 0;"
                )
                + server("server_name b.test; return 200 "
                         "'early=[$ssl_early_data]';", cert="b")
                + "server { listen 127.0.0.1:@PORT1@; location / {"
                " return 200 'up=[$http_early_data]'; } }"
            )
        )
        head = b"%s HTTP/1.0\r\nHost: a.test\r\n\r\n"
        said = self.early(p, head % b"GET /")
        self.assertIn("Early data was accepted", said)
        self.assertIn("early=[1]", said)
        self.assertIn("HTTP/1.1 425", self.early(p, head % b"GET /no"))
        self.assertIn("up=[1]", self.early(p, head % b"GET /up"))
        # Without it nothing is early.
        status, body = self.get(p)
        self.assertEqual((status, body), (200, b"early=[]"))
        # A server that does not want it, on the same address.
        said = self.early(p, b"GET / HTTP/1.0\r\nHost: b.test\r\n\r\n", "b.test",
                          False)
        self.assertNotIn("Early data was accepted", said)

    def test_off(self):
        p = self.serve(config(server("return 200 x;")))
        said = self.early(p, b"GET / HTTP/1.0\r\n\r\n", accepted=False)
        self.assertNotIn("Early data was accepted", said)


class NamedCertificateTest(HandshakeTestCase):
    def test_variables(self):
        """ssl_certificate $ssl_server_name.pem, ssl_certificate_cache"""
        for cache in ("", "ssl_certificate_cache max=10 valid=1m;"):
            p = self.serve(
                config(
                    server(
                        f"return 200 {SHOW}; {cache}"
                        "ssl_certificate $name.pem;"
                        "ssl_certificate_key $name.key;",
                        cert=None,
                    ),
                    extra="map $ssl_server_name $name { ~^(?<n>[ab]).test$ $n;"
                    " default @PREFIX@/conf/missing; }",
                )
            )
            for name in ("a.test", "b.test", "a.test"):
                tls = self.connect(p, name)
                self.assertEqual(self.common_name(tls), name)
                self.assertEqual(self.ask(tls, host=name)[0], 200)
            with self.assertRaises(ssl.SSLError):
                self.connect(p, "c.test")
            p.wait_for_log('missing.pem": open() failed (2: No such file')
            # A changed file is seen at once, or when the cache says so.
            for suffix in ("pem", "key"):
                p.write(f"conf/a.{suffix}", self.ca.read(f"b.{suffix}"))
            tls = self.connect(p, "a.test", self.context(check=False))
            expected = "a.test" if cache else "b.test"
            self.assertEqual(self.common_name(tls), expected)

    def test_data(self):
        """ssl_certificate data:$variable"""
        text = {
            n: self.ca.read(n).decode() for n in ("a.pem", "a.key")
        }
        p = self.serve(
            config(
                server(
                    f"return 200 {SHOW}; ssl_certificate data:$pem;"
                    "ssl_certificate_key data:$key;",
                    cert=None,
                ),
                extra="map $ssl_server_name $pem { a.test '%s'; }"
                "map $ssl_server_name $key { a.test '%s'; }"
                % (text["a.pem"], text["a.key"]),
            )
        )
        self.assertEqual(self.common_name(self.connect(p)), "a.test")
        with self.assertRaises(ssl.SSLError):
            self.connect(p, "b.test")

    def test_sessions_stay_with_their_names(self):
        p = self.serve(
            config(
                server(
                    f"return 200 {SHOW}; ssl_certificate $ssl_server_name.pem;"
                    "ssl_certificate_key $ssl_server_name.key;",
                    cert=None,
                )
            ),
            files={
                f"conf/{n}.test.{s}": self.ca.read(f"{n}.{s}")
                for n in "ab" for s in ("pem", "key")
            },
        )
        for version in (V12, V13):
            c = self.context(minimum_version=version, maximum_version=version)
            tls = self.connect(p, "a.test", c)
            self.all_of(tls)
            again = self.connect(p, "a.test", c, session=tls.session)
            self.assertTrue(again.session_reused)

    def test_upstream_certificates(self):
        """proxy_ssl_certificate with variables"""
        p = self.serve(
            config(
                server("ssl_verify_client optional; ssl_client_certificate"
                       " ca.pem; return 200 '$ssl_client_s_dn';")
                + "server { listen 127.0.0.1:@PORT1@; location / {"
                " proxy_pass https://127.0.0.1:@PORT@;"
                " proxy_ssl_certificate $arg_c;"
                " proxy_ssl_certificate_key $arg_c.key;"
                " proxy_ssl_certificate_cache max=10; } }"
            ),
            files={
                "conf/user": self.ca.read("user.pem"),
                "conf/b": self.ca.read("b.pem"),
            },
        )

        def fetch(c):
            with socket.create_connection(("127.0.0.1", p.port("PORT1"))) as s:
                s.sendall(b"GET /?c=%s HTTP/1.0\r\n\r\n" % c)
                return b"".join(iter(lambda: s.recv(4096), b""))

        for _ in range(2):
            self.assertIn(b"CN=Some User", fetch(b"user"))
            self.assertIn(b"CN=b.test", fetch(b"b"))
        self.assertTrue(fetch(b"").endswith(b"\r\n\r\n"))
        self.assertIn(b" 500 ", fetch(b"none"))


class Responder:
    """openssl ocsp, or a socket that says nothing."""

    def __init__(self, test, status="V"):
        serial = openssl(
            "x509", "-noout", "-serial", "-in", test.ca.path("a.pem")
        ).decode().strip().partition("=")[2]  # fmt: skip
        revoked = "261101000000Z" if status == "R" else ""
        with open(test.ca.path("index.txt"), "w") as f:
            f.write(f"{status}\t391231235959Z\t{revoked}\t{serial}\tunknown\t"
                    "/O=Penstock/CN=a.test\n")  # fmt: skip
        self.port = free_port()
        self.args = [
            "openssl", "ocsp", "-index", test.ca.path("index.txt"),
            "-CA", test.ca.path("ca.pem"), "-rsigner", test.ca.path("ca.pem"),
            "-rkey", test.ca.path("ca.key"), "-ndays", "1",
        ]  # fmt: skip
        self.test = test

    def start(self):
        # It serves one connection after the other: no probing.
        process = subprocess.Popen(
            [*self.args, "-port", str(self.port)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.test.addCleanup(process.stdout.close)
        self.test.addCleanup(process.wait)
        self.test.addCleanup(process.terminate)
        self.test.assertIn(b"ACCEPT", process.stdout.readline())
        return self

    def der(self):
        path = self.test.ca.path("response")
        subprocess.run(
            [*self.args, "-issuer", self.test.ca.path("ca.pem"), "-cert",
             self.test.ca.path("a.pem"), "-respout", path],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        with open(path, "rb") as f:
            return f.read()


class StaplingTest(HandshakeTestCase):
    GOOD = "Cert Status: good"

    def staple(self, directives, **how):
        return self.serve(
            config(server(f"ssl_stapling on; {directives} return 200 x;")),
            **how,
        )

    def hear(self, listener):
        s = listener.accept()[0]
        self.addCleanup(s.close)
        return s.recv(4096)

    def test_file(self):
        """ssl_stapling_file"""
        p = self.staple(
            "ssl_stapling_file ocsp.der;",
            files={"conf/ocsp.der": Responder(self).der()},
        )
        self.assertIn(self.GOOD, self.s_client(p, "-status"))
        self.assertNotIn("OCSP", self.s_client(p))

    def test_fetched(self):
        """ssl_stapling_responder, ssl_stapling_verify"""
        r = Responder(self).start()
        p = self.staple(
            "ssl_trusted_certificate ca.pem; ssl_stapling_verify on;"
            f"ssl_stapling_responder http://127.0.0.1:{r.port}/;"
        )
        wait_for("a staple", lambda: self.GOOD in self.s_client(p, "-status"))

    def test_wrong_answers(self):
        """revoked, no issuer, an unknown signer, nobody there"""
        r = Responder(self, "R").start()
        p = self.staple(
            "ssl_trusted_certificate ca.pem;"
            f"ssl_stapling_responder http://127.0.0.1:{r.port}/;"
        )
        self.s_client(p, "-status")
        p.wait_for_log('certificate status "revoked" in the OCSP response')
        self.assertNotIn("Cert Status", self.s_client(p, "-status"))

        p = self.staple(
            "ssl_trusted_certificate ca.pem; ssl_stapling_responder"
            f" http://127.0.0.1:{free_port()}/;"
        )
        self.s_client(p, "-status")
        p.wait_for_log("connection to OCSP responder failed")

        p = self.staple("", start=False)
        self.assertIn(
            '"ssl_stapling" ignored, issuer certificate not found',
            p.run("-t").stderr,
        )
        p = self.staple("ssl_trusted_certificate ca.pem;", start=False)
        self.assertIn("no OCSP responder URL", p.run("-t").stderr)

    def test_a_silent_responder_delays_nobody(self):
        with socket.create_server(("127.0.0.1", 0)) as s:
            asked = []
            threading.Thread(
                target=lambda: asked.append(self.hear(s)),
                daemon=True,
            ).start()
            p = self.staple(
                "ssl_trusted_certificate ca.pem; ssl_stapling_responder"
                f" http://127.0.0.1:{s.getsockname()[1]}/x;"
            )
            begun = time.monotonic()
            for _ in range(3):
                self.assertNotIn("Cert Status", self.s_client(p, "-status"))
            self.assertLess(time.monotonic() - begun, 10)
            wait_for("the request", lambda: asked)
            self.assertRegex(asked[0], rb"^GET /x/M[\w%]+ HTTP/1.0\r\nHost: 127")
            # A reload in the middle of it, and the end.
            p.reload()
            self.s_client(p, "-status")


if __name__ == "__main__":
    unittest.main()
