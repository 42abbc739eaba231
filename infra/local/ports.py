"""TCP ports of this machine: which are free, and what to say when one is not."""

import socket
from typing import Final

from infra.local.errors import LocalStackError

HOST: Final = "127.0.0.1"


class PortBusyError(LocalStackError):
    """Another program listens where we want to."""

    def __init__(self, port: int, option: str) -> None:
        super().__init__(
            f"Port {port} is in use by another program: stop it, or choose another with {option}."
        )
        self.port = port
        self.option = option


def free_port() -> int:
    """A port nobody listens on, picked by the system."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def require_free(port: int, option: str) -> None:
    """Nobody listens on the port; `option` is what the user would change.

    Raises:
        PortBusyError: Somebody does.
    """
    with socket.socket() as probe:
        probe.settimeout(1)
        # Asking, too: a listener on all addresses does not always keep us from binding one.
        answered = probe.connect_ex((HOST, port)) == 0
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as our server will
        try:
            probe.bind((HOST, port))
        except OSError:
            answered = True
    if answered:
        raise PortBusyError(port, option)
