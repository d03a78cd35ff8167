"""The two servers a case may need, on ports the kernel picks: files over HTTP, and a gRPC endpoint
that gives one answer to every call."""

import http.server
import socket
import socketserver
import struct
import threading
import time


class Files:
    """Serves what the function gives for a path, or 404 where it gives nothing."""

    def __init__(self, body_of):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = body_of(self.path.split("?")[0])
                self.send_response(404 if body is None else 200)
                body = body or b""
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            do_HEAD = do_GET

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = "127.0.0.1:%d" % self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


SETTINGS, HEADERS, DATA, PING = 4, 1, 0, 6
END_STREAM, END_HEADERS, ACK = 1, 4, 1


class Grpc:
    """Answers every call with one message, or with one error; the message may be a function of the
    seconds since the start. It speaks as little HTTP/2 as that takes and does not look at what is
    asked."""

    def __init__(self, message=None, status=0, reason=""):
        self.message, self.status, self.reason = message, status, reason
        self.started = time.monotonic()
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                try:
                    outer.converse(self)
                except (OSError, struct.error):
                    pass

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

        self.server = Server(("127.0.0.1", 0), Handler)
        self.address = "127.0.0.1:%d" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def converse(self, peer):
        def send(kind, flags, stream, payload=b""):
            length = struct.pack(">I", len(payload))[1:]
            peer.wfile.write(length + struct.pack(">BBI", kind, flags, stream) + payload)

        def header(name, value):
            pair = (name.encode(), value.encode())
            return b"\0" + b"".join(bytes([len(part)]) + part for part in pair)

        peer.connection.settimeout(60)
        peer.rfile.read(24)
        send(SETTINGS, 0, 0)
        while True:
            head = peer.rfile.read(9)
            if len(head) < 9:
                return
            length = int.from_bytes(head[:3], "big")
            kind, flags, stream = struct.unpack(">BBI", head[3:])
            payload = peer.rfile.read(length)
            if kind == SETTINGS and not flags & ACK:
                send(SETTINGS, ACK, 0)
            elif kind == PING and not flags & ACK:
                send(PING, ACK, 0, payload)
            elif kind in (HEADERS, DATA) and flags & END_STREAM:
                # 0x88 is ":status: 200"
                content_type = header("content-type", "application/grpc")
                send(HEADERS, END_HEADERS, stream, b"\x88" + content_type)
                message = self.message
                if callable(message):
                    message = message(time.monotonic() - self.started)
                if message is not None:
                    length = struct.pack(">I", len(message))
                    send(DATA, 0, stream, b"\0" + length + message)
                trailer = header("grpc-status", str(self.status))
                trailer += header("grpc-message", self.reason)
                send(HEADERS, END_HEADERS | END_STREAM, stream, trailer)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def closed_port():
    """An address on which nobody listens: the port is bound for as long as the socket lives, and
    connections to it are refused."""
    holder = socket.socket()
    holder.bind(("127.0.0.1", 0))
    return holder, "127.0.0.1:%d" % holder.getsockname()[1]


def field(number, value):
    """A field of a protobuf message: an integer, a text or a message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(value):
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def current_plan(name, height, info):
    """cosmos.upgrade.v1beta1.QueryCurrentPlanResponse"""
    return field(1, field(1, name) + field(2, b"") + field(3, height) + field(4, info))


def latest_block(height):
    """cosmos.base.tendermint.v1beta1.GetLatestBlockResponse"""
    block = field(1, field(2, "chain") + field(3, height))
    return field(2, block) + field(3, block)
