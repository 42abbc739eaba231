"""The spelling of the API's paths."""

from urllib.parse import quote


def path(*segments: str) -> str:
    """A path below `/v1` whose segments may hold any character."""
    return "/v1/" + "/".join(quote(segment, safe="") for segment in segments)
