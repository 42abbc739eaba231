"""A port that was given as free is still free when somebody begins to listen there."""

import socket
import subprocess
import sys

import pytest

from infra.local.errors import LocalStackError
from infra.local.ports import HOST, NEVER_OUTGOING, free_port


def test_free_port_is_none_that_an_outgoing_connection_takes() -> None:
    assert free_port() in NEVER_OUTGOING
    assert max(NEVER_OUTGOING) < 32_768  # where Linux begins with them


def test_free_port_can_be_listened_on_and_is_not_given_twice() -> None:
    ports = [free_port() for _ in range(20)]
    assert len(set(ports)) == len(ports)
    for port in ports:
        socket.create_server((HOST, port)).close()


@pytest.mark.parametrize("address", ["0.0.0.0", HOST])
def test_port_that_somebody_listens_on_is_not_free(address: str) -> None:
    with socket.create_server((address, 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(LocalStackError, match=f"No port from {port} to {port} is free"):
            free_port(range(port, port + 1))


def test_port_given_here_is_not_given_to_another_process() -> None:
    port = free_port()
    code = f"from infra.local.ports import free_port; print(free_port(range({port}, {port + 1})))"
    other = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert f"No port from {port} to {port} is free" in other.stderr
