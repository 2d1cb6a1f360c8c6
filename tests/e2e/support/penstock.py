# SPDX-License-Identifier: BSD-2-Clause
"""The real program in a temporary prefix, for end-to-end tests.

    class ReturnTest(PenstockTestCase):
        def test_return(self):
            p = self.penstock("http { server { listen 127.0.0.1:@PORT@; } }")
            urllib.request.urlopen(p.url("/"))

In a configuration @PORT@, @PORT1@, @PORT2@, ... stand for free ports and
@PREFIX@ for the temporary directory.  A penstock is stopped when its test
ends: it must exit 0, write nothing to stdout, and neither its log nor its
stderr may hold a sanitizer's report.

The binary is the one the environment names in PENSTOCK.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

BINARY = os.environ.get("PENSTOCK", "build/gateway/penstock")
TERM = signal.SIGTERM
PATIENCE = 20  # seconds; sanitizers on a busy machine are slow

TROUBLE = re.compile(
    r"ERROR: AddressSanitizer|LeakSanitizer|runtime error:|"
    r"AddressSanitizer:DEADLYSIGNAL|broken promise|out of memory"
)


def free_port(family=socket.AF_INET, host="127.0.0.1"):
    with socket.socket(family, socket.SOCK_STREAM) as s:
        s.bind((host, 0))
        return s.getsockname()[1]


def wait_for(what, condition, patience=PATIENCE):
    """The first true value of condition(), or AssertionError."""
    deadline = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {patience} s for {what}")
        time.sleep(0.02)


class Penstock:
    def __init__(self, config, files=None, args=(), env=None, daemon=False):
        self.prefix = tempfile.mkdtemp(prefix="penstock-")
        os.chmod(self.prefix, 0o755)  # workers run as nobody
        for name in ("conf", "logs", "html"):
            os.mkdir(os.path.join(self.prefix, name))
        self.ports = {}
        self.args = list(args)
        self.env = {**os.environ, **(env or {})}
        self.daemon = daemon
        self.process = None
        for name, text in (files or {}).items():
            self.write(name, text)
        self.configure(config)

    def path(self, *names):
        return os.path.join(self.prefix, *names)

    def port(self, name="PORT"):
        if name not in self.ports:
            self.ports[name] = free_port()
        return self.ports[name]

    def url(self, path="/", name="PORT"):
        return f"http://127.0.0.1:{self.port(name)}{path}"

    def expand(self, text):
        text = text.replace("@PREFIX@", self.prefix)
        return re.sub(r"@(PORT\d*)@", lambda m: str(self.port(m[1])), text)

    def write(self, name, text):
        """A file in the prefix; text is expanded, bytes are not."""
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        data = text if isinstance(text, bytes) else self.expand(text).encode()
        with open(path, "wb") as f:
            f.write(data)
        return path

    def configure(self, config):
        self.config = config
        self.write("conf/penstock.conf", config)

    def command(self, *args):
        return [BINARY, "-p", self.prefix, *self.args, *args]

    def run(self, *args, timeout=PATIENCE):
        """Another invocation (-t, -s reload, ...) to its end."""
        return subprocess.run(
            self.command(*args),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.env,
            timeout=timeout,
        )

    def start(self):
        directives = "" if self.daemon else "daemon off;"
        if not re.search(r"^\s*error_log\b", self.config, re.M):
            directives += "error_log logs/error.log info;"
        with open(self.path("stdout"), "ab") as out, open(
            self.path("stderr"), "ab"
        ) as err:
            self.process = subprocess.Popen(
                self.command("-g", directives),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=self.env,
            )
        try:
            wait_for("the pid file", self.is_up)
            # The socket listens before; but tests look for workers.
            wait_for("a worker", lambda: self.is_up() and self.workers())
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        return self

    def is_up(self):
        if not self.daemon and self.process.poll() is not None:
            raise AssertionError(
                f"exited with {self.process.returncode} at start:\n"
                + self.stderr()
            )
        return self.pid()

    def pid(self):
        """What the pid file says, or None."""
        try:
            return int(self.read("logs/penstock.pid"))
        except (FileNotFoundError, ValueError):
            return None

    def workers(self):
        """The pids of the master's children that are workers."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/stat") as f:
                    parent = int(f.read().rpartition(")")[2].split()[1])
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    title = f.read()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if parent == self.pid() and b"worker process" in title:
                found.append(int(pid))
        return sorted(found)

    def signal(self, number):
        os.kill(self.pid(), number)

    def reload(self):
        """HUP, and wait until every worker has the new configuration."""
        before = self.log().count(": all workers run generation ")
        self.signal(signal.SIGHUP)
        wait_for(
            "the reload",
            lambda: self.log().count(": all workers run generation ") > before,
        )

    def read(self, name):
        with open(self.path(name), errors="replace") as f:
            return f.read()

    def log(self, name="logs/error.log"):
        try:
            return self.read(name)
        except FileNotFoundError:
            return ""

    def stderr(self):
        return self.log("stderr")

    def wait_for_log(self, text, name="logs/error.log"):
        wait_for(f"{text!r} in {name}", lambda: text in self.log(name))

    def stop(self, number=TERM):
        """End it, and raise AssertionError for whatever was not right."""
        if self.process is None:
            return
        process, self.process = self.process, None
        if self.daemon:
            pid = self.pid()
            if pid:
                os.kill(pid, number)
                wait_for("the end of the daemon", lambda: not self.pid())
            return self.check()
        if process.poll() is None:
            process.send_signal(number)
        try:
            code = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError("did not stop:\n" + self.log()) from None
        self.check()
        if code != 0:
            raise AssertionError(
                f"exited with {code}:\n{self.stderr()}{self.log()}"
            )

    def check(self):
        for name in ("stderr", "logs/error.log"):
            text = self.log(name)
            if TROUBLE.search(text):
                raise AssertionError(f"a sanitizer speaks in {name}:\n{text}")
        if self.log("stdout"):
            raise AssertionError("stdout: " + self.log("stdout"))

    def remove(self):
        shutil.rmtree(self.prefix, ignore_errors=True)


class PenstockTestCase(unittest.TestCase):
    def penstock(self, config, start=True, **how):
        p = Penstock(config, **how)
        self.addCleanup(p.remove)
        self.addCleanup(p.stop)
        return p.start() if start else p
