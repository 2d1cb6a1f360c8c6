# SPDX-License-Identifier: BSD-2-Clause
"""Certificates for tests, made by the openssl program."""

import os
import shutil
import subprocess
import tempfile


def openssl(*args, **how):
    return subprocess.run(
        ["openssl", *args],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **how,
    ).stdout


class Authority:
    """An authority and what it signs, in a directory of its own."""

    def __init__(self, name="Test CA"):
        self.directory = tempfile.mkdtemp(prefix="penstock-ca-")
        openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
            "-subj", f"/CN={name}", "-keyout", self.path("ca.key"),
            "-out", self.path("ca.pem"),
        )  # fmt: skip

    def path(self, name):
        return os.path.join(self.directory, name)

    def read(self, name):
        with open(self.path(name), "rb") as f:
            return f.read()

    def issue(self, label, name, names=(), rsa=False):
        """label.pem and label.key for that common name."""
        kind = (
            ["rsa:2048"]
            if rsa
            else ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        )
        openssl(
            "req", "-newkey", *kind, "-nodes", "-subj", f"/O=Penstock/CN={name}",
            "-keyout", self.path(label + ".key"),
            "-out", self.path(label + ".csr"),
        )  # fmt: skip
        sans = [f"DNS:{n}" for n in (name, *names)] + ["IP:127.0.0.1"]
        with open(self.path("extensions"), "w") as f:
            f.write(f"subjectAltName={','.join(sans)}\n")
        openssl(
            "x509", "-req", "-in", self.path(label + ".csr"), "-days", "30",
            "-CA", self.path("ca.pem"), "-CAkey", self.path("ca.key"),
            "-CAcreateserial", "-extfile", self.path("extensions"),
            "-out", self.path(label + ".pem"),
        )  # fmt: skip
        return self

    def files(self, *labels):
        """For Penstock(files=...): certificates below conf/."""
        found = {"conf/ca.pem": self.read("ca.pem")}
        for label in labels:
            for suffix in (".pem", ".key"):
                found[f"conf/{label}{suffix}"] = self.read(label + suffix)
        return found

    def remove(self):
        shutil.rmtree(self.directory, ignore_errors=True)
