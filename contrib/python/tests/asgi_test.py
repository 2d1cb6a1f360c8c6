# SPDX-License-Identifier: BSD-2-Clause
"""penstock.asgi behind the real gateway: a bare application, and Starlette
where it is installed."""

import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import ssl
import unittest

from harness import BackendTestCase, soon

import websockets

from penstock.asgi import Server
from support.certificates import Authority
from support.websocket import handshake

try:
    import starlette
except ImportError:
    starlette = None
try:
    import requests
except ImportError:
    requests = None


class AsgiTestCase(BackendTestCase):
    async def application(self, app, path="app.sock", times=1, **options):
        p = self.p
        server = Server(app, socket=p.path(path), **options)
        task = asyncio.create_task(server.serve(0.2))

        async def end():
            server.stop(0.2)
            await soon(task)

        self.addAsyncCleanup(end)
        await self.until("ready", lambda: p.log().count("backend is ready")
                         >= times or task.done())
        if task.done():
            task.result()
        return server, task

    async def get(self, path="/", method="GET", body=b"", fields=""):
        head, body = await self.fetch(
            self.p, f"{method} {path} HTTP/1.1\r\nHost: example.com\r\n"
            f"Content-Length: {len(body)}\r\n{fields}"
            "Connection: close\r\n\r\n".encode() + body)
        return int(head.split()[1]), head, dechunked(head, body)


def dechunked(head, body):
    if "chunked" not in head:
        return body
    out = b""
    while True:
        size, _, body = body.partition(b"\r\n")
        n = int(size or b"0", 16)
        if not n:
            return out
        out, body = out + body[:n], body[n + 2:]


class BareHttpTest(AsgiTestCase):
    def setUp(self):
        self.p = self.gateway()

    async def test_scope(self):
        seen = asyncio.Queue()

        async def app(scope, receive, send):
            if scope["type"] == "lifespan":
                raise NotImplementedError
            seen.put_nowait(scope)
            await send({"type": "http.response.start", "status": 201,
                        "headers": [(b"x-a", b"1"), (b"x-a", b"2"),
                                    (b"connection", b"close")]})
            await send({"type": "http.response.body", "body": b"made"})

        await self.application(app, root_path="/root")
        status, head, body = await self.get("/a%20b/%C3%A4?x=%201",
                                            fields="X-Twice: 1\r\nX-Twice: 2\r\n")
        self.assertEqual((status, body), (201, b"made"))
        self.assertIn("x-a: 1\r\nx-a: 2", head)
        scope = await soon(seen.get())
        self.assertEqual(
            {k: scope[k] for k in ("type", "http_version", "method", "scheme",
                                   "path", "raw_path", "query_string",
                                   "root_path", "server", "extensions")},
            {"type": "http", "http_version": "1.1", "method": "GET",
             "scheme": "http", "path": "/a b/\u00e4",
             "raw_path": b"/a%20b/%C3%A4", "query_string": b"x=%201",
             "root_path": "/root", "server": ("127.0.0.1", self.p.port()),
             "extensions": {"http.response.trailers": {},
                            "http.response.early_hint": {},
                            "http.response.pathsend": {},
                            "http.response.zerocopysend": {}}})
        self.assertEqual(scope["asgi"]["version"], "3.0")
        self.assertEqual(scope["client"][0], "127.0.0.1")
        self.assertEqual([v for n, v in scope["headers"] if n == b"x-twice"],
                         [b"1", b"2"])
        self.assertIn((b"host", b"example.com"), scope["headers"])

    async def test_bodies(self):
        async def app(scope, receive, send):
            await send({"type": "http.response.start", "status": 200,
                        "headers": []})
            more = True
            while more:
                event = await receive()
                self.assertEqual(event["type"], "http.request")
                more = event["more_body"]
                await send({"type": "http.response.body",
                            "body": event["body"], "more_body": True})
            await send({"type": "http.response.body"})
            self.assertEqual((await receive())["type"], "http.disconnect")

        await self.application(app, lifespan="off")
        for n in (0, 1, 65536, 700000):
            data = random.randbytes(n)
            status, _, body = await self.get("/", "POST", data)
            self.assertEqual(status, 200)
            self.assertTrue(body == data, n)

    async def test_head_and_no_content(self):
        async def app(scope, receive, send):
            status = 204 if scope["path"] == "/204" else 200
            headers = [(b"content-length", b"5")] if status == 200 else []
            await send({"type": "http.response.start", "status": status,
                        "headers": headers})
            await send({"type": "http.response.body",
                        "body": b"hello" if status == 200 else b""})

        await self.application(app)
        status, head, body = await self.get("/", "HEAD")
        self.assertEqual((status, body), (200, b""))
        self.assertIn("content-length: 5", head.lower())
        status, head, body = await self.get("/204")
        self.assertEqual((status, body), (204, b""))
        self.assertEqual((await self.get("/"))[2], b"hello")

    async def test_failures(self):
        async def app(scope, receive, send):
            if scope["type"] != "http":
                raise NotImplementedError
            if scope["path"] == "/raise":
                raise ZeroDivisionError("as the test wants it")
            if scope["path"] == "/order":
                with self.assertRaises(RuntimeError):
                    await send({"type": "http.response.body"})
                with self.assertRaises(RuntimeError):
                    await send({"type": "websocket.accept"})

        await self.application(app)
        with self.assertLogs("penstock", "ERROR"):
            self.assertEqual((await self.get("/raise"))[0], 500)
        with self.assertLogs("penstock.asgi", "ERROR"):
            self.assertEqual((await self.get("/order"))[0], 500)

    async def test_a_client_that_leaves(self):
        seen = asyncio.Queue()

        async def app(scope, receive, send):
            seen.put_nowait((await receive())["type"])
            seen.put_nowait((await receive())["type"])
            try:
                await send({"type": "http.response.start", "status": 200,
                            "headers": []})
            except OSError as e:
                seen.put_nowait(type(e).__name__)

        await self.application(app, lifespan="off")
        _, writer = await asyncio.open_connection("127.0.0.1", self.p.port())
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(await soon(seen.get()), "http.request")
        writer.close()
        self.assertEqual(await soon(seen.get()), "http.disconnect")
        self.assertEqual(await soon(seen.get()), "ConnectionClosed")


    async def test_trailers_and_hints(self):
        async def app(scope, receive, send):
            await send({"type": "http.response.early_hint",
                        "links": [b"</a.css>; rel=preload"]})
            await send({"type": "http.response.start", "status": 200,
                        "headers": [(b"trailer", b"x-sum")],
                        "trailers": True})
            with self.assertRaises(RuntimeError):
                await send({"type": "http.response.trailers", "headers": []})
            await send({"type": "http.response.body", "body": b"one ",
                        "more_body": True})
            await send({"type": "http.response.body", "body": b"two"})
            with self.assertRaises(RuntimeError):
                await send({"type": "http.response.body", "body": b"three"})
            await send({"type": "http.response.trailers",
                        "headers": [(b"x-sum", b"7")], "more_trailers": True})
            await send({"type": "http.response.trailers",
                        "headers": [(b"x-more", b"8")]})

        await self.application(app, lifespan="off")
        head, rest = await self.fetch(
            self.p, b"GET / HTTP/1.1\r\nHost: x\r\nTE: trailers\r\n"
            b"Connection: close, TE\r\n\r\n")
        self.assertIn("HTTP/1.1 103 ", head)
        self.assertIn("rel=preload", head)
        head, _, body = rest.partition(b"\r\n\r\n")
        self.assertIn(b"HTTP/1.1 200 ", head)
        self.assertEqual(dechunked("chunked", body), b"one two")
        self.assertTrue(body.endswith(b"0\r\nx-sum: 7\r\nx-more: 8\r\n\r\n"),
                        body)

    async def test_files(self):
        data = random.randbytes(400000)
        path = self.p.path("data")
        with open(path, "wb") as f:
            f.write(data)

        async def app(scope, receive, send):
            await send({"type": "http.response.start", "status": 200,
                        "headers": []})
            kind = "http.response." + scope["path"][1:]
            if kind == "http.response.pathsend":
                await send({"type": kind, "path": path})
            elif kind == "http.response.zerocopysend":
                with open(path, "rb") as f:
                    await send({"type": kind, "file": f, "offset": 1000,
                                "count": 200000, "more_body": True})
                    await send({"type": "http.response.body", "body": b"-",
                                "more_body": True})
                    await send({"type": kind, "file": f, "count": 10,
                                "more_body": True})
                    await send({"type": kind, "file": f, "offset": 399990})
                with self.assertRaises(RuntimeError):
                    await send({"type": "http.response.body", "body": b"x"})
            else:
                await send({"type": "http.response.pathsend",
                            "path": path + scope["path"]})

        await self.application(app, lifespan="off")
        self.assertTrue((await self.get("/pathsend"))[2] == data)
        self.assertTrue((await self.get("/zerocopysend"))[2]
                        == data[1000:201000] + b"-" + data[201000:201010]
                        + data[-10:])
        status, _, body = await self.get("/pathsend", "HEAD")
        self.assertEqual((status, body), (200, b""))
        with self.assertLogs("penstock", "ERROR"):
            status, _, _ = await self.get("/missing")
        self.assertEqual(status, 500)

    async def test_an_application_that_exits(self):
        async def app(scope, receive, send):
            if scope["path"] == "/exit":
                raise SystemExit(1)
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"here"})

        await self.application(app, lifespan="off")
        with self.assertLogs("penstock", "ERROR"):
            self.assertEqual((await self.get("/exit"))[0], 500)
        self.assertEqual((await self.get("/"))[2], b"here")

    async def test_callables_of_all_kinds(self):
        async def answer(send, text):
            await send({"type": "http.response.start", "status": 200,
                        "headers": []})
            await send({"type": "http.response.body", "body": text})

        class Twice:  # ASGI 2
            def __init__(self, scope):
                self.scope = scope

            async def __call__(self, receive, send):
                await answer(send, b"twice " + self.scope["raw_path"])

        def inner(scope):
            async def run(receive, send):
                await answer(send, b"inner")

            return run

        class Once:
            async def __call__(self, scope, receive, send):
                await answer(send, b"once")

        class Awaited:  # as endpoints of Starlette
            def __init__(self, scope, receive, send):
                self.send = send

            def __await__(self):
                return answer(self.send, b"awaited").__await__()

        for number, (app, expected) in enumerate((
                (Twice, b"twice /"), (inner, b"inner"), (Once(), b"once"),
                (Awaited, b"awaited"))):
            server, task = await self.application(app, lifespan="off",
                                                  times=number + 1)
            self.assertEqual((await self.get())[2], expected)
            server.stop(0)
            await soon(task)

    async def test_an_absolute_target(self):
        async def app(scope, receive, send):
            await send({"type": "http.response.start", "status": 200,
                        "headers": []})
            await send({"type": "http.response.body",
                        "body": scope["raw_path"]})

        await self.application(app, lifespan="off")
        self.assertEqual((await self.get("http://example.com/a%20b?c"))[2],
                         b"/a%20b")


class BareWebSocketTest(AsgiTestCase):
    def setUp(self):
        self.p = self.gateway()

    async def test_echo_and_ends(self):
        seen = asyncio.Queue()

        async def app(scope, receive, send):
            if scope["type"] != "websocket":
                raise NotImplementedError
            seen.put_nowait(scope)
            assert (await receive())["type"] == "websocket.connect"
            await send({"type": "websocket.accept", "subprotocol": "v1",
                        "headers": [(b"x-answer", b"yes")]})
            while True:
                event = await receive()
                if event["type"] == "websocket.disconnect":
                    break
                if event.get("text") == "close":
                    await send({"type": "websocket.close", "code": 4000,
                                "reason": "why not"})
                elif event.get("text") == "raise":
                    raise ZeroDivisionError("as the test wants it")
                else:
                    await send({"type": "websocket.send",
                                "text": event.get("text"),
                                "bytes": event.get("bytes")})
            seen.put_nowait(event)
            with self.assertRaises(OSError):
                await send({"type": "websocket.send", "text": "late"})
            seen.put_nowait("raised")

        await self.application(app)

        async def connect():
            ws = await self.connect(self.p, "/ws/x?y=z",
                                    subprotocols=["v2", "v1"])
            return ws, await soon(seen.get())

        ws, scope = await connect()
        self.assertEqual(ws.subprotocol, "v1")
        self.assertEqual(ws.response_headers["X-Answer"], "yes")
        self.assertEqual(
            (scope["scheme"], scope["path"], scope["query_string"],
             scope["subprotocols"], scope["extensions"]),
            ("ws", "/ws/x", b"y=z", ["v2", "v1"],
             {"websocket.http.response": {}}))
        for message in ("a", "", b"", b"\0", "x" * 70000, b"y" * 700000):
            await ws.send(message)
            self.assertEqual(await soon(ws.recv()), message)
        await ws.close(3001, "done")
        self.assertEqual(await soon(seen.get()), {
            "type": "websocket.disconnect", "code": 3001, "reason": "done"})
        self.assertEqual(await soon(seen.get()), "raised")

        ws, _ = await connect()
        await ws.send("close")
        await soon(ws.wait_closed())
        self.assertEqual((ws.close_code, ws.close_reason), (4000, "why not"))
        self.assertEqual((await soon(seen.get()))["code"], 4000)
        await soon(seen.get())

        ws, _ = await connect()
        with self.assertLogs("penstock", "ERROR"):
            await ws.send("raise")
            await soon(ws.wait_closed())
        self.assertEqual(ws.close_code, 1011)

        ws, _ = await connect()
        ws.transport.abort()
        self.assertEqual((await soon(seen.get()))["code"], 1006)

    async def test_refusals(self):
        seen = asyncio.Queue()

        async def app(scope, receive, send):
            if scope["type"] != "websocket":
                raise NotImplementedError
            await receive()
            if scope["query_string"] == b"close":
                await send({"type": "websocket.close"})
            elif scope["query_string"] == b"raise":
                raise ZeroDivisionError("as the test wants it")
            elif scope["query_string"] == b"answer":
                await send({"type": "websocket.http.response.start",
                            "status": 418,
                            "headers": [(b"content-length", b"7"),
                                        (b"x-pot", b"tea")]})
                await send({"type": "websocket.http.response.body",
                            "body": b"tea", "more_body": True})
                await send({"type": "websocket.http.response.body",
                            "body": b"pot!"})
                with self.assertRaises(RuntimeError):
                    await send({"type": "websocket.http.response.body"})
            elif scope["query_string"] == b"large":
                await send({"type": "websocket.http.response.start",
                            "status": 500, "headers": []})
                for n in range(9):
                    await send({"type": "websocket.http.response.body",
                                "body": b"0123456789" * 2000,
                                "more_body": n < 8})
            else:
                return
            seen.put_nowait(await receive())

        await self.application(app)

        async def ask(query):
            head, body = await self.fetch(self.p, handshake(
                request=f"GET /ws?{query} HTTP/1.1",
                fields={"Connection": "Upgrade, close"}))
            return int(head.split()[1]), head, body

        self.assertEqual((await ask("close"))[0], 403)
        self.assertEqual(await soon(seen.get()), {
            "type": "websocket.disconnect", "code": 1006, "reason": ""})
        status, head, body = await ask("answer")
        self.assertEqual((status, body), (418, b"teapot!"))
        self.assertIn("x-pot: tea", head)
        status, head, body = await ask("large")
        self.assertEqual(status, 500)
        self.assertTrue(dechunked(head, body) == b"0123456789" * 18000)
        self.assertEqual((await ask("return"))[0], 500)
        with self.assertLogs("penstock", "ERROR"):
            self.assertEqual((await ask("raise"))[0], 500)

    async def test_send_waits_and_shutdown_is_1012(self):
        seen, sent = asyncio.Queue(), 0

        async def app(scope, receive, send):
            nonlocal sent
            if scope["type"] != "websocket":
                raise NotImplementedError
            await receive()
            await send({"type": "websocket.accept"})
            if scope["query_string"]:
                for _ in range(4000):
                    await send({"type": "websocket.send",
                                "bytes": bytes(10000)})
                    sent += 1
            seen.put_nowait(await receive())

        server, task = await self.application(app)
        ws = await self.connect(self.p, "/ws?flood", max_queue=1)
        before = -1
        while sent != before:
            before = sent
            await asyncio.sleep(0.3)
        self.assertLess(sent, 3500)
        ws.transport.abort()
        await self.connect(self.p)
        await asyncio.sleep(0.05)
        server.stop(0)
        await soon(task)
        self.assertEqual((await soon(seen.get()))["code"], 1012)


class LifespanTest(AsgiTestCase):
    def setUp(self):
        self.p = self.gateway()

    async def test_lifespan(self):
        seen = []

        async def app(scope, receive, send):
            if scope["type"] == "lifespan":
                seen.append((await receive())["type"])
                scope["state"]["db"] = "open"
                self.assertFalse(os.path.exists(self.p.path("app.sock")))
                await send({"type": "lifespan.startup.complete"})
                seen.append((await receive())["type"])
                await send({"type": "lifespan.shutdown.complete"})
                return
            seen.append(scope["state"]["db"])
            scope["state"]["db"] = "changed"
            await send({"type": "http.response.start", "status": 200,
                        "headers": []})
            await send({"type": "http.response.body"})

        server, task = await self.application(app)
        await self.get()
        await self.get()
        server.stop(0)
        await soon(task)
        self.assertEqual(seen, ["lifespan.startup", "open", "open",
                                "lifespan.shutdown"])

    async def test_a_startup_that_fails(self):
        async def app(scope, receive, send):
            await receive()
            await send({"type": "lifespan.startup.failed", "message": "no db"})

        with self.assertRaisesRegex(RuntimeError, "no db"):
            await Server(app, socket=self.p.path("app.sock")).serve()
        self.assertFalse(os.path.exists(self.p.path("app.sock")))

    async def test_the_exit_codes_of_lifespan(self):
        self.p.write("life.py", """
import os
async def app(scope, receive, send):
    await receive()
    if os.environ["MODE"] == "raises":
        raise ValueError("as the test wants it")
    await send({"type": "lifespan.startup." + os.environ["MODE"],
                "message": "no db"})
""")
        for mode, lifespan in (("failed", "auto"), ("failed", "on"),
                               ("raises", "on"), ("nonsense", "on")):
            process = self.process(self.p, [
                "-m", "penstock.asgi", "life:app", "--app-dir", self.p.prefix,
                "--lifespan", lifespan, "--socket", self.p.path("app.sock")],
                {"MODE": mode})
            code = await soon(asyncio.get_running_loop().run_in_executor(
                None, process.wait))
            self.assertEqual(code, 3, (mode, lifespan))

    async def test_answers_out_of_turn(self):
        refused = []

        async def app(scope, receive, send):
            if scope["type"] != "lifespan":
                return
            for answer in ("startup.complete", "startup.complete",
                           "shutdown.complete"):
                if not refused:
                    await receive()
                try:
                    await send({"type": f"lifespan.{answer}"})
                    refused.append("")
                except RuntimeError:
                    refused.append(answer)
            await receive()
            raise ValueError("as the test wants it")

        server, task = await self.application(app)
        self.assertEqual(refused, ["", "startup.complete",
                                   "shutdown.complete"])
        with self.assertLogs("penstock.asgi", "ERROR"):
            server.stop(0)
            await soon(task)

    async def test_an_application_without_one(self):
        async def app(scope, receive, send):
            assert scope["type"] == "http"

        with self.assertRaises(RuntimeError):
            with self.assertLogs("penstock.asgi", "ERROR"):
                await Server(app, socket=self.p.path("app.sock"),
                             lifespan="on").serve()

    async def test_the_command(self):
        self.p.write("site2.py", """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        open(%r, "w").close()
        await send({"type": "lifespan.shutdown.complete"})
    else:
        await send({"type": "http.response.start", "status": 200,
                    "headers": []})
        await send({"type": "http.response.body", "body": b"by command"})
""" % self.p.path("ended"))
        process = self.process(self.p, [
            "-m", "penstock.asgi", "nothing:app",
            "--app-dir", self.p.prefix, "--socket", self.p.path("app.sock")])
        self.assertNotEqual(process.wait(20), 0)  # no such module
        process = self.process(self.p, [
            "-m", "penstock.asgi", "site2:app", "--app-dir", self.p.prefix,
            "--socket", self.p.path("app.sock")])
        await self.until("ready", lambda: "backend is ready" in self.p.log())
        self.assertEqual((await self.get())[2], b"by command")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(20), 0)
        self.assertTrue(os.path.exists(self.p.path("ended")))


class TlsTest(AsgiTestCase):
    async def test_the_extension(self):
        authority = Authority()
        self.addCleanup(authority.remove)
        authority.issue("server", "example.com")
        authority.issue("client", "somebody")
        self.p = self.penstock("""
user root;
events { }
http {
    access_log off;
    backend app { server unix:@PREFIX@/app.sock; }
    backend_server_certificate on;
    server {
        listen 127.0.0.1:@PORT@ ssl;
        ssl_certificate server.pem; ssl_certificate_key server.key;
        ssl_verify_client optional; ssl_client_certificate ca.pem;
        location / { backend_pass app; }
        location /ws { websocket_pass app; }
    }
}
""", files=authority.files("server"))
        seen = asyncio.Queue()

        async def app(scope, receive, send):
            seen.put_nowait((scope["scheme"], scope["extensions"]["tls"]))
            if scope["type"] == "websocket":
                await receive()
                await send({"type": "websocket.accept"})
                return
            await send({"type": "http.response.start", "status": 204,
                        "headers": []})
            await send({"type": "http.response.body"})

        await self.application(app, lifespan="off")
        context = ssl.create_default_context(cafile=authority.path("ca.pem"))
        context.load_cert_chain(authority.path("client.pem"),
                                authority.path("client.key"))
        url = f"wss://127.0.0.1:{self.p.port()}/ws"
        async with websockets.connect(url, ssl=context,
                                      server_hostname="example.com"):
            pass
        scheme, tls = await soon(seen.get())
        self.assertEqual(scheme, "wss")
        self.assertEqual((tls["tls_version"], tls["client_cert_error"]),
                         (0x0304, None))
        self.assertIsInstance(tls["cipher_suite"], int)
        self.assertIn("CN=somebody", tls["client_cert_name"])
        self.assertIn("BEGIN CERTIFICATE", tls["client_cert_chain"][0])
        self.assertIn("BEGIN CERTIFICATE", tls["server_cert"])
        context = ssl.create_default_context(cafile=authority.path("ca.pem"))
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.p.port(), ssl=context,
            server_hostname="example.com")
        writer.write(b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
        scheme, tls = await soon(seen.get())
        self.assertEqual((scheme, tuple(tls["client_cert_chain"]),
                          tls["client_cert_name"], tls["client_cert_error"]),
                         ("https", (), None, None))
        writer.close()


class OtherClientsTest(AsgiTestCase):
    """curl and requests, which have their own idea of HTTP."""

    def setUp(self):
        self.p = self.gateway()

    async def echo(self, scope, receive, send):
        length = 0
        await send({"type": "http.response.start", "status": 200, "headers": [
            (b"content-type", b"application/octet-stream"),
            (b"x-method", scope["method"].encode()),
            (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]})
        while True:
            event = await receive()
            length += len(event["body"])
            await send({"type": "http.response.body", "body": event["body"],
                        "more_body": event["more_body"]})
            if not event["more_body"]:
                return

    @unittest.skipUnless(shutil.which("curl"), "curl is not installed")
    async def test_curl(self):
        await self.application(self.echo, lifespan="off")
        data = random.randbytes(300000)
        self.p.write("upload", data)
        for options in (("-T", "-"), ("--data-binary", "@-"),
                        ("-H", "Expect: 100-continue", "-T", "-"),
                        ("--http1.0", "--data-binary", "@-")):
            process = await asyncio.create_subprocess_exec(
                "curl", "-s", "-S", "--max-time", "20", *options,
                self.p.url("/upload"), stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE)
            out, _ = await soon(process.communicate(data))
            self.assertEqual(process.returncode, 0, options)
            self.assertTrue(out == data, options)
        process = await asyncio.create_subprocess_exec(
            "curl", "-s", "-I", self.p.url("/"),
            stdout=asyncio.subprocess.PIPE)
        out, _ = await soon(process.communicate())
        self.assertIn(b"x-method: HEAD", out)

    @unittest.skipUnless(requests, "python3-requests is not installed")
    async def test_requests(self):
        await self.application(self.echo, lifespan="off")

        def ask():
            with requests.Session() as session:
                found = []
                for body in (b"", b"x", b"y" * 200000,
                             (b"chunk" for _ in range(5))):
                    answer = session.put(self.p.url("/p?q"), data=body,
                                         timeout=20)
                    found.append((answer.status_code, answer.content))
                return found, dict(session.cookies)

        found, cookies = await soon(
            asyncio.get_running_loop().run_in_executor(None, ask))
        self.assertEqual(found, [(200, b""), (200, b"x"),
                                 (200, b"y" * 200000), (200, b"chunk" * 5)])
        self.assertEqual(cookies, {"a": "1", "b": "2"})


@unittest.skipUnless(starlette, "python3-starlette is not installed")
class StarletteTest(AsgiTestCase):
    def setUp(self):
        self.p = self.gateway()

    def app(self):
        from starlette.applications import Starlette
        from starlette.background import BackgroundTask
        from starlette.endpoints import WebSocketEndpoint
        from starlette.responses import (
            JSONResponse, PlainTextResponse, StreamingResponse)
        from starlette.routing import Route, WebSocketRoute
        from starlette.websockets import WebSocketDisconnect

        self.events = asyncio.Queue()

        async def after():
            self.events.put_nowait("after")

        async def home(request):
            return JSONResponse({
                "client": request.client.host, "url": str(request.url),
                "name": request.path_params.get("name"),
                "q": request.query_params.get("q"),
                "body": len(await request.body())},
                background=BackgroundTask(after))

        async def stream(request):
            async def pieces():
                for n in range(100):
                    yield b"%d\n" % n

            return StreamingResponse(pieces(), media_type="text/plain")

        def threaded(request):
            return PlainTextResponse("from a thread")

        class Echo(WebSocketEndpoint):
            encoding = "json"

            async def on_receive(self, websocket, data):
                await websocket.send_json({"echo": data})

            async def on_disconnect(endpoint, websocket, close_code):
                self.events.put_nowait(close_code)

        async def chat(websocket):
            await websocket.accept(subprotocol="chat")
            try:
                while True:
                    await websocket.send_text(await websocket.receive_text())
            except WebSocketDisconnect as e:
                self.events.put_nowait(e.code)

        async def refuse(websocket):
            await websocket.close(4003)

        @contextlib.asynccontextmanager
        async def lifespan(app):
            self.events.put_nowait("startup")
            yield

        return Starlette(
            routes=[
                Route("/hello/{name}", home, methods=["GET", "POST"]),
                Route("/stream", stream), Route("/threaded", threaded),
                WebSocketRoute("/ws/echo", Echo),
                WebSocketRoute("/ws/chat", chat),
                WebSocketRoute("/ws/refuse", refuse),
            ], lifespan=lifespan)

    async def test_http(self):
        await self.application(self.app(), lifespan="on")
        self.assertEqual(await soon(self.events.get()), "startup")
        status, head, body = await self.get("/hello/you?q=%C3%A4", "POST",
                                            b"x" * 100000)
        self.assertEqual((status, json.loads(body)), (200, {
            "client": "127.0.0.1", "url": "http://example.com/hello/you?q=%C3%A4",
            "name": "you", "q": "\u00e4", "body": 100000}))
        self.assertEqual(await soon(self.events.get()), "after")
        _, _, body = await self.get("/stream")
        self.assertEqual(body, b"".join(b"%d\n" % n for n in range(100)))
        self.assertEqual((await self.get("/threaded"))[2], b"from a thread")
        self.assertEqual((await self.get("/nowhere"))[0], 404)
        self.assertEqual((await self.get("/stream", "POST"))[0], 405)

    async def test_websocket(self):
        await self.application(self.app())
        await soon(self.events.get())
        ws = await self.connect(self.p, "/ws/echo")
        await ws.send('{"a": 1}')
        self.assertEqual(json.loads(await soon(ws.recv())),
                         {"echo": {"a": 1}})
        await ws.close(1001)
        self.assertEqual(await soon(self.events.get()), 1001)
        ws = await self.connect(self.p, "/ws/chat", subprotocols=["chat"])
        self.assertEqual(ws.subprotocol, "chat")
        for text in ("one", "two", "x" * 100000):
            await ws.send(text)
            self.assertEqual(await soon(ws.recv()), text)
        await ws.close(4242)
        self.assertEqual(await soon(self.events.get()), 4242)
        for path in ("/ws/refuse", "/ws/nowhere"):
            with self.assertRaises(websockets.InvalidStatusCode) as raised:
                await self.connect(self.p, path)
            self.assertEqual(raised.exception.status_code, 403)


if __name__ == "__main__":
    unittest.main()
