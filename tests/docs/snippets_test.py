#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What the pages show is what works.

Every C block of README.md and of contrib/docs/backends.md compiles against
the public header; those with a main() link.  README's configuration is
conf/example.conf, and with README's backend as its bin/echo it echoes.  Every
link to a file of the tree leads somewhere.
"""

import base64
import glob
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests/e2e"))

from support.penstock import BINARY, PenstockTestCase, wait_for  # noqa: E402

CC = shlex.split(os.environ.get("CC", "cc"))
LIBRARY = os.environ.get("PENSTOCK_BACKEND_LIB",
                         os.path.join(ROOT, "build/src/backend/libpenstock_backend.a"))
FLAGS = ["-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Werror",
         "-Wno-unused-function", "-Wno-unused-parameter",
         "-Wno-unused-const-variable",
         "-I", os.path.join(ROOT, "include")]
PAGES = ["README.md"] + sorted(
    os.path.relpath(p, ROOT) for p in glob.glob(os.path.join(ROOT, "contrib/*.md"))
    + glob.glob(os.path.join(ROOT, "contrib/docs/*.md")))


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def blocks(page, language):
    """[(line, text)] of the fenced blocks of a language."""
    text = read(page)
    return [(text.count("\n", 0, m.start()) + 1, m[1]) for m in
            re.finditer(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)]


class SnippetsTest(PenstockTestCase):
    def compile(self, where, source, output):
        whole = "int main(" in source
        if not whole:  # a piece of a file that has these
            source = ("#include <penstock_backend.h>\n#include <stdio.h>\n"
                      "#include <stdlib.h>\n#include <string.h>\n" + source)
        args = [*CC, *FLAGS, "-x", "c", "-", "-o", output]
        args += ["-x", "none", LIBRARY] if whole else ["-c"]
        done = subprocess.run(args, input=source, capture_output=True,
                              text=True, timeout=120)
        self.assertEqual(done.returncode, 0, f"{where}:\n{done.stderr}")

    def test_c_blocks_compile(self):
        for page in ("README.md", "contrib/docs/backends.md"):
            found = blocks(page, "c")
            self.assertGreater(len(found), 0, f"no C in {page}")
            for line, source in found:
                with self.subTest(page=page, line=line), \
                        tempfile.TemporaryDirectory() as out:
                    self.compile(f"{page}:{line}", source, out + "/out")

    def test_the_readme_shows_the_example(self):
        self.assertIn(read("conf/example.conf"),
                      [text for _, text in blocks("README.md", "nginx")])

    def test_the_readmes_example_echoes(self):
        p = self.penstock(
            "error_log logs/error.log info;\n"
            + read("conf/example.conf").replace("listen 8080", "listen @PORT@")
            .replace("auto;", "1;"),
            start=False)
        os.mkdir(p.path("bin"))
        line, source = blocks("README.md", "c")[0]
        self.compile(f"README.md:{line}", source, p.path("bin/echo"))
        shutil.copy(os.path.join(ROOT, "conf/mime.types"), p.path("conf"))
        p.start()
        # The backend may not have called yet when the first client comes.
        answer = wait_for("the echo", lambda: self.echo(p.port(), b"hello"))
        self.assertEqual(answer, b"\x81\x05hello")

    def echo(self, port, text):
        """The frame that answers a text frame; b"" when there was no 101."""
        with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
            key = base64.b64encode(os.urandom(16)).decode()
            s.sendall(
                ("GET /echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                 "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                 f"Sec-WebSocket-Key: {key}\r\n\r\n").encode())
            f = s.makefile("rb")
            if b" 101 " not in f.readline():
                return b""
            while f.readline() != b"\r\n":
                pass
            mask = os.urandom(4)
            s.sendall(bytes([0x81, 0x80 | len(text)]) + mask +
                      bytes(b ^ mask[i % 4] for i, b in enumerate(text)))
            return f.read(2 + len(text))

    def test_links_lead_somewhere(self):
        for page in PAGES:
            for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", read(page)):
                path = os.path.join(ROOT, os.path.dirname(page), target)
                self.assertTrue(os.path.exists(path), f"{page}: {target}")

    def test_named_files_are_there(self):
        """What stands in backquotes and looks like a file of the tree."""
        name = re.compile(r"`((?:src|include|gateway|tests|conf|contrib)/[\w./-]+)`")
        for page in PAGES:
            for path in name.findall(read(page)):
                self.assertTrue(os.path.exists(os.path.join(ROOT, path)),
                                f"{page}: {path}")

    def test_what_is_said_to_be_missing_is_missing(self):
        page = read("contrib/nginx-compat.md")
        start = page.index("These families are missing:")
        listed = page[start:page.index("\n\nParts of", start)]
        reference = subprocess.run([BINARY, "--directives"], text=True,
                                   capture_output=True, check=True).stdout
        ours = set(re.findall(r"^([a-z0-9_]+)[ ;]", reference, re.M))
        for name in re.findall(r"`([a-z0-9_]+)(\*?)`", listed):
            if name[0] in ("least_conn", "server", "listen", "proxy_pass"):
                continue  # named to say what is around them
            there = [o for o in ours if o == name[0] or
                     (name[1] and o.startswith(name[0]))]
            self.assertEqual(there, [], "contrib/nginx-compat.md, 'Not there'")


if __name__ == "__main__":
    unittest.main()
