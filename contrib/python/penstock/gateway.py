# SPDX-License-Identifier: BSD-2-Clause
"""The private gateway: the penstock program as a child of ours, in front of
one Backend that was told to listen.  The port is bound here, so that errors
and port 0 are those of bind(), and inherited there."""

import asyncio
import ipaddress
import os
import resource
import shutil
import signal
import socket
import tempfile
import time
import weakref

PREFIX = "penstock-python-"
START_SECONDS = 20
END_SECONDS = 5  # from SIGTERM to SIGKILL
STDERR_KEPT = 4096
PLACES = ("/usr/local/sbin/penstock", "/usr/sbin/penstock",
          "/usr/local/penstock/sbin/penstock")


def find_binary():
    """PENSTOCK_BIN, then PATH, then where it is installed."""
    named = os.environ.get("PENSTOCK_BIN")
    if named:
        found = shutil.which(os.path.abspath(named))
        if found is None:
            raise FileNotFoundError(f"PENSTOCK_BIN: {named} is no program")
        return found
    for place in ("penstock", *PLACES):
        found = shutil.which(place)
        if found:
            return found
    raise FileNotFoundError("there is no penstock program in PATH: listening "
                            "needs one (PENSTOCK_BIN names it)")


def _quoted(value):
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return '"%s"' % text.replace("$", "${dollar}")


def _sweep():
    """What processes left that were killed: nobody answers at their
    sockets."""
    for entry in os.scandir(tempfile.gettempdir()):
        try:
            info = entry.stat(follow_symlinks=False)
            if not entry.name.startswith(PREFIX) or not entry.is_dir() \
                    or info.st_uid != os.getuid() \
                    or time.time() - info.st_mtime < 60:
                continue
            with socket.socket(socket.AF_UNIX) as probe:
                probe.setblocking(False)
                probe.connect(os.path.join(entry.path, "b.sock"))
        except (ConnectionRefusedError, FileNotFoundError):
            shutil.rmtree(entry.path, True)
        except OSError:
            pass


class Gateway:
    """workers: its processes.  deflate: permessage-deflate.  max_message:
    bytes.  versions: of the protocol; default those of the apps, or all.
    ssl_certificate, ssl_certificate_key: files.  http, server: lines of
    configuration for these blocks."""

    def __init__(self, host, port, apps, *, workers=1, deflate=False,
                 max_message="100m", versions=(), origin="any",
                 ssl_certificate=None, ssl_certificate_key=None, backlog=511,
                 log_level="error", http="", server=""):
        self.host, self.port = host or "0.0.0.0", port
        self.workers, self.deflate = workers, deflate
        self.max_message, self.origin = max_message, origin
        self.versions = list(versions) or _versions_of(apps)
        if bool(ssl_certificate) != bool(ssl_certificate_key):
            raise ValueError("TLS needs a certificate and its key")
        self.certificate, self.key = ssl_certificate, ssl_certificate_key
        self.backlog, self.log_level = backlog, log_level
        self.http, self.server = http, server
        self.binary = find_binary()
        self._dir = self._process = self._life = self._socket = None
        self._stderr = b""
        self._reader = None
        self._remove = lambda: None

    def prepare(self):
        """Bind; returns the path where the backend is to listen."""
        family = socket.AF_INET
        try:
            if ipaddress.ip_address(self.host).version == 6:
                family = socket.AF_INET6
        except ValueError:
            info = socket.getaddrinfo(self.host, self.port,
                                      type=socket.SOCK_STREAM)[0]
            family, self.host = info[0], info[4][0]
        sock = self._socket = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            sock.bind((self.host, self.port))
            sock.listen(self.backlog)
            sock.setblocking(False)
        except OSError:
            sock.close()
            raise
        self.port = sock.getsockname()[1]
        _sweep()
        self._dir = tempfile.mkdtemp(prefix=PREFIX)
        self._remove = weakref.finalize(self, shutil.rmtree, self._dir, True)
        return os.path.join(self._dir, "b.sock")

    def _write(self, listening):
        with open(os.path.join(self._dir, "penstock.conf"), "w") as f:
            f.write(self._configuration(listening))

    def _configuration(self, listening):
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if files == resource.RLIM_INFINITY:
            files = 65536
        host = f"[{self.host}]" if ":" in self.host else self.host
        listen = "" if not listening else f"""
    server {{
        listen {host}:{self.port}{" ssl" if self.certificate else ""};
        {self._tls()}
        location / {{ websocket_pass b; backend_pass b; }}
        {self.server}
    }}"""
        return f"""{"user root;" if os.getuid() == 0 else ""}
worker_processes {self.workers};
daemon off;
pid {_quoted(os.path.join(self._dir, "pid"))};
error_log stderr {self.log_level};
events {{ worker_connections {max(16, min(65536, files - 64))}; }}
http {{
    access_log off;
    client_max_body_size 0;
    backend_read_timeout 24h;
    websocket_origin {self.origin};
    websocket_versions {" ".join(map(str, self.versions))};
    websocket_max_message {self.max_message};
    websocket_idle_timeout 0;
    websocket_deflate {"on" if self.deflate else "off"};
    {self.http}
    backend b {{
        server unix:{self._dir}/b.sock;
        on_backend_loss close 1012;
        accept_timeout 24h;
        allow_raw on;
    }}{listen}
}}
"""

    def _tls(self):
        if not self.certificate:
            return ""
        return (f"ssl_certificate {_quoted(os.path.abspath(self.certificate))};"
                f"ssl_certificate_key {_quoted(os.path.abspath(self.key))};")

    async def start(self, ready):
        """Until its workers have found the backend."""
        self._write(True)
        theirs, self._life = os.pipe()
        env = {k: v for k, v in os.environ.items()
               if k not in ("LISTEN_FDS", "LISTEN_PID", "PENSTOCK_SOCKET")}
        env["PENSTOCK_LIFELINE"] = str(theirs)
        env["PENSTOCK_INHERIT"] = str(self._socket.fileno())
        try:
            # A session of its own: ^C is for us, and we end it.
            self._process = await asyncio.create_subprocess_exec(
                self.binary, "-p", self._dir, "-c",
                os.path.join(self._dir, "penstock.conf"), "-e", "stderr",
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE, env=env,
                start_new_session=True,
                pass_fds=(theirs, self._socket.fileno()))
        finally:
            os.close(theirs)
            self._socket.close()
        self._reader = asyncio.ensure_future(self._read_stderr())
        waits = {asyncio.ensure_future(ready.wait()),
                 asyncio.ensure_future(self._process.wait())}
        try:
            await asyncio.wait(waits, timeout=START_SECONDS,
                               return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if not ready.is_set():
            if self._process.returncode is not None:
                await self._reader
            raise RuntimeError("the gateway did not start: "
                               + self.last_words())

    async def _read_stderr(self):
        while True:
            line = await self._process.stderr.readline()
            if not line:
                return
            os.write(2, line)
            self._stderr = (self._stderr + line)[-STDERR_KEPT:]

    def last_words(self):
        return self._stderr.decode("utf-8", "replace").strip() or "silently"

    async def wait(self):
        await self._process.wait()

    def drain(self):
        """No new connections; those that are there stay."""
        if self._process.returncode is None:
            self._write(False)
            self._process.send_signal(signal.SIGHUP)

    async def end(self):
        process = self._process
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), END_SECONDS)
            except asyncio.TimeoutError:
                process.kill()
                await process.wait()
        await self._reader
        self.stop()

    def stop(self):
        """At once: it ends when the lifeline is cut."""
        if self._life is not None:
            os.close(self._life)
            self._life = None
        if self._socket is not None:
            self._socket.close()
        self._remove()


def _versions_of(apps):
    found = []
    for app in apps:
        found += app.versions
    if not found or not all(app.versions for app in apps):
        return [13, 8, 7, 76, 75]
    return sorted(set(found), reverse=True)
