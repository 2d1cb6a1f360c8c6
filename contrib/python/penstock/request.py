# SPDX-License-Identifier: BSD-2-Clause
"""What OPEN, RESUME and HTTP_REQ say about a client."""

from . import codec


def text(value):
    return value.decode("utf-8", "surrogateescape")


class Request:
    """A handshake, or an HTTP request without its body.

    Penstock vouches for all but `headers`, `target` and `method`, which are
    what the client sent.
    """

    def __init__(self, opened):
        self.ws_version = opened.ws_version
        self.http_version = {10: "1.0", 11: "1.1", 20: "2", 30: "3"}.get(
            opened.http_version, "1.1")
        self.tls = None  # a Tls, where the client speaks it
        self.binary_ok = bool(opened.flags & codec.OPEN_BINARY_OK)
        self.by_proxy = bool(opened.flags & codec.OPEN_BY_PROXY)
        self.already_open = bool(opened.flags & codec.OPEN_ALREADY)
        self.max_message = opened.max_message
        self.time = opened.t_us / 1e6
        self.headers, self.subprotocols = [], []
        self.captures, self.params = {}, {}
        found = {}
        for tag, value in opened.tlvs:
            if tag == codec.HEADER:
                self.headers.append(codec.get_header(value))
            elif tag == codec.SUBPROTOCOL:
                self.subprotocols.append(text(value))
            elif tag == codec.CAPTURE:
                name, value = codec.get_named(value)
                self.captures[text(name)] = text(value)
            elif tag == codec.VAR:
                name, value = codec.get_named(value)
                self.params[text(name)] = text(value)
            else:
                found.setdefault(tag, value)
        self.method = text(found.get(codec.METHOD, b"GET"))
        self.target = found.get(codec.TARGET, b"")
        self.path = text(found.get(codec.PATH, b""))
        self.query = self.target.partition(b"?")[2]
        self.client = (text(found.get(codec.REMOTE_ADDR, b"")),
                       opened.remote_port)
        self.server = (text(found.get(codec.LOCAL_ADDR, b"")),
                       opened.local_port)
        self.origin = _maybe(found, codec.ORIGIN)
        self.location = _maybe(found, codec.LOCATION)
        self.extension = _maybe(found, codec.EXTENSION)
        self.app = _maybe(found, codec.APP)
        self.route = _maybe(found, codec.ROUTE)
        self.request_id = found.get(codec.REQUEST_ID, b"")
        if opened.flags & codec.OPEN_TLS:
            self.tls = Tls(found.get(codec.TLS, b""))

    def header(self, name, default=None):
        """The first field of that name, as text."""
        wanted = name.lower().encode("latin-1")
        for key, value in self.headers:
            if key.lower() == wanted:
                return value.decode("latin-1")
        return default


class Tls:
    """What there is of it; None is what the gateway did not say."""

    def __init__(self, payload=b""):
        self.client_certs = []  # PEM, the client's own first
        found = {}
        for tag, value in codec.tlvs(payload):
            if tag == codec.TLS_CLIENT_CERT:
                self.client_certs.append(text(value))
            else:
                found.setdefault(tag, value)
        # Numbers of IANA's registries: 0x0304 is TLS 1.3.
        self.version = _number(found, codec.TLS_VERSION)
        self.cipher = _number(found, codec.TLS_CIPHER)
        self.server_name = _maybe(found, codec.TLS_SNI)
        self.alpn = _maybe(found, codec.TLS_ALPN)
        self.verify_error = _maybe(found, codec.TLS_VERIFY_ERROR)
        self.client_dn = _maybe(found, codec.TLS_CLIENT_DN)  # RFC 4514
        self.server_cert = _maybe(found, codec.TLS_SERVER_CERT)


class RawConnection:
    """A TCP connection that Penstock accepted (`conn_events on`)."""

    def __init__(self, listener, payload):
        found = dict(codec.tlvs(payload, 0, codec.CONN))
        self.listener = listener
        self.remote_addr = text(found.get(codec.REMOTE_ADDR, b""))
        self.remote_port = _number(found, codec.REMOTE_PORT)
        self.local_addr = text(found.get(codec.LOCAL_ADDR, b""))
        self.local_port = _number(found, codec.LOCAL_PORT)
        self.secure = codec.TLS in found


class RefusedClient:
    """A handshake that Penstock refused itself."""

    def __init__(self, code, payload):
        found = dict(codec.tlvs(payload, 0, codec.CLIENT_ERROR))
        self.code = code
        self.reason = text(found.get(codec.REASON, b""))
        self.remote_addr = text(found.get(codec.REMOTE_ADDR, b""))
        self.target = found.get(codec.TARGET, b"")


def _number(found, tag):
    value = found.get(tag)
    return None if value is None or len(value) < 2 \
        else codec.U16.unpack_from(value)[0]


def _maybe(found, tag):
    value = found.get(tag)
    return None if value is None else text(value)
