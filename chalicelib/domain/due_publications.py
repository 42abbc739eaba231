"""What is to be published at a set time, in the order of those times: how the minute's sweep finds it."""

from dataclasses import dataclass
from datetime import UTC, datetime

from chalicelib.domain.ids import PackageId
from chalicelib.domain.plans import Package, PackageKind


@dataclass(frozen=True, slots=True, kw_only=True)
class DuePublication:
    """A package's draft waits for this moment; written and deleted with the package's `scheduled`."""

    publish_at: datetime
    kind: PackageKind
    package_id: PackageId

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells one from another: the earliest come first."""
        moment = self.publish_at.astimezone(UTC).isoformat(timespec="microseconds")
        return (moment, self.kind, self.package_id)


def due_of(package: Package) -> DuePublication | None:
    """When the package's draft is due; None if nothing is scheduled, or if it was tried and failed."""
    scheduled = package.scheduled
    if scheduled is None or scheduled.error is not None:
        return None
    return DuePublication(publish_at=scheduled.publish_at, kind=package.kind, package_id=package.id)
