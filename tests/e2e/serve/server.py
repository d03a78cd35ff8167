"""A small HTTP server for the tests: takes its sockets as systemd passes them, and drains when it is asked to end.

server.py [--version V] [--notify] [--fail CODE] [--hang] [--sick] [--stubborn]
"""

import argparse
import asyncio
import os
import signal
import socket

parser = argparse.ArgumentParser()
parser.add_argument("--version", default="v1")
parser.add_argument("--notify", action="store_true", help="say READY=1")
parser.add_argument("--fail", type=int, help="exit with this code before being ready")
parser.add_argument("--hang", action="store_true", help="never be ready")
parser.add_argument("--sick", action="store_true", help="answer /health with 503")
parser.add_argument("--stubborn", action="store_true", help="do not end on TERM")
options = parser.parse_args()

connections = set()
draining = asyncio.Event()


def say(text):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
        to.sendto(text.encode(), os.environ["NOTIFY_SOCKET"])


def given():
    assert os.environ["LISTEN_PID"] == str(os.getpid()), "the sockets are another's"
    names = os.environ["LISTEN_FDNAMES"].split(":")
    assert len(names) == int(os.environ["LISTEN_FDS"])
    return [socket.socket(fileno=3 + number) for number in range(len(names))]


async def serve(reader, writer):
    task = asyncio.current_task()
    connections.add(task)
    try:
        while True:
            line = await reader.readline()
            if not line:
                return
            while (await reader.readline()).strip():
                pass
            path = line.split()[1].decode()
            if path == "/crash":
                os._exit(9)
            if path.startswith("/slow"):
                await asyncio.sleep(0.2)
            code = "503 Sick" if options.sick and path == "/health" else "200 OK"
            body = f"{options.version} {os.getpid()}\n"
            last = draining.is_set()
            head = f"HTTP/1.1 {code}\r\nContent-Length: {len(body)}\r\n"
            head += "Connection: close\r\n\r\n" if last else "\r\n"
            writer.write((head + body).encode())
            await writer.drain()
            if last:
                return
    except ConnectionError:
        pass
    finally:
        connections.discard(task)
        writer.close()


async def main():
    if options.fail is not None:
        raise SystemExit(options.fail)
    if options.hang:
        await asyncio.sleep(3600)
    servers = [
        await (asyncio.start_unix_server if it.family == socket.AF_UNIX else asyncio.start_server)(serve, sock=it)
        for it in given()
    ]
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, (lambda: print("stubborn", flush=True)) if options.stubborn else draining.set)
    loop.add_signal_handler(signal.SIGUSR1, lambda: print("got USR1", flush=True))
    if options.notify:
        say("STATUS=warm")
        say("READY=1")
    print(f"{options.version} serves", flush=True)
    await draining.wait()
    # asyncio drops what it has accepted and not yet begun to serve when its server is closed: accept no more, and let it begin.
    for server in servers:
        for it in server.sockets:
            loop.remove_reader(it.fileno())
    for _ in range(20):
        await asyncio.sleep(0)
    # Closing one's own copy of a socket harms nobody; the queue is the supervisor's.
    for server in servers:
        server.close()
    # Clients that keep their connection are told with the next answer that it was the last.
    if connections:
        await asyncio.wait(connections, timeout=5)
    os._exit(0)


asyncio.run(main())
