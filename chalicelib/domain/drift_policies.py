"""What an environment does about what is not as it should be."""

from enum import StrEnum


class DriftPolicy(StrEnum):
    """What is done about a provider's catalog that is not ours any more: made good, or only told of."""

    RESTORE = "restore"
    REPORT = "report"


class DuplicatePolicy(StrEnum):
    """What is done about a second paid subscription of a product: ended and paid back, or only told of."""

    REFUND = "refund"
    REPORT = "report"
