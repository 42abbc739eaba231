"""TCP ports of this machine: which are free, and what to say when one is not."""

import secrets
import socket
from itertools import chain
from typing import Final

from infra.local.errors import LocalStackError

HOST: Final = "127.0.0.1"
# Below those that systems give to outgoing connections (Linux from 32768 on, others from 49152): a connection of
# somebody else's would take the port away from whoever was told that it is free and has yet to listen there.
NEVER_OUTGOING: Final = range(10_000, 30_000)


class PortBusyError(LocalStackError):
    """Another program listens where we want to."""

    def __init__(self, port: int, option: str) -> None:
        super().__init__(
            f"Port {port} is in use by another program: stop it, or choose another with {option}."
        )
        self.port = port
        self.option = option


def free_port(among: range = NEVER_OUTGOING) -> int:
    """A port that nobody listens on, and that no other call gets, here or elsewhere, while this process lives.

    Raises:
        LocalStackError: There is none.
    """
    first = secrets.randbelow(len(among))
    for port in chain(among[first:], among[:first]):
        if _can_listen(port) and _claim(port):
            return port
    raise LocalStackError(f"No port from {among.start} to {among.stop - 1} is free.")


def _can_listen(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _claim(port: int) -> bool:
    """UDP's port of the same number, which nobody uses, tells the others; the system lets go of it with the process."""
    claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        claim.bind((HOST, port))
    except OSError:
        claim.close()
        return False
    claim.detach()
    return True


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
