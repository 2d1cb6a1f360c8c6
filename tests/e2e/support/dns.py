# SPDX-License-Identifier: BSD-2-Clause
"""A name server on a free UDP port that answers from a dict.

    with NameServer({"app.test": ["127.0.0.1"]}) as dns:
        ... f"resolver 127.0.0.1:{dns.port};"
        dns.names["app.test"] = ["127.0.0.2", "::1"]
"""

import socket
import struct
import threading

A, AAAA = 1, 28


class NameServer:
    def __init__(self, names, ttl=60):
        self.names, self.ttl = dict(names), ttl
        self.questions = []
        self.rcode = 0
        self.silent = False
        self.s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.s.bind(("127.0.0.1", 0))
        self.port = self.s.getsockname()[1]
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.stopped = True
        # Wakes the thread, which a close() alone does not.
        self.s.sendto(b"", ("127.0.0.1", self.port))
        self.thread.join()
        self.s.close()

    def asked(self, name, kind=A):
        return self.questions.count((name, kind))

    def serve(self):
        while True:
            data, client = self.s.recvfrom(2000)
            if len(data) < 12:
                return
            at, labels = 12, []
            while data[at]:
                labels.append(data[at + 1 : at + 1 + data[at]].decode())
                at += 1 + data[at]
            kind = struct.unpack(">H", data[at + 1 : at + 3])[0]
            question = data[12 : at + 5]
            name = ".".join(labels).lower()
            self.questions.append((name, kind))
            if not self.silent:
                self.s.sendto(
                    self.answer(data[:2], question, name, kind), client
                )

    def answer(self, id, question, name, kind):
        found = self.names.get(name)
        records = []
        for a in found or ():
            six = ":" in a
            if kind == (AAAA if six else A):
                family = socket.AF_INET6 if six else socket.AF_INET
                raw = socket.inet_pton(family, a)
                records.append(
                    struct.pack(">HHHIH", 0xC00C, kind, 1, self.ttl, len(raw))
                    + raw
                )
        rcode = self.rcode or (3 if found is None else 0)
        head = struct.pack(
            ">HHHHH", 0x8180 | rcode, 1, len(records), 0, 0
        )
        return id + head + question + b"".join(records)
