"""What the gateway lets through, as a stage's configuration says."""

import pytest

from infra.deploy.errors import DeployError
from infra.deploy.firewall import REQUESTS, requests_per_address
from infra.deploy.throttle import BURST, PER_SECOND, Throttle


def test_throttle_is_the_configurations_own() -> None:
    assert Throttle.read({}) == Throttle(per_second=1000, burst=2000)
    assert Throttle.read({PER_SECOND: "3", BURST: "4"}) == Throttle(per_second=3, burst=4)


@pytest.mark.parametrize("name", [PER_SECOND, BURST])
@pytest.mark.parametrize("text", ["", "0", "-1", "many", "1.5"])
def test_throttle_that_is_none_is_refused_by_the_variables_name(name: str, text: str) -> None:
    with pytest.raises(DeployError, match=name):
        Throttle.read({name: text})


def test_firewall_is_the_configurations_own() -> None:
    assert [requests_per_address(one) for one in ({}, {REQUESTS: "0"}, {REQUESTS: "10"})] == [
        0,
        0,
        10,
    ]


@pytest.mark.parametrize("text", ["", "9", "-1", "many", "1.5"])
def test_firewall_that_is_none_is_refused_by_the_variables_name(text: str) -> None:
    with pytest.raises(DeployError, match=REQUESTS):
        requests_per_address({REQUESTS: text})
