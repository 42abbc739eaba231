"""How a difference tells both sides: what names the object, and the values that differ, alone."""

from collections.abc import Iterator, Mapping

from chalicelib.domain.reconciliations import Difference, DriftKind


def between(
    kind: DriftKind,
    named: Mapping[str, object],
    ours: Mapping[str, object],
    theirs: Mapping[str, object],
) -> Difference:
    """Of the values those that differ, on both sides beside what names the object."""
    differing = [name for name in ours if ours[name] != theirs[name]]
    return Difference(
        kind=kind,
        ours={**named, **{name: ours[name] for name in differing}},
        theirs={**named, **{name: theirs[name] for name in differing}},
    )


def of_metadata(
    kind: DriftKind, named: Mapping[str, object], ours: Mapping[str, str], theirs: Mapping[str, str]
) -> Iterator[Difference]:
    """The keys of ours that the provider lacks or holds otherwise; keys that are not ours belong to others."""
    lacking = [name for name, value in ours.items() if theirs.get(name) != value]
    if lacking:
        yield between(
            kind,
            named,
            {"metadata": {name: ours[name] for name in lacking}},
            {"metadata": {name: theirs.get(name) for name in lacking}},
        )
