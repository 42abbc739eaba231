"""The features that imported prices count: one for each meter, and one for each unit that is sold."""

from collections.abc import Iterable
from datetime import datetime

from chalicelib.domain.features import (
    Aggregation,
    Feature,
    FeatureType,
    Lifecycle,
    Meter,
    UsageKind,
)
from chalicelib.domain.foreign_catalog import ForeignMeter, ForeignProduct
from chalicelib.domain.ids import FeatureId
from chalicelib.domain.import_report import IMPORTED_FROM, Slugs, name_of

_UNIT_LENGTH = 64


class ImportedFeatures:
    """Features by what they were made of; those of an earlier import serve again."""

    def __init__(self, held: Iterable[Feature], now: datetime) -> None:
        held = tuple(held)
        self._slugs = Slugs(one.id for one in held)
        self._held = {
            (one.metadata.get(IMPORTED_FROM), one.usage_kind, one.meter): one
            for one in held
            if one.status is Lifecycle.ACTIVE and one.type is FeatureType.METERED
        }
        self._now = now
        self._made: dict[str, Feature] = {}

    def of_meter(self, meter: ForeignMeter) -> Feature:
        """What the meter adds up."""
        is_last = meter.formula == "last"
        return self._one(
            meter.billing_id,
            name_of(meter.display_name, meter.event_name),
            UsageKind.FLUCTUATING if is_last else UsageKind.INCREMENTAL,
            meter=Meter(aggregation=Aggregation.COUNT) if meter.formula == "count" else None,
        )

    def of_units(self, product: ForeignProduct) -> Feature:
        """What the product sells by the unit: products with the same label sell the same."""
        label = (product.unit_label or "").strip()
        if label:
            source = f"unit_label:{label.lower()}"
            return self._one(source, label, UsageKind.FLUCTUATING, unit=label[:_UNIT_LENGTH])
        name = name_of(f"{name_of(product.name, product.billing_id)[:200]} units", "Units")
        return self._one(product.billing_id, name, UsageKind.FLUCTUATING)

    def among(self, ids: Iterable[FeatureId]) -> tuple[Feature, ...]:
        """The new ones that have these ids."""
        wanted = set(ids)
        made = (one for one in self._made.values() if one not in self._held.values())
        return tuple(one for one in made if one.id in wanted)

    def _one(
        self,
        source: str,
        name: str,
        usage_kind: UsageKind,
        *,
        unit: str | None = None,
        meter: Meter | None = None,
    ) -> Feature:
        found = self._made.get(source) or self._held.get((source, usage_kind, meter))
        if found is None:
            feature_id, _ = self._slugs.new(name, source)
            found = Feature(
                id=FeatureId(feature_id),
                name=name,
                type=FeatureType.METERED,
                usage_kind=usage_kind,
                unit=unit,
                meter=meter,
                metadata={IMPORTED_FROM: source},
                created_at=self._now,
            )
        self._made[source] = found
        return found
