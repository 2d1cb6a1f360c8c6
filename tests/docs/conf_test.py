#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`penstock -t` over every configuration that ships or that is a test.

conf/*.conf and tests/conf/good/*.conf must be accepted without a warning;
each of tests/conf/bad/*.conf must be refused with the sentence of its first
comment.  Ports are replaced by free ones, everything else is as it stands.
"""

import glob
import os
import re
import socket
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PENSTOCK = os.environ.get("PENSTOCK", os.path.join(ROOT, "build/gateway/penstock"))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test(path, prefix):
    return subprocess.run(
        [PENSTOCK, "-t", "-e", "stderr", "-p", prefix, "-c", path],
        capture_output=True, text=True, timeout=60)


def refused(path, prefix):
    """What is wrong with the answer to a bad file; None: nothing."""
    with open(path, encoding="utf-8", errors="replace") as f:
        expected = f.readline()[1:].strip()
    got = test(path, prefix)
    first = got.stderr.split("\n", 1)[0]
    first = first.replace("penstock: [emerg] ", "", 1)
    first = first.replace(os.path.dirname(path) + "/", "")
    if got.returncode != 1:
        return f"exit status {got.returncode}, expected 1: {first}"
    if first != expected:
        return f"\n  got      {first}\n  expected {expected}"
    return None


def accepted(path, prefix):
    # Beside it are the files that it includes.
    copy = os.path.join(prefix, "conf", os.path.basename(path))
    with open(path, encoding="utf-8") as f:
        text = f.read()
    ports = {}

    def port(m):
        return m[1] + ports.setdefault(m[2], str(free_port())) + m[3]

    text = re.sub(r"(\blisten (?:[\d.]+:)?)(\d+)([ ;])", port, text)
    if os.geteuid() != 0:
        text = re.sub(r"^user .*\n", "", text, flags=re.M)
    with open(copy, "w", encoding="utf-8") as f:
        f.write(text)
    got = test(copy, prefix)
    if got.returncode != 0 or "[" in got.stderr:
        return f"exit status {got.returncode}: {got.stderr.strip()}"
    return None


def main():
    groups = [
        ("conf/*.conf", accepted),
        ("tests/conf/good/*.conf", accepted),
        ("tests/conf/bad/*.conf", refused),
    ]
    failed = 0
    with tempfile.TemporaryDirectory(prefix="penstock-conf-") as prefix:
        for name in ("conf", "logs", "build/quickstart/logs"):
            os.makedirs(os.path.join(prefix, name))
        mime = os.path.join(prefix, "conf/mime.types")
        os.symlink(os.path.join(ROOT, "conf/mime.types"), mime)
        for pattern, check in groups:
            paths = sorted(glob.glob(os.path.join(ROOT, pattern)))
            if not paths:
                print(f"{pattern}: there is none")
                failed += 1
            for path in paths:
                trouble = check(path, prefix)
                if trouble:
                    print(f"{os.path.relpath(path, ROOT)}: {trouble}")
                    failed += 1
            print(f"{pattern}: {len(paths)} files")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
