"""The SBOM is held against the lock, in both directions."""

import json
from typing import Any

import pytest

from infra.supply_chain.inventory import differences
from infra.supply_chain.locks import Pin

A, B = "a" * 64, "b" * 64


def pin(name: str, version: str, *hashes: str) -> Pin:
    return Pin(name, version, frozenset(f"sha256:{one}" for one in hashes), ("requirements.txt",))


def component(name: str, version: str, *hashes: str) -> dict[str, Any]:
    """As cyclonedx-py writes one."""
    return {
        "type": "library",
        "name": name,
        "version": version,
        "purl": f"pkg:pypi/{name}@{version}",
        "externalReferences": [
            {"hashes": [{"alg": "SHA-256", "content": one} for one in hashes], "url": "-"}
        ],
    }


PINS = [pin("boto3", "1.0", A, B), pin("six", "1.17", A), pin("six", "1.18", B)]
COMPONENTS = [
    component("six", "1.18", B),
    component("six", "1.17", A),
    component("boto3", "1.0", B, A),
]


def test_list_of_just_what_is_locked_is_right() -> None:
    assert differences(PINS, json.dumps({"components": COMPONENTS})) == []


@pytest.mark.parametrize(
    ("components", "told"),
    [
        (COMPONENTS[1:], "six 1.18 is not listed"),
        ([*COMPONENTS, component("evil", "6.6", A)], "evil 6.6 is not locked"),
        ([*COMPONENTS[:2], component("boto3", "1.0", A)], "boto3 1.0 is listed with other hashes"),
        ([*COMPONENTS[:2], component("boto3", "1.0")], "boto3 1.0 is listed with other hashes"),
        (
            [*COMPONENTS[:2], {"name": "boto3", "version": "1.0", "purl": "pkg:pypi/boto3@1.0"}],
            "boto3 1.0 is listed with other hashes",
        ),
    ],
)
def test_difference_is_named(components: list[dict[str, Any]], told: str) -> None:
    assert differences(PINS, json.dumps({"components": components})) == [told]
