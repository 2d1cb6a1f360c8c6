# SPDX-License-Identifier: BSD-2-Clause
"""The real nginx beside a penstock: one configuration, the same answers.

    class StaticTest(CompareTestCase):
        def test_index(self):
            both = self.both("location / { }", files={"html/index.html": "x"})
            both.same("/")

The text given is the inside of one server{}.  Both serve the files of the
penstock's prefix.
"""

import http.client
import os
import re
import shutil
import socket
import subprocess
import tempfile
import unittest

from .penstock import PenstockTestCase, free_port, wait_for

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"

# Who we are, and when; nothing that a client acts on.
OURS = {"date", "server"}


class Nginx:
    def __init__(self, server, http, prefix):
        self.directory = tempfile.mkdtemp(prefix="nginx-")
        self.port = free_port()
        self.log_path = os.path.join(self.directory, "error.log")
        temp = "".join(
            f"{kind}_temp_path {self.directory}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        config = os.path.join(self.directory, "nginx.conf")
        with open(config, "w") as f:
            f.write(
                f"daemon off; pid {self.directory}/pid; worker_processes 1;\n"
                f"error_log {self.log_path};\nevents {{ }}\n"
                f"http {{ access_log off; {temp}\n{http}\n"
                f"server {{ listen 127.0.0.1:{self.port};\n"
                f"root {prefix}/html;\n{server}\n}} }}\n"
            )
        user = ["-g", "user root;"] if os.geteuid() == 0 else []
        self.process = subprocess.Popen(
            [NGINX, "-p", self.directory, "-c", config, "-e", self.log_path]
            + user,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        wait_for("nginx", self.is_up)

    def is_up(self):
        if self.process.poll() is not None:
            raise AssertionError(self.process.stderr.read().decode())
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
            return True
        except OSError:
            return False

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.process.stderr.close()
        shutil.rmtree(self.directory, ignore_errors=True)


class Answer:
    """A response as far as it must be the same."""

    def __init__(self, port, method, target, headers):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.putrequest(
            method, target, skip_host=True, skip_accept_encoding=True
        )
        for name, value in {"Host": "test.example", **headers}.items():
            connection.putheader(name, value)
        connection.endheaders()
        try:
            response = connection.getresponse()
        except http.client.RemoteDisconnected:
            self.status, self.headers, self.body = 0, [], b""
            return
        finally:
            pass
        self.status = response.status
        self.body = response.read()
        connection.close()
        boundary = re.search(
            "boundary=(.+)", response.getheader("Content-Type") or ""
        )
        own = self.is_own_page(response)
        self.headers = sorted(
            (name.lower(), self.plain(value, port, boundary))
            for name, value in response.getheaders()
            if name.lower() not in OURS
            and not (own and name.lower() == "content-length")
        )
        if boundary:
            self.body = self.body.replace(boundary[1].encode(), b"BOUNDARY")
        if own:
            self.body = b"built-in page"

    @staticmethod
    def is_own_page(response):
        """A page that the program makes itself may look as it likes."""
        return (
            response.status >= 300
            and response.status != 304
            and response.getheader("Content-Type") == "text/html"
        )

    @staticmethod
    def plain(value, port, boundary):
        value = value.replace(f":{port}", ":PORT")
        return value.replace(boundary[1], "BOUNDARY") if boundary else value

    def __repr__(self):
        lines = [f"{n}: {v}" for n, v in self.headers]
        return "\n".join([str(self.status), *lines, "", repr(self.body)])


class Both:
    def __init__(self, test, ours, nginx):
        self.test, self.ours, self.nginx = test, ours, nginx

    def same(self, target, method="GET", **headers):
        """Ask both; returns the answer, which must be nginx's."""
        headers = {n.replace("_", "-"): v for n, v in headers.items()}
        expected = Answer(self.nginx.port, method, target, headers)
        got = Answer(self.ours.port(), method, target, headers)
        self.test.assertEqual(
            repr(expected), repr(got), f"{method} {target} {headers}"
        )
        return got


@unittest.skipUnless(os.path.exists(NGINX), "nginx is not installed")
class CompareTestCase(PenstockTestCase):
    maxDiff = None

    def both(self, server, http="", files=None):
        config = (
            "error_log logs/error.log info; pid logs/penstock.pid;\n"
            "events { }\nhttp { access_log off;\n%s\n"
            "server { listen 127.0.0.1:@PORT@; root @PREFIX@/html;\n%s\n} }\n"
        )
        ours = self.penstock(config % (http, server), start=False, files=files)
        for name in files or {}:
            os.utime(ours.path(name), (1000000000, 1000000000))
        ours.start()
        nginx = Nginx(ours.expand(server), ours.expand(http), ours.prefix)
        self.addCleanup(nginx.stop)
        return Both(self, ours, nginx)
