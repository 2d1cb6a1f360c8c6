# SPDX-License-Identifier: BSD-2-Clause
"""Every program of the README, behind the real gateway."""

import os
import re
import unittest

from harness import PACKAGE, BackendTestCase, soon

CHAT = "location /chat { websocket_pass app; }"

# The word that tells a program apart, where it is, what is said to it and
# what it answers; None: it is asked by HTTP.
PROGRAMS = (
    ('Backend("echo")', "/ws", "hello", "hello"),
    ("class Chat", "/chat", "to all", "to all"),
    ('Backend("site")', "/", None, b"9\n"),
    ('Backend("counter")', "/ws", "four", "4"),
    ("penstock.websockets", "/ws", "hello", "hello"),
)


def programs():
    with open(os.path.join(PACKAGE, "README.md")) as f:
        return re.findall(r"```python\n(.*?)```", f.read(), re.S)


class ReadmeTest(BackendTestCase):
    def test_every_program_has_its_line(self):
        found = programs()
        self.assertEqual(len(found), len(PROGRAMS))
        for program, (word, *_) in zip(found, PROGRAMS):
            self.assertIn(word, program)
        self.assertLessEqual(found[0].count("\n"), 15)

    async def test_programs(self):
        for program, (word, path, message, answer) in zip(programs(),
                                                          PROGRAMS):
            with self.subTest(word):
                p = self.gateway(plain="} " + CHAT[:-1])
                process = self.process(
                    p, ["-c", program],
                    {"PENSTOCK_SOCKET": p.path("app.sock")})
                await self.until("ready", lambda: "backend is ready"
                                 in p.log())
                if message is None:
                    _, body = await self.fetch(
                        p, b"GET / HTTP/1.1\r\nHost: x\r\n"
                        b"Connection: close\r\n\r\n")
                    self.assertIn(answer, body)
                    continue
                ws = await self.connect(p, path)
                await ws.send(message)
                self.assertEqual(await soon(ws.recv()), answer)
                await ws.close()
                process.terminate()
                # asyncio.run() alone does not mind SIGTERM.
                self.assertEqual(process.wait(20), -15 if "asyncio.run("
                                 in program else 0)


if __name__ == "__main__":
    unittest.main()
