"""A caller who asks too often is told to wait, whoever it is and whichever way the request goes; others are not."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import pytest

import app
from chalicelib import settings, wiring
from chalicelib.api import rate_limits, runtime
from chalicelib.api.rate_limits import Buckets
from chalicelib.domain.api_keys import Scope
from chalicelib.domain.request_rates import SECOND_NS, USUAL_RATE, RequestRate
from chalicelib.settings import SettingsError
from tests.unit.api.world import BROWSER, Answer, World

BASE: Final = {"PAYGRADE_PUBLIC_URL": "https://api.example.test"}
CHECK: Final = "/v1/customers/acme/entitlements/sso"


class Seconds:
    def __init__(self) -> None:
        self.ns = 7 * SECOND_NS

    def __call__(self) -> int:
        return self.ns


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def slow(seconds: Seconds) -> Iterator[World]:
    """Two requests at once and then one a second are what each caller has."""
    world = World(app.app)
    rate = RequestRate(per_second=1, burst=2)
    world.ports = replace(
        world.ports, environment=replace(world.ports.environment, request_rate=rate)
    )
    runtime.set_ports_factory(lambda: world.ports, seconds)
    yield world
    runtime.set_ports_factory(None)


def refused(answer: Answer) -> bool:
    if answer.status != 429:
        return False
    assert answer.json["code"] == "too_many_requests"
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Retry-After"] == "1"
    return True


@pytest.mark.parametrize("path", [CHECK, CHECK + "?explain=true", "/v1/plans"])
def test_caller_over_the_burst_is_told_to_wait_and_served_after_it(
    slow: World, seconds: Seconds, path: str
) -> None:
    assert [refused(slow.send("GET", path)) for _ in range(4)] == [False, False, True, True]
    seconds.ns += SECOND_NS
    assert [refused(slow.send("GET", path)) for _ in range(2)] == [False, True]
    (first, *_) = slow.monitor.named("request_limit_reached")
    assert str(first["entity"]).startswith("api_key:")


def test_ways_to_answer_share_one_bucket(slow: World) -> None:
    assert slow.send("GET", CHECK).status == 200
    assert slow.send("GET", CHECK + "?explain=true").status == 200
    assert refused(slow.send("GET", CHECK))
    assert refused(slow.send("GET", "/v1/plans"))


def test_refused_check_reads_nothing(slow: World) -> None:
    slow.send("GET", CHECK)
    slow.send("GET", CHECK)
    slow.gets.clear()
    reads = slow.reader.reads
    assert refused(slow.send("GET", CHECK))
    assert (slow.gets, slow.reader.reads) == ([], reads)


def test_refused_write_is_not_done_and_can_be_repeated_with_its_key(
    slow: World, seconds: Seconds
) -> None:
    slow.send("GET", "/v1/plans")
    slow.send("GET", "/v1/plans")
    body = {"id": "acme"}
    assert refused(slow.send("POST", "/v1/customers", body, idempotency_key="one"))
    seconds.ns += SECOND_NS
    assert slow.send("POST", "/v1/customers", body, idempotency_key="one").status == 201


def test_key_is_not_held_up_by_another_one(slow: World) -> None:
    other = slow.new_token(Scope.CATALOG_READ)
    assert [refused(slow.send("GET", "/v1/plans")) for _ in range(3)] == [False, False, True]
    assert slow.send("GET", "/v1/plans", token=other).status == 200


def test_all_tokens_of_a_customer_share_a_bucket_and_pages_may_read_the_refusal(
    slow: World,
) -> None:
    def asked(customer: str, ttl: int) -> Answer:
        token = slow.customer_token(customer, ttl)
        path = f"/v1/customers/{customer}/entitlements"
        return slow.send("GET", path, token=token, origin=BROWSER)

    assert [refused(asked("acme", ttl)) for ttl in (60, 61, 62)] == [False, False, True]
    assert asked("acme", 63).headers["Access-Control-Allow-Origin"] == BROWSER
    assert not refused(asked("other", 60))


def test_who_calls_without_a_valid_key_uses_up_nobodys_bucket(slow: World) -> None:
    for _ in range(4):
        assert slow.send("GET", "/v1/plans", token="pg_sk_wrong").status == 401
    assert slow.send("GET", "/v1/plans").status == 200


def test_no_more_callers_are_remembered_than_there_is_room_for(
    monkeypatch: pytest.MonkeyPatch, seconds: Seconds
) -> None:
    monkeypatch.setattr(rate_limits, "MAX_CALLERS", 2)
    buckets, rate = Buckets(seconds), RequestRate(per_second=1, burst=1)
    assert [buckets.take(caller, rate) <= 0 for caller in ("a", "b", "b", "c")] == [
        True,
        True,
        False,
        True,
    ]
    assert buckets.take("b", rate) > 0  # not the longest silent one
    assert buckets.take("a", rate) <= 0


def test_rate_is_the_settings_own() -> None:
    usual = wiring.build(settings.load(BASE)).environment.request_rate
    assert usual == USUAL_RATE
    chosen = {"PAYGRADE_REQUESTS_PER_SECOND": "3", "PAYGRADE_REQUESTS_BURST": "4"}
    loaded = wiring.build(settings.load({**BASE, **chosen})).environment
    assert loaded.request_rate == RequestRate(per_second=3, burst=4)


@pytest.mark.parametrize("name", ["PAYGRADE_REQUESTS_PER_SECOND", "PAYGRADE_REQUESTS_BURST"])
@pytest.mark.parametrize("text", ["", "0", "-1", "many", "1.5"])
def test_rate_that_is_none_is_refused_by_the_variables_name(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=name):
        settings.load({**BASE, name: text})
