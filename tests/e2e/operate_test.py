# SPDX-License-Identifier: BSD-2-Clause
"""What an operator and a backend see of pools and sessions of all workers,
and how they end one: backend_status, backend_sessions, STATS."""

import json
import os
import signal
import socket
import struct
import threading
import unittest
import urllib.error
import urllib.request

from support.gateway import (
    ACCEPT, CLOSED, ERROR, OPEN, READY, Backend, BridgeTestCase, frame, hello,
    tlv,
)
from support.penstock import wait_for

STATS_REQ, STATS, REGISTER, SUBSCRIBE = 0x08, 0x09, 0x70, 0x40
INSTANCE = 2
CONFIG = """
worker_processes %d;
user root;
events { }
http {
    access_log off;
    backend chat { server unix:@PREFIX@/chat.sock; %s }
    backend "o-t" { server unix:@PREFIX@/other.sock; }
    server {
        listen 127.0.0.1:@PORT@ reuseport;
        location /ws { websocket_pass chat; }
        location /other { websocket_pass o-t; }
        location = /status { backend_status; }
        location = /sessions {
            backend_sessions;
        }
        location = /read { backend_sessions; limit_except GET { deny all; } }
        location = /publish { websocket_publish chat x; }
        location = /figures {
            websocket_pass chat;
            add_header X-Figures "$backend_clients $backend_ready $backend_sessions_total $backend_refused" always;
            return 204;
        }
        location = /none { return 200 "[$backend_clients$backend_ready]"; }
        location = /closed { backend_sessions; deny all; }
    }
}
"""
GREETING = (
    struct.pack("<8sHHBBHIIIIQQ", b"SLUICE1\n", 1, 1, 2, 0, 0, 65536, 65536,
                1 << 20, 0, 4 | 16 | 1, 7)
)


class Listening(Backend):
    """A backend that keeps every link, of several workers."""

    def __init__(self, path, greeting):
        self.every = []
        super().__init__(path, greeting)

    def run(self):
        while True:
            try:
                link, _ = self.listening.accept()
            except OSError:
                return
            self.every.append(link)
            self.links += 1
            link.sendall(self.greeting)
            threading.Thread(target=self.hear, args=(link,), daemon=True).start()

    def hear(self, link):
        data = b""
        while True:
            try:
                more = link.recv(65536)
            except OSError:
                return
            if not more:
                return
            data += more
            while len(data) >= 16:
                n, kind, flags, aux, cid = struct.unpack_from("<IBBHQ", data)
                if len(data) < 16 + n:
                    break
                payload, data = data[16 : 16 + n], data[16 + n :]
                self.frames.append((kind, cid, payload, aux))
                if kind == OPEN:
                    link.sendall(frame(ACCEPT, cid, bytes(8)))

    def stop(self):
        super().stop()
        for link in self.every:
            link.close()


class OperateTestCase(BridgeTestCase):
    def start(self, workers=1, pool=""):
        config = CONFIG % (workers, pool)
        self.p = p = self.penstock(config, start=False)
        greeting = frame(1, 0, GREETING)
        greeting += frame(REGISTER, 0, tlv(1, b"room")) + frame(READY)
        self.b = Listening(p.path("chat.sock"), greeting)
        self.other = Listening(p.path("other.sock"), frame(1, 0, GREETING) + frame(READY))
        self.addCleanup(self.b.stop)
        self.addCleanup(self.other.stop)
        p.start()
        self.wait_ready(p, 2 * workers)
        return p, self.b

    def ask(self, path="/sessions", method="GET"):
        r = urllib.request.Request(self.p.url(path), method=method)
        try:
            with urllib.request.urlopen(r, timeout=20) as answer:
                self.head = answer.headers
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as e:
            with e:
                text = e.read()
                is_json = "json" in (e.headers["Content-Type"] or "")
                return e.code, json.loads(text) if is_json else text

    def join(self, n=1, path="/ws"):
        got = []
        for _ in range(n):
            s, head = self.raw(self.p, request=f"GET {path} HTTP/1.1")
            self.assertIn(" 101 ", head)
            got.append(s)
        return got

    def everybody(self, query="", limit=7):
        """All pages."""
        found, after = [], "0.0"
        for _ in range(10000):
            status, page = self.ask(f"/sessions?limit={limit}&after={after}{query}")
            self.assertEqual((status, page["missing"]), (200, 0))
            self.assertLessEqual(len(page["sessions"]), limit)
            found += page["sessions"]
            after = page["next"]
            if after is None:
                return found
        self.fail("no end")


class SessionsTest(OperateTestCase):
    def test_what_is_told_of_a_session(self):
        p, b = self.start()
        s, = self.join()
        cid = wait_for("OPEN", lambda: b.of(OPEN))[0][1]
        channel = b"ro\"om"
        b.every[0].sendall(frame(SUBSCRIBE, cid, struct.pack("<H", len(channel)) + channel)
                           + frame(0x20, cid, b"hello"))
        self.assertEqual(s.recv(7), b"\x81\x05hello")
        s.sendall(b"\x81\x82" + bytes(4) + b"hi")
        wait_for("TEXT", lambda: b.of(0x20))
        status, page = self.ask()
        self.assertEqual((status, page["next"], page["missing"]), (200, None, 0))
        self.assertEqual(self.head["Content-Type"], "application/json")
        self.assertEqual(self.head["Cache-Control"], "no-store")
        one, = page["sessions"]
        self.assertLess(one.pop("age"), 30)
        self.assertLess(one.pop("idle"), 30)
        self.assertEqual(one, {
            "id": cid, "pool": "chat", "app": "room", "remote_addr": "127.0.0.1",
            "backend": p.path("chat.sock"), "state": "connected", "version": 13,
            "messages_in": 1, "messages_out": 1, "bytes_in": 8, "bytes_out": 7,
            "queued": 0, "channels": 1, "rtt": 0.0,
        })
        status, page = self.ask(f"/sessions?id={cid}")
        self.assertEqual(page["sessions"][0]["channel_names"], ['ro"om'])
        self.assertEqual(page["next"], None)

    def test_pages_of_all_workers(self):
        p, b = self.start(workers=3)
        clients = self.join(40)
        others = self.join(5, "/other")
        wait_for("OPENs", lambda: len(b.of(OPEN)) == 40)
        ids = {f[1] for f in b.of(OPEN)}
        self.assertGreater(len({cid >> 44 for cid in ids}), 1)
        found = self.everybody()
        self.assertEqual(len(found), 45)
        self.assertEqual({x["id"] for x in found if x["pool"] == "chat"}, ids)
        order = [(x["id"] >> 44, x["id"] & 0xFFFFFF) for x in found]
        self.assertEqual(order, sorted(order))
        self.assertEqual(len(self.everybody("&pool=o-t")), 5)
        self.assertEqual(len(self.everybody("&app=room")), 40)
        self.assertEqual(len(self.everybody("&app=none")), 0)
        self.assertEqual(len(self.everybody(limit=1)), 45)
        self.assertEqual(len(self.everybody(limit=1000)), 45)
        # Places of those that left are passed over.
        for s in clients[::2]:
            s.close()
        wait_for("their ends", lambda: len(b.of(CLOSED)) == 20)
        self.assertEqual(len(self.everybody()), 25)

    def test_close_by_id(self):
        p, b = self.start(workers=3)
        clients = self.join(12)
        wait_for("OPENs", lambda: len(b.of(OPEN)) == 12)
        ids = [f[1] for f in b.of(OPEN)]
        forms = (("", 1008, b""), ("&code=4321&reason=go%20away", 4321, b"go away"),
                 ("&terminate=1", None, None))
        for cid, (query, code, reason) in zip(ids, forms):
            self.assertEqual(self.ask(f"/sessions?id={cid}{query}", "DELETE"),
                             (200, {"closed": 1, "missing": 0}))
            end = wait_for("CLOSED", lambda: [f for f in b.of(CLOSED) if f[1] == cid])
            self.assertEqual(end[0][2][0], 15)  # a limit
            self.assertEqual(self.ask(f"/sessions?id={cid}", "DELETE"),
                             (404, {"closed": 0, "missing": 0}))
            self.assertEqual(self.ask(f"/sessions?id={cid}")[0], 404)
        seen = []
        for s in clients:
            s.setblocking(False)

        def ended():
            for s in list(clients):
                try:
                    data = s.recv(200)
                except BlockingIOError:
                    continue
                except ConnectionResetError:
                    data = b""
                clients.remove(s)
                seen.append(data)
            return len(seen) == 3

        wait_for("the ends", ended)
        self.assertEqual(sorted(seen), sorted(
            [b"\x88\x02" + struct.pack(">H", 1008),
             b"\x88\x09" + struct.pack(">H", 4321) + b"go away", b""]))
        self.assertEqual(len(self.everybody()), 9)
        self.assertIn("session was closed by an operator", p.log())

    def test_what_is_refused(self):
        p, b = self.start()
        for query in ("limit=0", "limit=1001", "limit=x", "id=x", "id=-1",
                      "after=1", "after=x.y", "after=1.x", "after=."):
            self.assertEqual(self.ask("/sessions?" + query)[0], 400, query)
        for query in ("", "id=0", "id=x", "id=1&code=1", "id=1&code=1005",
                      "id=1&code=70000", "id=1&terminate=2",
                      "id=1&reason=%ff", "id=1&reason=" + "x" * 124):
            self.assertEqual(self.ask("/sessions?" + query, "DELETE")[0], 400, query)
        for expected in ("a limit from 1 to 1000", "a number as id", 'after as "next" said it',
                         "the id of a session", "a code that a Close may have",
                         "terminate as 0 or 1", "a reason of UTF-8, at most 123 bytes"):
            self.assertIn("wrong argument, expected " + expected, p.log())
        self.assertEqual(self.ask("/sessions?id=1", "DELETE")[0], 404)
        self.assertEqual(self.ask("/sessions?id=18446744073709551615", "DELETE")[0], 404)
        self.assertEqual(self.ask("/sessions", "POST")[0], 405)
        self.assertEqual(self.ask("/status", "POST")[0], 405)
        self.assertEqual(self.ask("/closed")[0], 403)
        self.assertEqual(self.ask("/closed?id=1", "DELETE")[0], 403)
        self.assertEqual(self.ask("/read?id=1", "DELETE")[0], 403)
        self.assertEqual(self.ask("/read")[0], 200)

    def test_a_worker_that_hangs_is_missing(self):
        p, b = self.start(workers=2)
        first, second = p.workers()
        os.kill(second, signal.SIGSTOP)
        try:
            for _ in range(20):  # until one comes to the living
                try:
                    r = urllib.request.urlopen(p.url("/sessions"), timeout=5)
                    page = json.load(r)
                    break
                except OSError:
                    continue
            self.assertEqual(page["missing"], 1)
        finally:
            os.kill(second, signal.SIGCONT)

    def test_clients_that_do_not_wait(self):
        p, b = self.start(workers=2)
        for _ in range(30):
            s, _ = self.raw(p, {"Upgrade": None}, request="GET /other HTTP/1.1")
            s.sendall(b"GET /sessions HTTP/1.1\r\nHost: x\r\n\r\n")
            s.close()
        self.assertEqual(self.ask()[0], 200)


class IdentityTest(OperateTestCase):
    def numbers(self):
        return [struct.unpack_from("<H", f[2], 14)[0] for f in self.b.of(1)]

    def test_of_a_worker_while_another_retires(self):
        p, b = self.start(workers=2)
        wait_for("both", lambda: len(self.numbers()) == 2)
        self.assertEqual(sorted(self.numbers()), [0, 1])
        clients = self.join(20)  # some at either; they answer no close frame
        p.configure(p.config.replace("worker_processes 2", "worker_processes 1"))
        p.signal(signal.SIGHUP)
        wait_for("a session that is told to go", lambda: b.of(CLOSED))
        p.configure(p.config.replace("worker_processes 1", "worker_processes 2"))
        p.signal(signal.SIGHUP)
        wait_for("the new one", lambda: len(self.numbers()) == 3)
        if len(p.workers()) == 3:  # the old one is still there
            self.assertEqual(sorted(self.numbers()), [0, 1, 2])
        self.join(20)
        wait_for("OPENs", lambda: len(b.of(OPEN)) == 40)
        ids = [f[1] for f in b.of(OPEN)]
        self.assertEqual(len(set(ids)), 40)


class VariablesTest(OperateTestCase):
    def test_figures_of_a_pool(self):
        p, b = self.start(pool="max_clients 2;")
        self.join(2)
        s, head = self.raw(p)
        self.assertIn(" 503 ", head)
        r = urllib.request.urlopen(p.url("/figures"))
        self.assertEqual(r.headers["X-Figures"], "2 1 2 1")
        self.assertEqual(urllib.request.urlopen(p.url("/none")).read(), b"[]")


class SlowWorkerTest(OperateTestCase):
    def test_what_it_misses_is_said_once(self):
        p, b = self.start(workers=2)
        p.stop()
        p.configure(p.config.replace(" reuseport", ""))
        p.start()
        self.wait_ready(p, 8)
        os.kill(p.workers()[1], signal.SIGSTOP)
        try:
            s = socket.create_connection(("127.0.0.1", p.port()))
            self.addCleanup(s.close)
            post = b"POST /publish HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx"
            missed = 0
            for _ in range(18):  # the channel's room, and 256, and more
                s.sendall(post * 50)
                data = b""
                while data.count(b"\r\n\r\n") < 50:
                    data += s.recv(65536)
                missed = p.log().count("a publication is lost")
            self.assertEqual(missed, 1)
        finally:
            os.kill(p.workers()[1], signal.SIGCONT)


class StatusTest(OperateTestCase):
    def test_sums_of_all_workers(self):
        p, b = self.start(workers=3)
        clients = self.join(20)
        for s in clients:
            s.sendall(b"\x81\x83" + bytes(4) + b"abc")
        wait_for("TEXTs", lambda: len(b.of(0x20)) == 20)
        status, all = self.ask("/status")
        self.assertEqual((status, all["missing"]), (200, 0))
        self.assertEqual([x["process"] for x in sorted(
            all["processes"], key=lambda x: x["process"])], [0, 1, 2])
        self.assertEqual({x["pid"] for x in all["processes"]}, set(p.workers()))
        pools = {x["name"]: x for x in all["pools"]}
        self.assertEqual(set(pools), {"chat", "o-t"})
        self.assertEqual(pools["chat"], {
            "name": "chat", "backends": 3, "ready": 3, "clients": 20, "waiting": 0,
            "sessions_total": 20, "exchanges_total": 0, "refused": 0, "evicted": 0,
            "links_lost": 0, "messages_in": 20, "messages_out": 0, "bytes_in": 60,
            "bytes_out": 0,
        })
        links = [l for x in all["processes"] for pool in x["pools"]
                 for l in pool["links"] if pool["name"] == "chat"]
        self.assertEqual(len(links), 3)
        self.assertEqual(sum(l["sessions"] for l in links), 20)
        self.assertEqual({l["state"] for l in links}, {"ready"})
        status, one = self.ask("/status?pool=o-t")
        self.assertEqual([x["name"] for x in one["pools"]], ["o-t"])
        self.assertEqual(self.ask("/status?pool=none")[1]["pools"], [])
        # What is over stays counted.
        for s in clients:
            s.close()
        wait_for("their ends", lambda: len(b.of(CLOSED)) == 20)
        b.every[0].shutdown(socket.SHUT_RDWR)
        p.wait_for_log("backend closed the link")
        pool = self.ask("/status?pool=chat")[1]["pools"][0]
        self.assertEqual((pool["clients"], pool["sessions_total"], pool["messages_in"],
                          pool["links_lost"]), (0, 20, 20, 1))

    def test_a_backend_hears_of_all_workers(self):
        p, b = self.start(workers=3)
        self.join(10)
        self.join(3, "/other")
        b.every[0].sendall(frame(STATS_REQ, 0, aux=INSTANCE))
        kind, cid, text, aux = wait_for("STATS", lambda: b.of(STATS))[0]
        self.assertEqual(aux, INSTANCE)
        all = json.loads(text)
        pool, = all["pools"]  # its own
        self.assertEqual((pool["name"], pool["clients"]), ("chat", 10))
        self.assertEqual(len(all["processes"]), 3)
        self.assertEqual(sum(x["pools"][0]["clients"] for x in all["processes"]), 10)
        # Several at once, and more than may be.
        b.every[0].sendall(frame(STATS_REQ, 0, aux=INSTANCE) * 20)
        wait_for("answers", lambda: len(b.of(STATS)) + len(b.of(ERROR)) == 21)
        self.assertGreaterEqual(len(b.of(STATS)), 17)
        for _, _, payload, aux in b.of(ERROR):
            self.assertEqual((aux, payload[1]), (7, 0))  # LIMIT, only told

    def test_stats_rate(self):
        for rate in (3, 0):
            p, b = self.start(workers=2, pool=f"stats_rate {rate};")
            link = b.every[0]
            link.sendall(frame(STATS_REQ, 0, aux=INSTANCE) * 8 + frame(STATS_REQ) * 8)
            wait_for("answers", lambda: len(b.of(STATS)) + len(b.of(ERROR)) == 16)
            scopes = sorted(f[3] for f in b.of(STATS))
            self.assertEqual(scopes, [0] * 8 + [INSTANCE] * rate)
            for _, _, payload, aux in b.of(ERROR):
                self.assertEqual((aux, payload[1]), (7, 0))  # LIMIT, only told
            if not rate:
                continue

            def again():
                seen = len(b.of(STATS)) + len(b.of(ERROR))
                link.sendall(frame(STATS_REQ, 0, aux=INSTANCE))
                wait_for("an answer", lambda: len(b.of(STATS)) + len(b.of(ERROR)) > seen)
                return len(b.of(STATS)) > 8 + rate

            wait_for("the next second", again)
            p.stop()

    def test_answers_come_in_the_order_of_the_questions(self):
        p, b = self.start(workers=2)
        b.every[0].sendall(b"".join(
            frame(STATS_REQ, cid, aux=scope)
            for scope, cid in ((0, 0), (2, 0), (0, 0), (3, 7), (1, 0), (2, 0), (1, 0))))

        def answers():
            found = [(f[0], f[3]) for f in b.frames if f[0] in (STATS, ERROR)]
            return len(found) == 7 and found

        self.assertEqual(wait_for("answers", answers), [
            (STATS, 0), (STATS, 2), (STATS, 0), (ERROR, 5), (STATS, 1), (STATS, 2),
            (STATS, 1)])

    def test_one_that_leaves_before_the_answer(self):
        p, b = self.start(workers=2)
        b.every[0].sendall(frame(STATS_REQ, 0, aux=INSTANCE) * 3)
        b.every[0].shutdown(socket.SHUT_RDWR)
        self.wait_ready(p, 5)
        self.assertEqual(self.ask("/status")[0], 200)


if __name__ == "__main__":
    unittest.main()
