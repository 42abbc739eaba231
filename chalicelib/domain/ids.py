"""The ids of things: which ones callers choose and what the generated ones begin with."""

import hashlib
import re
from typing import Final, NewType

CustomerId = NewType("CustomerId", str)
FeatureId = NewType("FeatureId", str)
ProductId = NewType("ProductId", str)
PackageId = NewType("PackageId", str)
"""The id of a plan or of an add-on."""
SubscriptionId = NewType("SubscriptionId", str)

CHOSEN_ID_PATTERN: Final = r"^[A-Za-z0-9._:@+\-]{1,128}$"
_CHOSEN_ID: Final = re.compile(r"[A-Za-z0-9._:@+\-]{1,128}")


def is_chosen_id(value: str) -> bool:
    """Whether a caller may choose this id."""
    return _CHOSEN_ID.fullmatch(value) is not None


def derived_id(prefix: str, *parts: str) -> str:
    """An id that the same parts always give again: a retried operation finds what its first try made."""
    digest = hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
    return f"{prefix}{digest[:24]}"
