"""What a usage counter counts: a feature for the whole customer, or for one resource of it (a workspace, a project).

Both are counted apart: what is used of one resource is neither another's usage nor the customer's own.
"""

from typing import Final

# In no id that a caller may choose (see `ids.CHOSEN_ID_PATTERN`), so that a name is never ambiguous.
_SEPARATOR: Final = "/"


def counter_name(feature_id: str, resource_id: str | None) -> str:
    """What the counter is called in the customer's usage."""
    return feature_id if resource_id is None else f"{feature_id}{_SEPARATOR}{resource_id}"


def counted_by(name: str) -> tuple[str, str | None]:
    """The feature and the resource that the counter of this name is about."""
    feature_id, _, resource_id = name.partition(_SEPARATOR)
    return feature_id, resource_id or None
