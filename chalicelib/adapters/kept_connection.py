"""One HTTP/1.1 connection that is used again and again: a request in one packet, an answer of declared length.

What `http.client` does for each message (two packets, every header parsed as e-mail's) costs more than signing and
parsing together, its import more than a check, and the answers of AWS need none of it. An answer in any other form is
not guessed at.
"""

import socket
from collections.abc import Callable, Mapping
from typing import BinaryIO, Final

MAX_BODY_BYTES: Final = 8 << 20  # a page of DynamoDB is 1 MB before JSON escapes its quotes
_MAX_LINE_BYTES: Final = 1 << 14
_MAX_HEADERS: Final = 100


class OddAnswerError(Exception):
    """The answer is none that AWS gives."""


class KeptConnection:
    """Not safe in threads: one at a time uses it. Any error makes it unusable, and it is to be closed."""

    def __init__(self, connect: Callable[[], socket.socket]) -> None:
        """Nothing is opened yet; `connect` opens it, and raises `OSError` if nobody who should be there is."""
        self._connect = connect
        self._socket: socket.socket | None = None
        self._answers: BinaryIO | None = None
        self.is_reusable = True

    def post(self, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """The status and the body of the answer.

        Raises:
            OSError: Nobody is there, or it takes too long (`TimeoutError`).
            OddAnswerError: The answer can't be read.
        """
        if self._socket is None or self._answers is None:
            self._socket = self._connect()
            self._answers = self._socket.makefile("rb")
        lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
        head = f"POST / HTTP/1.1\r\n{''.join(lines)}Content-Length: {len(body)}\r\n\r\n"
        self._socket.sendall(head.encode("latin-1") + body)
        return self._answer(self._answers)

    def _answer(self, answers: BinaryIO) -> tuple[int, bytes]:
        line = answers.readline(_MAX_LINE_BYTES)
        if not line:
            raise ConnectionResetError("The other side has closed the connection.")
        version, _, rest = line.partition(b" ")
        status = rest[:3]
        if version != b"HTTP/1.1" or not status.isdigit():
            raise OddAnswerError("no status line of HTTP/1.1")
        length: int | None = None
        for _ in range(_MAX_HEADERS):
            line = answers.readline(_MAX_LINE_BYTES)
            name, colon, value = line.partition(b":")
            if not colon:
                break
            name = name.lower()
            if name == b"content-length" and value.strip().isdigit():
                length = int(value)
            elif name == b"transfer-encoding":
                raise OddAnswerError("a body in pieces")
            elif name == b"connection" and value.strip().lower() == b"close":
                self.is_reusable = False
        if line not in (b"\r\n", b"\n") or length is None or length > MAX_BODY_BYTES:
            raise OddAnswerError("no body of a declared length")
        body = answers.read(length)
        if len(body) != length:
            raise ConnectionResetError("The other side has closed the connection.")
        return int(status), body

    def close(self) -> None:
        """The connection is gone."""
        if self._answers is not None:
            self._answers.close()
        if self._socket is not None:
            self._socket.close()
