"""Dependencies between entitlements: who is granted a feature is granted those that it needs."""

from collections.abc import Iterable, Sequence

from chalicelib.domain.entitlements import Entitlement
from chalicelib.domain.ids import FeatureId

_Refusal = tuple[str, str, str]
"""The field's path, a stable code, and what is wrong with it."""


def dependency_refusals(
    own: Sequence[Entitlement], granted_with_it: Iterable[Entitlement], *, closed: bool
) -> Iterable[_Refusal]:
    """What is wrong with the dependencies of these entitlements.

    Args:
        own: Those that are looked at.
        granted_with_it: All others that the customer has where it has these.
        closed: Whether there are no more; if not, only what can never be right is refused.
    """
    needs = {
        entitlement.feature_id: entitlement.depends_on_feature_id
        for entitlement in (*granted_with_it, *own)
    }
    for index, entitlement in enumerate(own):
        needed = entitlement.depends_on_feature_id
        at = f"entitlements[{index}].depends_on_feature_id"
        if needed is None:
            continue
        if _returns(needs, entitlement.feature_id):
            yield at, "cycle", f"{entitlement.feature_id!r} comes to depend on itself."
        elif closed and needed not in needs:
            yield at, "missing_dependency", f"{needed!r} is not granted with it."


def missing_features(
    own: Sequence[Entitlement], granted_with_it: Iterable[Entitlement]
) -> tuple[FeatureId, ...]:
    """The features that these depend on and that nobody grants."""
    granted = {entitlement.feature_id for entitlement in (*own, *granted_with_it)}
    needed = {entitlement.depends_on_feature_id for entitlement in own}
    return tuple(sorted(one for one in needed if one is not None and one not in granted))


def _returns(needs: dict[FeatureId, FeatureId | None], start: FeatureId) -> bool:
    seen: set[FeatureId] = set()
    at = needs.get(start)
    while at is not None and at not in seen:
        if at == start:
            return True
        seen.add(at)
        at = needs.get(at)
    return False
