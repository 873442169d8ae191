"""Small servers on the loopback that answer as a test wants: well, badly, in pieces or not at all."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Reply = Callable[[socket.socket], None]


@contextmanager
def listening(reply: Reply) -> Iterator[int]:
    """Listen on a port of the loopback; every connection is given to `reply` and closed."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        stopping = threading.Event()

        def serve() -> None:
            while not stopping.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                with connection, suppress(OSError):
                    reply(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            stopping.set()
            thread.join()


def says(text: bytes) -> Reply:
    """Answer every request with the same bytes."""

    def reply(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(text)

    return reply


def silent(connection: socket.socket) -> None:
    """Take a request and say nothing for a while."""
    connection.recv(4096)
    time.sleep(0.3)
