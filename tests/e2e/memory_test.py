# SPDX-License-Identifier: BSD-2-Clause
"""What a session costs: bytes while it is idle, allocations while it talks.

Needs a build without sanitizers, named by PENSTOCK_RELEASE.
"""

import os
import random
import re
import resource
import struct
import subprocess
import time
import unittest
import zlib

RELEASE = os.environ.get("PENSTOCK_RELEASE")
if RELEASE:
    os.environ["PENSTOCK"] = RELEASE

from support.gateway import ACCEPT, BROADCAST, OPEN, Backend, BridgeTestCase, frame
from support.penstock import wait_for
from support.websocket import BINARY, TEXT, Client, encode, handshake

CONFIG = """
user root;
events { worker_connections 8192; }
worker_rlimit_nofile 8192;
http {
    %s
    keepalive_timeout 600s;
    backend echo { server unix:@PREFIX@/echo.sock; }
    server {
        listen 127.0.0.1:@PORT@ backlog=4096;
        location /ws { websocket_pass echo; websocket_origin any; websocket_idle_timeout 0; %s }
    }
}
"""
SESSIONS = 2000

# What a browser says beside the fields that make a handshake.
BROWSER = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, "
                  "like Gecko) Chrome/130.0.0.0 Safari/537.36",
    "Origin": "https://chat.example.com",
    "Pragma": "no-cache",
    "Cache-Control": "no-cache",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Accept-Language": "en-GB,en;q=0.9,de;q=0.8",
    "Cookie": "session=6f1ed002ab5595859014ebf0951522d9; theme=dark",
    "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits",
}

# Counts what malloc and its kin are asked for, in a file that all processes
# of the program share.
SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static unsigned long *counters; /* by pid, so that only workers are looked at */
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

__attribute__((constructor)) static void begin(void)
{
    int fd = open(getenv("ALLOCATIONS"), O_RDWR);
    void *p = mmap(NULL, 4194304 * sizeof *counters, PROT_READ | PROT_WRITE,
                   MAP_SHARED, fd, 0);
    if (p != MAP_FAILED)
        counters = p;
    close(fd);
}

static void count(void)
{
    if (counters)
        __atomic_add_fetch(&counters[getpid()], 1, __ATOMIC_RELAXED);
}

void *malloc(size_t n) { count(); return __libc_malloc(n); }
void *calloc(size_t n, size_t m) { count(); return __libc_calloc(n, m); }
void *realloc(void *p, size_t n) { count(); return __libc_realloc(p, n); }
void *memalign(size_t a, size_t n) { count(); return __libc_memalign(a, n); }
void *aligned_alloc(size_t a, size_t n) { return memalign(a, n); }
int posix_memalign(void **p, size_t a, size_t n)
{
    *p = memalign(a, n);
    return *p ? 0 : 12;
}
"""


class Measuring(BridgeTestCase):
    def start(self, log, location="", resume=True):
        """The example backend can resume sessions, the test's own can not."""
        p = self.penstock(CONFIG % (log, location), start=False)
        if resume:
            self.start_echo(p)
        else:
            self.own_echo(p)
        p.start()
        self.wait_ready(p)
        return p

    def own_echo(self, p):
        def on_frame(kind, cid, payload):
            if kind == OPEN:
                b.send(frame(ACCEPT, cid, bytes(8)))
            elif kind == 0x20:
                b.send(frame(0x20, cid, payload))

        b = Backend(p.path("echo.sock"), on_frame=on_frame)
        self.addCleanup(b.stop)

    def private(self, pid):
        with open(f"/proc/{pid}/smaps_rollup") as f:
            text = f.read()
        return 1024 * sum(map(int, re.findall(r"Private_\w+: +(\d+)", text)))


@unittest.skipUnless(RELEASE, "PENSTOCK_RELEASE does not name a release build")
class MemoryTest(Measuring):
    def per_session(self, log, resume=False):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
        p = self.start(log, resume=resume)
        (pid,) = p.workers()
        with Client(p.port()) as c:  # what one needs is there
            c.send(encode(TEXT, b"x"))
            c.message()
        time.sleep(0.5)
        before = self.private(pid)
        browser = handshake(BROWSER, "GET /ws?room=general HTTP/1.1", p.port())
        clients = [Client(p.port(), browser) for _ in range(SESSIONS)]
        for c in clients:
            self.addCleanup(c.socket.close)
            # In turn: a burst would fill the worker's spare output blocks,
            # which are no session's.
            c.send(encode(TEXT, b"hello"))
            self.assertEqual(c.message(), (TEXT, b"hello"))
        time.sleep(1)
        cost = (self.private(pid) - before) / SESSIONS
        print(f"{log} resume={resume}: {cost:.0f} bytes per idle session",
              flush=True)
        return cost

    def test_an_idle_session(self):
        # As the default configuration has it: its line and what the next
        # backend has to know are kept.
        cost = self.per_session("access_log logs/access.log;", True)
        if cost > 1024:  # a page of something else is now and then among it
            cost = self.per_session("access_log logs/access.log;", True)
        self.assertLessEqual(cost, 1024)

    def test_an_idle_session_that_only_can_be_resumed(self):
        self.assertLess(self.per_session("access_log off;", True), 1010)

    def test_an_idle_session_that_only_is_logged(self):
        self.assertLess(self.per_session("access_log logs/access.log;"), 1000)

    def test_an_idle_session_of_which_nothing_is_kept(self):
        self.assertLess(self.per_session("access_log off;"), 920)


@unittest.skipUnless(RELEASE, "PENSTOCK_RELEASE does not name a release build")
class DeflateMemoryTest(Measuring):
    """What an idle session costs that has been sent, and has sent, compressed
    messages; contrib/docs/websocket.md states these."""

    def per_deflated(self, options, sessions):
        p = self.start("access_log off;", f"websocket_deflate on min=0 {options};")
        (pid,) = p.workers()
        text = "".join(random.Random(1).choices("abcdef ", k=60000)).encode()
        z = zlib.compressobj(6, zlib.DEFLATED, -9)
        data = z.compress(text) + z.flush(zlib.Z_SYNC_FLUSH)
        data = encode(BINARY, data[:-4], rsv=4)
        offer = {"Sec-WebSocket-Extensions":
                 "permessage-deflate; client_max_window_bits"}
        clients = []
        for i in range(sessions + 8):
            if i == 8:  # what the worker needs is there
                time.sleep(0.2)
                before = self.private(pid)
            c = Client(p.port(), handshake(offer, port=p.port()))
            self.addCleanup(c.socket.close)
            clients.append(c)
            c.send(data)
            self.assertEqual(c.frame()[0], 0xC2)
        time.sleep(0.5)
        cost = (self.private(pid) - before) / sessions
        print(f"{options or 'no takeover'}: {cost:.0f} bytes per idle session",
              flush=True)
        return cost

    def test_compressed_sessions(self):
        for options, sessions, most in (
            ("", 1000, 1250),
            ("window=9", 1000, 1250),
            ("takeover=client", 200, 45 << 10),
            ("takeover=client window=12", 200, 16 << 10),
            ("takeover=client window=9", 200, 13 << 10),
            ("takeover=server", 100, 275 << 10),
            ("takeover=server window=12", 200, 45 << 10),
            ("takeover=server window=9", 200, 16 << 10),
            ("takeover=client,server", 100, 315 << 10),
            ("takeover=client,server window=12", 200, 58 << 10),
            ("takeover=client,server window=9", 200, 26 << 10),
        ):
            with self.subTest(options):
                self.assertLess(self.per_deflated(options, sessions), most)


@unittest.skipUnless(RELEASE, "PENSTOCK_RELEASE does not name a release build")
class BoundTest(Measuring):
    """The most that contrib/docs/websocket.md says a session can take."""

    K = 1 << 10

    def most(self, reply_window, max_frame, send_buffer, contexts):
        in_ = max_frame + 128 * self.K + 64 * self.K
        out = reply_window + max_frame + send_buffer + 64 * self.K
        return 2 * self.K + in_ + out + contexts

    def hostile(self, overflow, n=40):
        """Clients that send and do not read, and a backend that takes nothing
        and sends all it may."""
        p = self.penstock(
            CONFIG.replace("server unix:@PREFIX@/echo.sock;",
                           "server unix:@PREFIX@/echo.sock; reply_window 64k;"
                           "max_frame 64k; client_window 64k;")
            % ("access_log off;",
               "websocket_deflate on takeover=client,server;"
               "websocket_max_message 8m; websocket_ping off;"
               f"websocket_send_buffer 128k overflow={overflow};"),
            start=False,
        )
        b = Backend(p.path("echo.sock"))
        self.addCleanup(b.stop)
        p.start()
        self.wait_ready(p)
        (pid,) = p.workers()
        offer = {"Sec-WebSocket-Extensions": "permessage-deflate"}
        noise = random.Random(1)
        clients, before = [], 0
        for i in range(n + 4):
            c = Client(p.port(), handshake(offer, port=p.port()))
            self.addCleanup(c.socket.close)
            clients.append(c)
            if i == 3:
                time.sleep(0.2)
                before = self.private(pid)
        z = zlib.compressobj(9, zlib.DEFLATED, -15)
        bomb = z.compress(bytes(4 << 20)) + z.flush(zlib.Z_SYNC_FLUSH)
        flood = encode(BINARY, bomb[:-4], rsv=4)
        flood += encode(BINARY, noise.randbytes(60000)) * 10
        for c in clients:
            c.socket.setblocking(False)
            try:
                for _ in range(200):
                    c.socket.send(flood)
            except BlockingIOError:
                pass
        wait_for("sessions", lambda: len(b.of(OPEN)) == len(clients))
        ids = [f[1] for f in b.of(OPEN)]
        for k in range(3):  # more than the window takes is the backend's fault
            for cid in ids:
                b.send(frame(0x21, cid, noise.randbytes(30000)))
        head = struct.pack("<BBHHHI", 2, 0, 0, 0, 0, 0)
        for _ in range(600):
            b.send(frame(BROADCAST, 0, head + noise.randbytes(20000)))
        time.sleep(1)
        self.assertTrue(p.workers() == [pid])
        grown = (self.private(pid) - before) / n
        most = self.most(64 * self.K, 64 * self.K, 128 * self.K, 308 * self.K)
        print(f"{overflow}: {grown / 1024:.0f} KiB of {most / 1024:.0f} each")
        self.assertLess(grown, most)

    def test_a_session_takes_no_more_than_the_pages_say(self):
        for overflow in "drop_new", "drop_old", "close":
            with self.subTest(overflow):
                self.hostile(overflow)


@unittest.skipUnless(RELEASE, "PENSTOCK_RELEASE does not name a release build")
class AllocationTest(BridgeTestCase):
    def shim(self, p):
        source, library = p.write("shim.c", SHIM.encode()), p.path("shim.so")
        subprocess.run(
            ["cc", "-O2", "-shared", "-fPIC", "-o", library, source], check=True
        )
        counts = p.path("allocations")
        with open(counts, "wb") as f:
            f.truncate(4194304 * 8)
        os.chmod(counts, 0o666)
        p.env.update(LD_PRELOAD=library, ALLOCATIONS=counts)
        return counts

    def count(self, counts, pid):
        with open(counts, "rb") as f:
            f.seek(8 * pid)
            return struct.unpack("<Q", f.read(8))[0]

    def begin(self, location=""):
        p = self.penstock(CONFIG % ("access_log off;", location), start=False)
        counts = self.shim(p)
        self.start_echo(p)
        p.start()
        self.wait_ready(p)
        (pid,) = p.workers()
        self.assertGreater(self.count(counts, pid), 100, "nothing is counted")
        return p, counts, pid

    def test_compressed_messages_allocate_nothing(self):
        offer = {"Sec-WebSocket-Extensions": "permessage-deflate"}
        for takeover in "off", "client,server":
            p, counts, pid = self.begin(
                f"websocket_deflate on min=0 takeover={takeover};")
            c = Client(p.port(), handshake(offer, port=p.port()))
            self.addCleanup(c.socket.close)
            for size in 10, 1000, 60000:
                z = zlib.compressobj(6, zlib.DEFLATED, -15)
                data = z.compress(bytes(size)) + z.flush(zlib.Z_SYNC_FLUSH)
                data = encode(BINARY, data[:-4], rsv=4)
                for i in range(320):
                    if i == 20:
                        spent = self.count(counts, pid)
                    c.send(data)
                    self.assertEqual(c.frame()[0], 0xC2)
                spent = self.count(counts, pid) - spent
                print(f"takeover={takeover}, {size} bytes: {spent} allocations, "
                      "300 messages", flush=True)
                self.assertLess(spent, 10)  # a timer, a log line

    def test_a_broadcast_allocates_nothing_for_each_client(self):
        p = self.penstock(CONFIG % ("access_log off;", ""), start=False)
        counts = self.shim(p)
        b = Backend(p.path("echo.sock"))
        self.addCleanup(b.stop)
        p.start()
        self.wait_ready(p)
        (pid,) = p.workers()
        clients = [Client(p.port()) for _ in range(100)]
        for c in clients:
            self.addCleanup(c.socket.close)
        wait_for("sessions", lambda: len(b.of(OPEN)) == len(clients))
        head = struct.pack("<BBHHHI", 2, 0, 0, 0, 0, 0)
        for i in range(120):
            if i == 20:
                spent = self.count(counts, pid)
            # Small ones are copied, large ones referred to.
            b.send(frame(BROADCAST, 0, head + bytes(20000 if i % 2 else 300)))
            for c in clients:
                self.assertEqual(len(c.message()[1]), 20000 if i % 2 else 300)
        spent = self.count(counts, pid) - spent
        print(f"100 broadcasts to 100 clients: {spent} allocations", flush=True)
        # What is encoded once for all of them, and a timer or a log line.
        self.assertLess(spent, 400)

    def test_messages_allocate_nothing(self):
        p, counts, pid = self.begin()
        clients = [Client(p.port()) for _ in range(10)]
        for c in clients:
            self.addCleanup(c.socket.close)
        for name, n, size, fragments in (
            ("alone", 1, 64, 1), ("several at once", 20, 64, 1),
            ("larger", 1, 4000, 1), ("in fragments", 1, 60, 3),
        ):
            data = encode(BINARY, bytes(size))
            if fragments > 1:
                data = b"".join(
                    encode(0 if i else BINARY, bytes(size // fragments),
                           fin=i == fragments - 1)
                    for i in range(fragments)
                )
            rounds, spent = 200, 0
            for i in range(rounds + 20):
                if i == 20:
                    spent = self.count(counts, pid)
                for c in clients:
                    c.send(data * n)
                for c in clients:
                    for _ in range(n):
                        self.assertEqual(len(c.message()[1]), size)
            spent = self.count(counts, pid) - spent
            messages = rounds * len(clients) * n
            print(f"{name}: {spent} allocations, {messages} messages", flush=True)
            # A timer or a log line now and then is none per message.
            self.assertLess(spent, messages / 100, name)


if __name__ == "__main__":
    unittest.main()
