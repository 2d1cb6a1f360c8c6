# SPDX-License-Identifier: BSD-2-Clause
"""What an operator can say about handshakes: algorithms, chains, lists of
revoked certificates, names, pages for what went wrong."""

import ssl
import subprocess
import unittest
import urllib.error
import urllib.request

from support.certificates import openssl
from tls_test import SHOW, TlsTestCase, config, server

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


class AlgorithmTest(TlsTestCase):
    def test_curves(self):
        """ssl_ecdh_curve"""
        p = self.serve(
            config(
                server("ssl_ecdh_curve secp384r1:prime256v1;"
                       "return 200 '$ssl_curve';")
            )
        )  # fmt: skip
        self.assertEqual(self.get(p), (200, b"secp384r1"))
        c = self.context()
        c.set_ecdh_curve("prime256v1")
        self.assertEqual(self.get(p, context=c), (200, b"prime256v1"))
        c.set_ecdh_curve("secp521r1")
        with self.assertRaises(ssl.SSLError):
            self.connect(p, context=c)

    def test_dhparam(self):
        """ssl_dhparam"""
        files = {
            "conf/dh.pem": subprocess.run(
                ["openssl", "genpkey", "-genparam", "-algorithm", "DH",
                 "-pkeyopt", "group:ffdhe2048"], check=True,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout,
        }  # fmt: skip
        c = self.context(maximum_version=V12)
        c.set_ciphers("DHE-RSA-AES128-GCM-SHA256")
        body = "ssl_ciphers ALL; return 200 '$ssl_cipher';"
        p = self.serve(
            config(server("ssl_dhparam dh.pem;" + body, cert="rsa")), files=files
        )
        self.assertEqual(
            self.get(p, context=c), (200, b"DHE-RSA-AES128-GCM-SHA256")
        )
        p = self.serve(config(server(body, cert="rsa")))
        with self.assertRaises(ssl.SSLError):
            self.connect(p, context=c)

    def test_ciphers_and_commands(self):
        """ssl_ciphers, ssl_prefer_server_ciphers, ssl_conf_command"""
        text = "return 200 '$ssl_cipher';"
        p = self.serve(
            config(
                server(
                    "ssl_conf_command Ciphersuites TLS_CHACHA20_POLY1305_SHA256;"
                    "ssl_ciphers ECDHE-ECDSA-AES256-GCM-SHA384:"
                    "ECDHE-ECDSA-AES128-GCM-SHA256;"
                    "ssl_conf_command Options PrioritizeChaCha;"
                    "ssl_prefer_server_ciphers on;" + text
                )
            )
        )
        self.assertEqual(
            self.get(p), (200, b"TLS_CHACHA20_POLY1305_SHA256")
        )
        c = self.context(maximum_version=V12)
        c.set_ciphers(
            "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"
        )
        self.assertEqual(
            self.get(p, context=c), (200, b"ECDHE-ECDSA-AES256-GCM-SHA384")
        )
        c.set_ciphers("ECDHE-ECDSA-CHACHA20-POLY1305")
        with self.assertRaises(ssl.SSLError):
            self.connect(p, context=c)

    def test_buffer_size(self):
        """ssl_buffer_size: a record is no larger"""
        p = self.serve(config(server("ssl_buffer_size 1k;")))
        tls = self.connect(p)
        tls.sendall(b"GET /big.bin HTTP/1.0\r\nHost: a.test\r\n\r\n")
        self.assertLessEqual(len(tls.recv(65536)), 1024)
        self.assertLessEqual(len(tls.recv(65536)), 1024)


class NameTest(TlsTestCase):
    def test_kinds_of_names(self):
        """server_name: exact, wildcards, regex, default"""
        names = ("exact.x.test", "*.x.test", ".y.test", "www.z.*", "~^r\\d+\\.")
        p = self.serve(
            config(
                server("return 200 default;")
                + "".join(
                    server(f"server_name {n}; return 200 '{i}';", cert="b")
                    for i, n in enumerate(names)
                )
            )
        )
        c = self.context(check=False)
        for name, answer in (
            ("exact.x.test", b"0"), ("other.x.test", b"1"), ("a.b.x.test", b"1"),
            ("y.test", b"2"), ("a.y.test", b"2"), ("www.z.test", b"3"),
            ("r12.test", b"4"), ("R12.TEST", b"4"), ("rx.test", b"default"),
            ("x.test", b"default"), ("a.test.", b"default"),
        ):  # fmt: skip
            tls = self.connect(p, name, c)
            shown = dict(
                tls.getpeercert()["subject"][-1]
            )["commonName"]
            self.assertEqual(shown, "a.test" if answer == b"default" else "b.test")
            self.assertEqual(self.ask(tls, host=name), (200, answer), name)


    def test_debug_lines(self):
        """error_log ... debug, and a handshake that fails"""
        p = self.serve(
            config(
                server("return 200 x;"),
                main="\nerror_log logs/error.log debug;",
            )
        )
        self.get(p)
        p.wait_for_log('SSL server name: "a.test" while SSL handshaking, client:')
        c = self.context(maximum_version=V12)
        c.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
        with self.assertRaises(ssl.SSLError):
            self.connect(p, context=c)
        p.wait_for_log("no shared cipher) while SSL handshaking, client:")


class ChainTest(TlsTestCase):
    """root -> one -> two -> leaf, and revoked.pem of one's."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for label, issuer in (("one", "ca"), ("two", "one")):
            cls.sign(label, f"/CN={label}", issuer, "basicConstraints=CA:TRUE\n")
        for label, issuer in (
            ("by-ca", "ca"), ("by-one", "one"), ("by-two", "two"),
        ):  # fmt: skip
            cls.sign(label, f"/CN={label}", issuer, "basicConstraints=CA:FALSE\n")
        read = cls.ca.read
        cls.write("by-one.chain", read("by-one.pem") + read("one.pem"))
        cls.write("by-two.chain",
                  read("by-two.pem") + read("two.pem") + read("one.pem"))  # fmt: skip
        cls.write("by-ca.chain", read("by-ca.pem"))

    @classmethod
    def write(cls, name, data):
        with open(cls.ca.path(name), "wb") as f:
            f.write(data)

    @classmethod
    def sign(cls, label, subject, issuer, extensions):
        path = cls.ca.path
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-subj", subject, "-keyout", path(label + ".key"),
                "-out", path(label + ".csr"))  # fmt: skip
        cls.write("extensions", extensions.encode())
        openssl("x509", "-req", "-in", path(label + ".csr"), "-days", "30",
                "-CA", path(issuer + ".pem"), "-CAkey", path(issuer + ".key"),
                "-CAcreateserial", "-extfile", path("extensions"),
                "-out", path(label + ".pem"))  # fmt: skip

    @classmethod
    def crl(cls, issuer, *revoked):
        """A list of that issuer, as PEM."""
        path = cls.ca.path
        cls.write("ca.conf", (
            "[ca]\ndefault_ca=x\n[x]\ndatabase=%s\ndefault_md=sha256\n"
            "default_crl_days=30\n" % path(issuer + ".db")).encode())  # fmt: skip
        cls.write(issuer + ".db", b"")
        common = ("-config", path("ca.conf"), "-cert", path(issuer + ".pem"),
                  "-keyfile", path(issuer + ".key"))  # fmt: skip
        for label in revoked:
            openssl("ca", *common, "-revoke", path(label + ".pem"))
        openssl("ca", *common, "-gencrl", "-out", path(issuer + ".crl"))
        return cls.ca.read(issuer + ".crl")

    def client(self, label):
        c = self.context(check=False)
        c.load_cert_chain(
            self.ca.path(label + ".chain"), self.ca.path(label + ".key")
        )
        return c

    def test_depth(self):
        """ssl_verify_depth"""
        for depth, good in (
            ("", {"by-ca", "by-one"}), ("ssl_verify_depth 0;", {"by-ca"}),
            ("ssl_verify_depth 2;", {"by-ca", "by-one", "by-two"}),
        ):  # fmt: skip
            p = self.serve(
                config(
                    server(
                        f"ssl_verify_client on; {depth} ssl_client_certificate"
                        " ca.pem; error_page 495 =495 /wrong; error_page 496"
                        " =496 /none; location / { return 200"
                        " $ssl_client_verify; } location = /wrong { return 200"
                        " 'wrong: $ssl_client_verify'; }"
                    )
                )
            )
            for label in ("by-ca", "by-one", "by-two"):
                status, body = self.get(p, context=self.client(label))
                with self.subTest(depth, label=label):
                    if label in good:
                        self.assertEqual((status, body), (200, b"SUCCESS"))
                    else:
                        self.assertIn(b"wrong: FAILED:", body)
            self.assertEqual(self.get(p)[0], 496)
            p.wait_for_log("client sent no required SSL certificate")

    def test_crl(self):
        """ssl_crl, proxy_ssl_crl"""
        lists = self.crl("ca", "by-ca") + self.crl("one") + self.crl("two")
        p = self.serve(
            config(
                server(
                    "ssl_verify_client optional; ssl_client_certificate ca.pem;"
                    "ssl_verify_depth 3; ssl_crl lists.pem;"
                    "error_page 495 =200 /wrong; location / {"
                    " return 200 $ssl_client_verify; }",
                    cert="by-ca",
                )
                + "server { listen 127.0.0.1:@PORT1@; location / {"
                "proxy_pass https://127.0.0.1:@PORT@; proxy_ssl_verify on;"
                "proxy_ssl_trusted_certificate ca.pem; proxy_ssl_name by-ca;"
                "proxy_ssl_crl lists.pem; } location /any {"
                "proxy_pass https://127.0.0.1:@PORT@/; proxy_ssl_verify on;"
                "proxy_ssl_trusted_certificate ca.pem; proxy_ssl_name by-ca; } }"
            ),
            files={
                "conf/lists.pem": lists,
                "conf/by-ca.pem": self.ca.read("by-ca.pem"),
                "conf/by-ca.key": self.ca.read("by-ca.key"),
            },
        )
        self.assertEqual(
            self.get(p, context=self.client("by-ca")),
            (200, b"FAILED:certificate revoked"),
        )
        self.assertEqual(
            self.get(p, context=self.client("by-two")), (200, b"SUCCESS")
        )
        self.assertEqual(self.get(p, context=self.context(check=False))[1], b"NONE")
        p.wait_for_log("certificate revoked")

        with self.assertRaises(urllib.error.HTTPError) as e:
            urllib.request.urlopen(p.url("/", "PORT1"), timeout=20)
        e.exception.close()
        self.assertEqual(e.exception.code, 502)
        p.wait_for_log(
            "upstream SSL certificate verify error: (23:certificate revoked)"
        )
        with urllib.request.urlopen(p.url("/any", "PORT1"), timeout=20) as r:
            self.assertEqual(r.read(), b"NONE")

    def test_refusals(self):
        for body, sentence in (
            ("ssl_crl ca.pem; ssl_client_certificate ca.pem;",
             "X509_STORE_add_crl()"),
            ("ssl_crl ca.pem;", "no ssl_client_certificate for ssl_crl"),
            ("ssl_ecdh_curve nonsense;", "SSL_CTX_set1_curves_list()"),
            ("ssl_verify_depth 1000;", "value must be"),
            ("ssl_buffer_size 64k;", "value must be"),
        ):  # fmt: skip
            with self.subTest(body):
                p = self.serve(config(server(body)), start=False)
                result = p.run("-t")
                self.assertEqual(result.returncode, 1, body)
                self.assertIn(sentence, result.stderr)


if __name__ == "__main__":
    unittest.main()
