# SPDX-License-Identifier: BSD-2-Clause
"""How large a request may be: large_client_header_buffers and
client_max_body_size give the statuses that nginx gives."""

import socket
import unittest

from support.nginx import CompareTestCase


class RequestLimitTest(CompareTestCase):
    def status(self, port, data):
        """Of the last response to these bytes; None: there was none."""
        with socket.create_connection(("127.0.0.1", port)) as s:
            s.settimeout(20)
            answer = b""
            try:
                s.sendall(data)
                while True:
                    more = s.recv(65536)
                    if not more:
                        break
                    answer += more
            except OSError:
                pass
        lines = [l for l in answer.split(b"\r\n") if l.startswith(b"HTTP/1.1 ")]
        return int(lines[-1].split()[1]) if lines else None

    def same(self, both, data, why):
        expected = self.status(both.nginx.port, data)
        self.assertEqual(self.status(both.ours.port(), data), expected, why)
        return expected

    def head(self, target="/", fields=""):
        return (
            f"GET {target} HTTP/1.1\r\nHost: x\r\n{fields}"
            "Connection: close\r\n\r\n"
        ).encode()

    def test_large_client_header_buffers(self):
        both = self.both(
            "client_header_buffer_size 512; large_client_header_buffers 3 1k;"
            "location / { return 200; }"
        )
        seen = set()
        for n in (100, 480, 700, 980, 1100, 5000):
            seen.add(self.same(both, self.head("/" + "u" * n), ("URI", n)))
            field = f"X-Long: {'v' * n}\r\n"
            seen.add(self.same(both, self.head(fields=field), ("field", n)))
            field = f"{'N' * n}: v\r\n"
            seen.add(self.same(both, self.head(fields=field), ("name", n)))
        self.assertEqual(seen, {200, 400, 414})
        for count in (1, 2, 4, 6):
            fields = "".join(f"X-{i}: {'v' * 900}\r\n" for i in range(count))
            self.same(both, self.head(fields=fields), ("fields", count))

    def test_error_page_494(self):
        both = self.both(
            "large_client_header_buffers 2 1k; error_page 494 =431 /large;"
            "location /large { return 431; } location / { return 200; }"
        )
        self.same(
            both, self.head(fields=f"X: {'v' * 3000}\r\n"), "a page for 494"
        )

    def test_client_max_body_size(self):
        both = self.both(
            "client_max_body_size 1000;"
            "location / { proxy_pass http://127.0.0.1:1; }"
            "location /more { client_max_body_size 2k;"
            " proxy_pass http://127.0.0.1:1; }"
            "location /any { client_max_body_size 0;"
            " proxy_pass http://127.0.0.1:1; }"
            "location /r { return 200; }"
        )
        for place in ("", "more", "any", "r"):
            for n in (0, 1000, 1001, 2048, 2049, 20000):
                head = f"POST /{place} HTTP/1.1\r\nHost: x\r\n"
                plain = head + f"Content-Length: {n}\r\nConnection: close\r\n"
                self.same(
                    both, plain.encode() + b"\r\n" + b"b" * n, (place, n)
                )
                if not n or place == "r":
                    continue
                chunked = head + "Transfer-Encoding: chunked\r\n"
                chunked += f"Connection: close\r\n\r\n{n:x}\r\n{'b' * n}"
                self.same(
                    both, (chunked + "\r\n0\r\n\r\n").encode(),
                    (place, n, "chunked"),
                )


if __name__ == "__main__":
    unittest.main()
