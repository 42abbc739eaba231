"""Where handlers get their ports from: the wiring, unless a test or a tool provides others."""

import time
from collections.abc import Callable
from typing import Final

from chalicelib.api.key_cache import KeyCache
from chalicelib.api.rate_limits import Buckets, Nanoseconds
from chalicelib.ports import Ports

PortsFactory = Callable[[], Ports]


def _wired() -> Ports:
    # Imported late: describing the API (documents, packaging) needs no configured environment.
    from chalicelib import wiring  # noqa: PLC0415

    return wiring.ports(interactive=True)


class _Runtime:
    def __init__(self) -> None:
        self.factory: PortsFactory = _wired
        self.keys = KeyCache()
        self.buckets = Buckets()


_runtime: Final = _Runtime()


def set_ports_factory(factory: PortsFactory | None, now: Nanoseconds = time.monotonic_ns) -> None:
    """Handlers get their ports from here, or again from the wiring; no key and no request is remembered."""
    _runtime.factory = factory or _wired
    _runtime.keys = KeyCache()
    _runtime.buckets = Buckets(now)


def ports() -> Ports:
    """The ports of this process."""
    return _runtime.factory()


def keys() -> KeyCache:
    """The API keys seen lately."""
    return _runtime.keys


def buckets() -> Buckets:
    """How often each caller has asked lately."""
    return _runtime.buckets
