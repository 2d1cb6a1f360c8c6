# SPDX-License-Identifier: BSD-2-Clause
"""TLS towards clients and upstreams, from clients that are not ours."""

import asyncio
import hashlib
import http.client
import http.server
import os
import socket
import ssl
import subprocess
import threading
import time
import unittest
import urllib.parse

import websockets

from support import penstock
from support.certificates import Authority, openssl
from support.penstock import PenstockTestCase, wait_for

ECHO = os.path.join(
    os.path.dirname(penstock.BINARY), "..", "contrib", "examples", "example-echo"
)
BIG = bytes(i * 7 % 251 for i in range(3_000_000))
SHOW = (
    '"$scheme $https $ssl_protocol $ssl_server_name $ssl_session_reused '
    '$ssl_client_verify [$ssl_client_s_dn] $server_name\\n"'
)


def config(servers, extra="", main=""):
    return f"""
        user root;
        {main}
        events {{ }}
        http {{
            access_log logs/access.log;
            {extra}
            {servers}
        }}
    """


def server(body, listen="ssl", cert="a"):
    keys = (
        f"ssl_certificate {cert}.pem; ssl_certificate_key {cert}.key;"
        if cert
        else ""
    )
    return f"server {{ listen 127.0.0.1:@PORT@ {listen}; {keys} {body} }}\n"


def digest(data):
    return hashlib.sha256(data).hexdigest().encode()


class Upstream(http.server.BaseHTTPRequestHandler):
    """Says what it was sent, and how its TLS was."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        tls = self.connection
        text = "plain"
        if isinstance(tls, ssl.SSLSocket):
            peer = tls.getpeercert()
            name = dict(peer["subject"][-1])["commonName"] if peer else "-"
            text = (
                f"{tls.version()} {tls.asked_name} {name} {tls.session_reused}"
            )
        if self.path == "/cut":  # a body without length or close_notify
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\npart")
            socket.socket.shutdown(tls, socket.SHUT_RDWR)
            self.close_connection = True
            return
        self.answer(BIG if self.path == "/big" else text.encode())

    def do_POST(self):
        n = int(self.headers["Content-Length"])
        self.answer(digest(self.rfile.read(n)))

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class UpstreamServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    context = None
    connections = 0

    def get_request(self):
        s, address = super().get_request()
        self.connections += 1
        return s, address

    def finish_request(self, request, address):
        try:
            if self.context:
                request = self.context.wrap_socket(request, server_side=True)
            self.RequestHandlerClass(request, address, self)
        except (ssl.SSLError, OSError):
            pass
        finally:
            request.close()


class TlsTestCase(PenstockTestCase):
    @classmethod
    def setUpClass(cls):
        cls.ca = Authority()
        cls.addClassCleanup(cls.ca.remove)
        cls.ca.issue("a", "a.test").issue("b", "b.test")
        cls.ca.issue("rsa", "a.test", rsa=True).issue("user", "Some User")
        cls.other = Authority("Another CA").issue("stranger", "Stranger")
        cls.addClassCleanup(cls.other.remove)

    def upstream(self, context=None):
        """The port of a fresh server."""
        s = self.server = UpstreamServer(("127.0.0.1", 0), Upstream)
        s.context = context
        thread = threading.Thread(target=s.serve_forever, daemon=True)
        thread.start()
        self.addCleanup(s.server_close)
        self.addCleanup(s.shutdown)
        return s.server_port

    def serve(self, text, **how):
        files = {
            **self.ca.files("a", "b", "rsa", "user"),
            "conf/other.pem": self.other.read("ca.pem"),
            "html/big.bin": BIG,
            **how.pop("files", {}),
        }
        return self.penstock(text, files=files, **how)

    def context(self, client=None, ca=None, **options):
        c = ssl.create_default_context(cafile=(ca or self.ca).path("ca.pem"))
        c.check_hostname = options.pop("check", True)
        for name, value in options.items():
            setattr(c, name, value)
        if client:
            ca, label = client
            c.load_cert_chain(ca.path(label + ".pem"), ca.path(label + ".key"))
        return c

    def connect(self, p, name="a.test", context=None, port="PORT", session=None):
        raw = socket.create_connection(("127.0.0.1", p.port(port)), 10)
        try:
            tls = (context or self.context()).wrap_socket(
                raw, server_hostname=name, session=session
            )
        except BaseException:
            raw.close()
            raise
        self.addCleanup(tls.close)
        return tls

    def ask(self, tls, path="/", host="a.test", method="GET", body=None):
        c = http.client.HTTPConnection("unused")
        c.sock = tls
        c.request(method, path, body, {"Host": host, "Connection": "close"})
        r = c.getresponse()
        data = r.read()
        return r.status, data

    def all_of(self, tls):
        """A response up to the server's close_notify: a session that ended
        without one is not resumed."""
        tls.sendall(b"GET / HTTP/1.0\r\nHost: a.test\r\n\r\n")
        return b"".join(iter(lambda: tls.recv(65536), b""))

    def get(self, p, path="/", name="a.test", context=None, host=None):
        tls = self.connect(p, name, context)
        return self.ask(tls, path, host or name or "a.test")


class ServerTest(TlsTestCase):
    def test_variables_and_versions(self):
        p = self.serve(config(server(f"location / {{ return 200 {SHOW}; }}")))
        for version, name in (
            (ssl.TLSVersion.TLSv1_2, "TLSv1.2"),
            (ssl.TLSVersion.TLSv1_3, "TLSv1.3"),
        ):
            c = self.context(minimum_version=version, maximum_version=version)
            c.set_alpn_protocols(["h2", "http/1.1"])
            tls = self.connect(p, context=c)
            self.assertEqual(tls.selected_alpn_protocol(), "http/1.1")
            self.assertEqual(
                self.ask(tls),
                (200, f"https on {name} a.test . NONE [] \n".encode()),
            )

    def test_alpn_without_anything_of_ours_is_refused(self):
        p = self.serve(config(server("")))
        c = self.context()
        c.set_alpn_protocols(["spdy/3"])
        with self.assertRaises(ssl.SSLError) as e:
            self.connect(p, context=c)
        self.assertIn("NO_APPLICATION_PROTOCOL", str(e.exception).upper()
                      .replace(" ", "_"))  # fmt: skip

    def test_versions_that_are_off(self):
        p = self.serve(config(server("ssl_protocols TLSv1.2;")))
        with self.assertRaises(ssl.SSLError):
            self.connect(
                p, context=self.context(minimum_version=ssl.TLSVersion.TLSv1_3)
            )
        self.assertEqual(self.connect(p).version(), "TLSv1.2")
        p.wait_for_log("SSL_do_handshake() failed (SSL: ")

    def test_names_choose_certificates_and_settings(self):
        p = self.serve(
            config(
                server(f"server_name a.test; return 200 {SHOW};")
                + server(
                    f"server_name b.test; return 200 {SHOW};"
                    "ssl_protocols TLSv1.2;",
                    cert="b",
                )
                + server(
                    "server_name no.test; ssl_reject_handshake on;", cert=None
                )
            )
        )
        for name in ("a.test", "b.test"):
            tls = self.connect(p, name)
            sans = dict(tls.getpeercert()["subject"][1])
            self.assertEqual(sans["commonName"], name)
            self.assertIn(f" {name}\n".encode(), self.ask(tls, host=name)[1])
        self.assertEqual(self.connect(p, "b.test").version(), "TLSv1.2")
        with self.assertRaises(ssl.SSLError) as e:
            self.connect(p, "no.test")
        self.assertIn("UNRECOGNIZED_NAME", str(e.exception))

    def test_two_kinds_of_keys(self):
        p = self.serve(
            config(
                server("ssl_certificate rsa.pem; ssl_certificate_key rsa.key;")
            )
        )
        for signature, kind in (("ECDSA", "ECDSA"), ("RSA", "RSA")):
            c = self.context(maximum_version=ssl.TLSVersion.TLSv1_2)
            c.set_ciphers(f"ECDHE-{signature}-AES128-GCM-SHA256")
            self.assertIn(kind, self.connect(p, context=c).cipher()[0])

    def test_encrypted_key(self):
        openssl(
            "pkcs8", "-topk8", "-in", self.ca.path("b.key"), "-passout",
            "pass:second", "-out", self.ca.path("locked.key"),
        )  # fmt: skip
        files = {
            "conf/locked.pem": self.ca.read("b.pem"),
            "conf/locked.key": self.ca.read("locked.key"),
            "conf/words": "first\nsecond\n",
        }
        p = self.serve(
            config(server("ssl_password_file words;", cert="locked")),
            files=files,
        )
        self.connect(p, "b.test")

    def test_bodies_both_ways(self):
        p = self.serve(
            config(
                server(
                    "client_max_body_size 0;"
                    "location /up { proxy_pass http://127.0.0.1:%d/; }"
                    % self.upstream()
                )
            )
        )
        status, data = self.get(p, "/big.bin")
        self.assertEqual(status, 200)
        self.assertEqual(
            hashlib.sha256(data).digest(), hashlib.sha256(BIG).digest()
        )
        # A client that reads late: records wait for the socket.
        tls = self.connect(p)
        tls.sendall(b"GET /big.bin HTTP/1.0\r\nHost: a.test\r\n\r\n")
        time.sleep(0.5)
        got = b""
        while True:
            piece = tls.recv(65536)
            if not piece:
                break
            got += piece
        self.assertEqual(got.partition(b"\r\n\r\n")[2], BIG)
        status, data = self.ask(self.connect(p), "/up", method="POST", body=BIG)
        self.assertEqual((status, data), (200, digest(BIG)))

    def test_curl(self):
        p = self.serve(config(server("")))
        port = p.port()
        out = subprocess.run(
            [
                "curl", "-sS", "--cacert", self.ca.path("ca.pem"), "--resolve",
                f"a.test:{port}:127.0.0.1", "-o", "/dev/null",
                "-w", "%{http_code} %{size_download} %{num_connects}\n",
                f"https://a.test:{port}/big.bin",
                "-o", "/dev/null", f"https://a.test:{port}/big.bin",
            ],
            stdout=subprocess.PIPE, check=True, text=True, timeout=60,
        ).stdout  # fmt: skip
        self.assertEqual(out, f"200 {len(BIG)} 1\n200 {len(BIG)} 0\n")

    def test_plain_http_on_a_tls_port(self):
        p = self.serve(
            config(server("location / { return 200 x; }")),
        )
        with socket.create_connection(("127.0.0.1", p.port()), 10) as s:
            s.sendall(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
            data = b"".join(iter(lambda: s.recv(4096), b""))
        self.assertTrue(data.startswith(b"HTTP/1.1 400 "))
        self.assertIn(b"The plain HTTP request was sent to HTTPS port", data)

    def test_error_page_497(self):
        p = self.serve(
            config(server("error_page 497 =301 https://a.test$request_uri;"))
        )
        with socket.create_connection(("127.0.0.1", p.port()), 10) as s:
            s.sendall(b"GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n")
            data = b"".join(iter(lambda: s.recv(4096), b""))
        self.assertTrue(data.startswith(b"HTTP/1.1 301 "))
        self.assertIn(b"Location: https://a.test/x\r\n", data)

    def test_garbage_and_slow_handshakes(self):
        p = self.serve(config(server("client_header_timeout 1s;")))
        for garbage in (
            b"\x16\x03\x01\x00\x05hello", b"\x16" * 5000, b"\x80\x2e\x01\x00",
            b"\x16\x03\x01\xff\xff" + bytes(70000), b"\x00",
        ):  # fmt: skip
            with socket.create_connection(("127.0.0.1", p.port()), 10) as s:
                try:
                    s.sendall(garbage)
                    s.shutdown(socket.SHUT_WR)
                    while s.recv(4096):
                        pass
                except OSError:
                    pass  # reset, or reset before the shutdown
        begun = time.monotonic()
        with socket.create_connection(("127.0.0.1", p.port()), 10) as s:
            s.sendall(b"\x16\x03\x01")
            self.assertEqual(s.recv(1), b"")
        self.assertLess(time.monotonic() - begun, 8)
        self.assertEqual(self.get(p, "/big.bin")[0], 200)

    def test_handshake_in_single_bytes(self):
        p = self.serve(config(server(f"return 200 {SHOW};")))
        into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.context().wrap_bio(into, out, server_hostname="a.test")
        with socket.create_connection(("127.0.0.1", p.port()), 10) as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

            def send():
                for byte in out.read():
                    s.sendall(bytes([byte]))
                    time.sleep(0.0005)

            def until(action):
                while True:
                    try:
                        return action()
                    except ssl.SSLWantReadError:
                        send()
                        into.write(s.recv(65536))

            until(tls.do_handshake)
            # The request comes with the end of the handshake.
            tls.write(b"GET / HTTP/1.0\r\nHost: a.test\r\n\r\n")
            send()
            self.assertTrue(until(lambda: tls.read(100)).startswith(b"HTTP/1.1 200"))

    def test_half_closed_clients(self):
        p = self.serve(config(server(f"return 200 {SHOW};")))
        tls = self.connect(p)
        tls.sendall(b"GET / HTTP/1.0\r\nHost: a.test\r\n\r\n")
        self.assertIn(b"200 OK", tls.recv(4096))
        tls = self.connect(p)  # a FIN without close_notify
        tls.sendall(b"GET /big.bin HTTP/1.0\r\nHost: a.test\r\n\r\n")
        socket.socket.shutdown(tls, socket.SHUT_WR)
        self.assertIn(b"200 OK", tls.recv(4096))

    def test_close_notify_ends_a_response(self):
        p = self.serve(config(server(f"return 200 {SHOW};")))
        tls = self.connect(p, context=self.context())
        tls.suppress_ragged_eofs = False
        tls.sendall(b"GET / HTTP/1.0\r\nHost: a.test\r\n\r\n")
        while tls.recv(4096):
            pass  # SSLEOFError would come without one


class ClientCertificateTest(TlsTestCase):
    def test_verify_client(self):
        p = self.serve(
            config(
                server(
                    f"return 200 {SHOW}; ssl_verify_client on;"
                    "ssl_client_certificate ca.pem;"
                )
            )
        )
        good = self.context(client=(self.ca, "user"))
        self.assertEqual(
            self.get(p, context=good),
            (
                200,
                b"https on TLSv1.3 a.test . SUCCESS [CN=Some User,O=Penstock] \n",
            ),
        )
        status, body = self.get(p)
        self.assertEqual(status, 400)
        self.assertIn(b"No required SSL certificate was sent", body)
        status, body = self.get(p, context=self.context((self.other, "stranger")))
        self.assertEqual(status, 400)
        self.assertIn(b"The SSL certificate error", body)

    def test_variables(self):
        """$ssl_client_* and $ssl_*, against what openssl says"""
        names = (
            "s_dn i_dn s_dn_legacy i_dn_legacy serial fingerprint v_start"
            " v_end v_remain verify sigalg escaped_cert"
        ).split()
        text = "|".join(f"$ssl_client_{n}" for n in names)
        p = self.serve(
            config(
                server(
                    f"location / {{ return 200 '{text}'; }}"
                    "location /raw { return 200 '$ssl_client_raw_cert'; }"
                    "location /cert { return 200 '$ssl_client_cert'; }"
                    "location /own { return 200 '$ssl_sigalg|$ssl_curve|"
                    "$ssl_ciphers|$ssl_curves'; }"
                    "ssl_verify_client on; ssl_client_certificate ca.pem;"
                )
            )
        )
        good = self.context(client=(self.ca, "user"))

        def openssl_says(*args):
            text = openssl("x509", "-noout", "-in", self.ca.path("user.pem"),
                           *args).decode()  # fmt: skip
            return text.strip().partition("=")[2]

        got = dict(
            zip(names, self.get(p, context=good)[1].decode().split("|"))
        )
        pem = self.ca.read("user.pem").decode()
        self.assertIn(got.pop("v_remain"), ("29", "30"))
        self.assertEqual(
            got,
            {
                "s_dn": "CN=Some User,O=Penstock",
                "i_dn": "CN=Test CA",
                "s_dn_legacy": "/O=Penstock/CN=Some User",
                "i_dn_legacy": "/CN=Test CA",
                "serial": openssl_says("-serial"),
                "fingerprint": openssl_says("-fingerprint", "-sha1")
                .replace(":", "").lower(),
                "v_start": openssl_says("-startdate"),
                "v_end": openssl_says("-enddate"),
                "verify": "SUCCESS",
                "sigalg": "ecdsa_secp256r1_sha256",
                "escaped_cert": urllib.parse.quote(pem, safe="-._~"),
            },
        )
        self.assertEqual(self.get(p, "/raw", context=good)[1].decode(), pem)
        self.assertEqual(
            self.get(p, "/cert", context=good)[1].decode(),
            pem.rstrip("\n").replace("\n", "\n\t"),
        )
        sigalg, curve, ciphers, curves = (
            self.get(p, "/own", context=good)[1].decode().split("|")
        )
        self.assertEqual(sigalg, "ecdsa_secp256r1_sha256")
        self.assertEqual(curve, "X25519")
        self.assertIn("TLS_AES_256_GCM_SHA384", ciphers.split(":"))
        self.assertIn("prime256v1", curves.split(":"))

    def test_verify_client_optional(self):
        p = self.serve(
            config(
                server(
                    f"return 200 {SHOW}; ssl_verify_client optional_no_ca;"
                )
            )
        )
        stranger = self.context((self.other, "stranger"))
        self.assertIn(b" NONE ", self.get(p)[1])
        self.assertIn(b" FAILED:", self.get(p, context=stranger)[1])

    def test_another_server_does_not_inherit_a_certificate(self):
        """Neither by Host, nor by a session of a server without demands."""
        p = self.serve(
            config(
                server(f"server_name a.test; return 200 {SHOW};")
                + server(
                    f"server_name b.test; return 200 {SHOW};"
                    "ssl_verify_client on; ssl_client_certificate ca.pem;",
                    cert="b",
                )
            )
        )
        self.assertEqual(self.get(p, name="a.test", host="b.test")[0], 421)
        c = self.context()
        first = self.connect(p, "a.test", c)
        self.all_of(first)
        again = self.connect(p, "b.test", c, session=first.session)
        self.assertFalse(again.session_reused)
        self.assertEqual(self.ask(again, host="b.test")[0], 400)


class SessionTest(TlsTestCase):
    def reused(self, p, version, times=8):
        c = self.context(minimum_version=version, maximum_version=version)
        session, count = None, 0
        for _ in range(times):
            tls = self.connect(p, context=c, session=session)
            count += b" r " in self.all_of(tls)
            session = tls.session
        return count

    def test_resumption_across_workers_and_reloads(self):
        text = config(
            server(f"return 200 {SHOW};", listen="ssl reuseport"),
            main="worker_processes 2;",
        )
        p = self.serve(text)
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            self.assertEqual(self.reused(p, version), 7)
        c = self.context()
        tls = self.connect(p, context=c)
        self.all_of(tls)
        p.reload()
        again = self.connect(p, context=c, session=tls.session)
        self.assertTrue(again.session_reused)

    def test_without_tickets(self):
        p = self.serve(
            config(server(f"return 200 {SHOW}; ssl_session_tickets off;"))
        )
        self.assertEqual(self.reused(p, ssl.TLSVersion.TLSv1_2), 0)
        p = self.serve(
            config(
                server(
                    f"return 200 {SHOW}; ssl_session_tickets off;"
                    "ssl_session_cache shared:x:1m;"
                )
            )
        )
        self.assertEqual(self.reused(p, ssl.TLSVersion.TLSv1_2), 7)

    def test_ticket_key_file(self):
        for n, good in ((48, True), (80, True), (47, False)):
            p = self.serve(
                config(
                    server(f"return 200 {SHOW}; ssl_session_ticket_key key;")
                ),
                files={"conf/key": os.urandom(n)},
                start=False,
            )
            if good:
                p.start()
                self.assertEqual(self.reused(p, ssl.TLSVersion.TLSv1_3), 7)
            else:
                self.assertIn("must be 48 or 80 bytes", p.run("-t").stderr)


class ReloadTest(TlsTestCase):
    def test_a_changed_and_a_broken_certificate(self):
        p = self.serve(config(server(f"return 200 {SHOW};")))
        kept = self.connect(p)
        serial = self.connect(p).getpeercert()["serialNumber"]
        p.write("conf/a.pem", self.ca.read("rsa.pem"))
        p.write("conf/a.key", self.ca.read("rsa.key"))
        p.reload()
        changed = self.connect(p).getpeercert()["serialNumber"]
        self.assertNotEqual(serial, changed)
        self.assertEqual(self.ask(kept)[0], 200)

        p.write("conf/a.key", self.ca.read("b.key"))
        p.signal(penstock.signal.SIGHUP)
        p.wait_for_log('cannot load certificate key "')
        self.assertEqual(
            self.connect(p).getpeercert()["serialNumber"], changed
        )

    def test_refusals(self):
        for body, sentence in (
            ("ssl_certificate none.pem; ssl_certificate_key a.key;",
             'cannot load "'),
            ("ssl_certificate a.pem;",
             'no "ssl_certificate_key" is defined for certificate "'),
            ("ssl_certificate a.pem; ssl_certificate_key b.key;",
             'cannot load certificate key "'),
            ("ssl_certificate a.key; ssl_certificate_key a.key;",
             'cannot load certificate "'),
            ("", 'no "ssl_certificate" is defined for the "listen ... ssl"'),
            ("ssl_certificate a.pem; ssl_certificate_key a.key;"
             "ssl_ciphers nothing;", "SSL_CTX_set_cipher_list()"),
            ("ssl_verify_client on;", "no ssl_client_certificate for"),
            ("ssl_protocols SSLv3;", "invalid value"),
            ("ssl_trusted_certificate $host.pem;", "variables in"),
            ("ssl_certificate $ssl_server_name.pem;",
             'no "ssl_certificate_key" is defined for certificate "$ssl_'),
            ("ssl_certificate data:x; ssl_certificate_key a.key;",
             'cannot load certificate "data:...'),
            ("ssl_certificate_cache inactive=1s;", 'must have the "max"'),
            ("ssl_certificate a.pem; ssl_certificate_key a.key;"
             "ssl_stapling on; ssl_stapling_file a.pem;",
             "d2i_OCSP_RESPONSE_bio()"),
            ("ssl_conf_command Nonsense 1;", None),
            ("ssl_certificate a.pem; ssl_certificate_key a.key;"
             "ssl_conf_command Nonsense 1;", "SSL_CONF_cmd()"),
            ("ssl_session_cache shared:x:1k;", "is too small"),
            ("ssl_session_cache wrong;", "invalid session cache"),
            ("ssl_certificate a.pem; ssl_certificate_key a.key;"
             "ssl_dhparam a.pem;", "cannot load DH parameters"),
        ):  # fmt: skip
            with self.subTest(body):
                p = self.serve(config(server(body, cert=None)), start=False)
                result = p.run("-t")
                self.assertEqual(result.returncode, 1)
                if sentence:
                    self.assertIn(sentence, result.stderr)

    def test_a_dump_shows_no_key(self):
        p = self.serve(config(server("")), start=False)
        result = p.run("-T")
        self.assertEqual(result.returncode, 0)
        self.assertIn("ssl_certificate_key", result.stdout)
        self.assertNotIn("PRIVATE KEY", result.stdout)


class ProxyTest(TlsTestCase):
    def https(self, client_ca=None, **limits):
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        c.load_cert_chain(self.ca.path("a.pem"), self.ca.path("a.key"))
        c.sni_callback = lambda s, name, _: setattr(s, "asked_name", name)
        ssl.SSLSocket.asked_name = None
        if client_ca:
            c.load_verify_locations(client_ca.path("ca.pem"))
            c.verify_mode = ssl.CERT_REQUIRED
        for name, value in limits.items():
            setattr(c, name, value)
        return self.upstream(c)

    def proxy(self, port, directives="", target="https://127.0.0.1:%d/"):
        return self.serve(
            config(
                "server { listen 127.0.0.1:@PORT@; client_max_body_size 0;"
                f"location / {{ proxy_pass {target % port}; {directives} }} }}"
            )
        )

    def fetch(self, p, path="/", body=None, host="x.test"):
        c = http.client.HTTPConnection("127.0.0.1", p.port(), timeout=20)
        self.addCleanup(c.close)
        c.request("POST" if body else "GET", path, body, {"Host": host})
        r = c.getresponse()
        return r.status, r.read()

    def test_bodies_and_kept_connections(self):
        p = self.proxy(self.https())
        for _ in range(3):
            self.assertEqual(
                self.fetch(p), (200, b"TLSv1.3 None - False")
            )
        self.assertEqual(self.server.connections, 1)
        self.assertEqual(self.fetch(p, "/big"), (200, BIG))
        self.assertEqual(self.fetch(p, "/", BIG), (200, digest(BIG)))

    def test_names(self):
        p = self.proxy(
            self.https(),
            "proxy_ssl_server_name on; proxy_ssl_name $host;",
        )
        self.assertEqual(
            self.fetch(p, host="a.test"), (200, b"TLSv1.3 a.test - False")
        )
        # A connection for one name is not used for another.
        self.assertEqual(
            self.fetch(p, host="b.test"), (200, b"TLSv1.3 b.test - False")
        )

    def test_variables_in_the_url(self):
        p = self.proxy(
            self.https(), target="$arg_scheme://127.0.0.1:%d"
        )
        self.assertEqual(self.fetch(p, "/?scheme=https")[0], 200)
        self.assertEqual(self.fetch(p, "/?scheme=ftp")[0], 500)

    def test_verify(self):
        port = self.https()
        trusted = "proxy_ssl_verify on; proxy_ssl_trusted_certificate "
        for more, status in (
            ("ca.pem;", 200),  # by the address
            ("ca.pem; proxy_ssl_name a.test;", 200),
            ("ca.pem; proxy_ssl_name b.test;", 502),
            ("other.pem; proxy_ssl_name a.test;", 502),
        ):
            p = self.proxy(port, trusted + more)
            self.assertEqual(self.fetch(p)[0], status, more)
            if status == 502:
                p.wait_for_log("upstream SSL certificate verify error: (")
                p.wait_for_log("while SSL handshaking to upstream")
                p.wait_for_log('upstream: "https://')
        p = self.serve(
            config(
                "server { listen 127.0.0.1:@PORT@; location / {"
                "proxy_pass https://127.0.0.1:1; proxy_ssl_verify on; } }"
            ),
            start=False,
        )
        self.assertIn("no proxy_ssl_trusted_certificate", p.run("-t").stderr)

    def test_our_certificate(self):
        port = self.https(client_ca=self.ca)
        p = self.proxy(
            port,
            "proxy_ssl_certificate user.pem; proxy_ssl_certificate_key"
            " user.key;",
        )
        self.assertEqual(self.fetch(p), (200, b"TLSv1.3 None Some User False"))
        self.assertEqual(self.fetch(self.proxy(port))[0], 502)

    def test_protocols_and_session_reuse(self):
        for reuse, text in (("on", b"True"), ("off", b"False")):
            p = self.proxy(
                self.https(),
                "proxy_ssl_protocols TLSv1.2; proxy_set_header Connection"
                f" close; proxy_ssl_session_reuse {reuse};",
            )
            self.server.RequestHandlerClass = type(
                "Once", (Upstream,), {"protocol_version": "HTTP/1.0"}
            )
            self.assertEqual(self.fetch(p)[1], b"TLSv1.2 None - False")
            self.assertEqual(self.fetch(p)[1], b"TLSv1.2 None - " + text)

    def test_a_response_that_is_cut(self):
        p = self.proxy(self.https())
        with self.assertRaises(
            (http.client.IncompleteRead, ConnectionError)
        ):
            self.fetch(p, "/cut")

    def test_no_tls_there(self):
        p = self.proxy(self.upstream())
        self.assertEqual(self.fetch(p)[0], 502)
        p.wait_for_log("SSL_do_handshake() failed (SSL: ")

    def test_silence_there(self):
        with socket.create_server(("127.0.0.1", 0)) as s:
            p = self.proxy(s.getsockname()[1], "proxy_connect_timeout 300ms;")
            self.assertIn(self.fetch(p)[0], (502, 504))
            p.wait_for_log("upstream timed out (110: Connection timed out)")

    def test_a_post_is_tried_elsewhere_while_no_byte_of_it_left(self):
        plain = self.upstream()
        good = self.https()
        p = self.serve(
            config(
                "server { listen 127.0.0.1:@PORT@; location / {"
                "proxy_pass https://u; } }",
                extra=f"upstream u {{ server 127.0.0.1:{plain};"
                f"server 127.0.0.1:{good}; }}",
            )
        )
        for _ in range(2):
            self.assertEqual(self.fetch(p, "/", b"x"), (200, digest(b"x")))


class WebSocketTest(TlsTestCase):
    def test_echo(self):
        p = self.serve(
            config(
                server("location / { websocket_pass echo; }"),
                extra="backend echo { server unix:@PREFIX@/echo.sock; }"
                "log_format s '$ssl_protocol $scheme';"
                "access_log logs/session.log s;",
            ),
            start=False,
        )
        backend = subprocess.Popen([ECHO, p.path("echo.sock")])
        self.addCleanup(backend.wait)
        self.addCleanup(backend.terminate)
        wait_for("the backend", lambda: os.path.exists(p.path("echo.sock")))
        p.start()

        async def talk():
            async with websockets.connect(
                f"wss://a.test:{p.port()}/",
                ssl=self.context(),
                host="127.0.0.1",
                max_size=None,
            ) as ws:
                for message in ("hello", "x" * 300_000, b"\0" * 70_000, ""):
                    await ws.send(message)
                    self.assertEqual(await ws.recv(), message)

        asyncio.run(asyncio.wait_for(talk(), 60))
        p.wait_for_log("TLSv1.3 https", "logs/session.log")


if __name__ == "__main__":
    unittest.main()
