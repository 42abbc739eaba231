"""The features, remembered for a moment: usage is reported far more often than the catalog changes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from chalicelib.domain.features import Feature
from chalicelib.ports import Ports, Store
from chalicelib.services.listing import all_within

# What a feature is (its type, its meter) never changes. One that was created since is looked for by its id, or is not
# fed by events for that long.
REMEMBERED_FOR: Final = timedelta(seconds=10)


@dataclass(slots=True)
class _Memory:
    store: Store | None = None
    until: datetime | None = None
    features: Mapping[str, Feature] = field(default_factory=dict)


_memory: Final = _Memory()


def known_features(ports: Ports) -> Mapping[str, Feature]:
    """All features by id, at most `REMEMBERED_FOR` old."""
    now = ports.clock.now()
    if _memory.store is not ports.store or _memory.until is None or now >= _memory.until:
        _memory.features = {feature.id: feature for feature in all_within(ports.store, Feature)}
        _memory.store = ports.store
        _memory.until = now + REMEMBERED_FOR
    return _memory.features


def find_feature(ports: Ports, feature_id: str) -> Feature | None:
    """The feature, however new; None if there is none."""
    return known_features(ports).get(feature_id) or ports.store.get(Feature, feature_id)


def feature_types(ports: Ports) -> dict[str, str]:
    """Feature id to type, at most `REMEMBERED_FOR` old."""
    return {feature_id: feature.type for feature_id, feature in known_features(ports).items()}
