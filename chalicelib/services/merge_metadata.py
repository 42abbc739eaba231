"""Metadata of a PATCH: merged key by key, inside the write that may have to start again."""

from collections.abc import Mapping
from typing import Any, Final

from chalicelib.domain.errors import invalid

MAX_METADATA_KEYS: Final = 40  # providers allow 50; our own marks need a few


def merged_metadata(
    current: Mapping[str, str], patch: Mapping[str, str | None] | None
) -> dict[str, str]:
    """The metadata after the patch: null for a key removes it, null as a whole clears all.

    Raises:
        InvalidError: There would be too many keys.
    """
    merged: dict[str, str | None] = {} if patch is None else {**current, **patch}
    metadata = {key: value for key, value in merged.items() if value is not None}
    if len(metadata) > MAX_METADATA_KEYS:
        raise invalid("metadata", "bad_length", f"There are at most {MAX_METADATA_KEYS} keys.")
    return metadata


def with_merged_metadata(current: Mapping[str, str], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes as they stand, but with their patch of the metadata, if any, applied to the current one."""
    if "metadata" not in changes:
        return dict(changes)
    return {**changes, "metadata": merged_metadata(current, changes["metadata"])}
