"""The types of all features, remembered for a moment: what tells an unknown feature from an ungranted one."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from chalicelib.domain.features import Feature
from chalicelib.ports import Ports, Store
from chalicelib.services.listing import all_within

# Only denials look here. A feature created within the last seconds may be reported as unknown that long.
REMEMBERED_FOR: Final = timedelta(seconds=10)


@dataclass(slots=True)
class _Memory:
    store: Store | None = None
    until: datetime | None = None
    types: dict[str, str] = field(default_factory=dict)


_memory: Final = _Memory()


def feature_types(ports: Ports) -> dict[str, str]:
    """Feature id to type, at most `REMEMBERED_FOR` old."""
    now = ports.clock.now()
    if _memory.store is not ports.store or _memory.until is None or now >= _memory.until:
        found = all_within(ports.store, Feature)
        _memory.types = {feature.id: feature.type for feature in found}
        _memory.store = ports.store
        _memory.until = now + REMEMBERED_FOR
    return _memory.types
