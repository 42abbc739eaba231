"""The test clock: an environment's time, moved forward with its providers'."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from chalicelib import settings, wiring
from chalicelib.adapters.shifted_clock import ShiftedClock
from chalicelib.domain.errors import InvalidError, NotFoundError, ProviderUnavailableError
from chalicelib.ports import Ports, Providers
from chalicelib.services.move_clock import move_clock, view_clock
from chalicelib.settings import SettingsError
from tests.fakes.billing import FakeBillingProvider, FakeProviders
from tests.fakes.store import InMemoryStore
from tests.fakes.system import START, FakeClock
from tests.fakes.world import World, a_cause

DAY = timedelta(days=1)


@dataclass(slots=True)
class MovableProvider(FakeBillingProvider):
    """A provider that can be told what time it is; it may fail at it once."""

    told: list[datetime] = field(default_factory=list)
    is_down: bool = False

    def advance_clock(self, to: datetime) -> None:
        if self.is_down:
            self.is_down = False
            raise ProviderUnavailableError("down")
        self.told.append(to)


@dataclass
class Shop:
    """An environment with a test clock over a machine whose own clock stands still."""

    machine: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        self.store = InMemoryStore(self.machine)
        self.provider = MovableProvider(self.machine)
        self.ports = self.process()

    def process(self) -> Ports:
        """The ports of one more process of the environment."""
        base = World().ports
        return replace(
            base,
            environment=replace(base.environment, has_test_clock=True),
            store=self.store,
            clock=ShiftedClock(self.machine, self.store),
            providers=cast("Providers", FakeProviders([self.provider])),
        )


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_clock_moved_by_seconds_is_so_much_later(shop: Shop) -> None:
    moved = move_clock(shop.ports, a_cause(), by_seconds=86_400)
    assert moved.now == shop.ports.clock.now() == START + DAY
    assert (moved.shift_seconds, moved.providers) == (86_400, (shop.provider.name,))
    assert shop.provider.told == [START + DAY]
    shop.machine.advance(seconds=5)
    assert shop.ports.clock.now() == START + DAY + timedelta(seconds=5)


def test_clock_moved_to_an_instant_is_there(shop: Shop) -> None:
    move_clock(shop.ports, a_cause(), by_seconds=3600)
    assert move_clock(shop.ports, a_cause("op_2"), to=START + DAY).now == START + DAY


def test_clock_moved_is_seen_by_other_processes_a_moment_later(shop: Shop) -> None:
    other = shop.process()
    assert other.clock.now() == START
    move_clock(shop.ports, a_cause(), by_seconds=3600)
    shop.machine.advance(seconds=1)
    assert other.clock.now() == START + timedelta(seconds=3601)


def test_clock_moved_twice_by_one_operation_moves_once(shop: Shop) -> None:
    cause = a_cause()
    move_clock(shop.ports, cause, by_seconds=60)
    assert move_clock(shop.ports, cause, by_seconds=60).now == START + timedelta(seconds=60)


def test_provider_that_failed_is_moved_by_the_repetition(shop: Shop) -> None:
    cause = a_cause()
    shop.provider.is_down = True
    with pytest.raises(ProviderUnavailableError):
        move_clock(shop.ports, cause, by_seconds=60)
    move_clock(shop.ports, cause, by_seconds=60)
    assert shop.provider.told == [START + timedelta(seconds=60)]


@pytest.mark.parametrize(
    "move",
    [
        lambda ports: move_clock(ports, a_cause()),
        lambda ports: move_clock(ports, a_cause(), by_seconds=1, to=START + DAY),
        lambda ports: move_clock(ports, a_cause(), by_seconds=-1),
        lambda ports: move_clock(ports, a_cause(), by_seconds=400_000_000),
        lambda ports: move_clock(ports, a_cause(), to=START - DAY),
    ],
)
def test_clock_moved_nowhere_or_back_is_refused(shop: Shop, move: Callable[[Ports], None]) -> None:
    with pytest.raises(InvalidError):
        move(shop.ports)
    assert shop.ports.clock.now() == START
    assert not shop.provider.told


def test_environment_without_a_test_clock_has_none() -> None:
    ports = World().ports
    with pytest.raises(NotFoundError):
        view_clock(ports)
    with pytest.raises(NotFoundError):
        move_clock(ports, a_cause(), by_seconds=1)


@pytest.mark.parametrize(
    "variables",
    [{"PAYGRADE_TEST_CLOCK": "yes"}, {"PAYGRADE_TEST_CLOCK": "on", "PAYGRADE_MODE": "live"}],
)
def test_setting_that_no_environment_may_have_is_refused(variables: dict[str, str]) -> None:
    base = {"PAYGRADE_PUBLIC_URL": "https://api.example.test"}
    with pytest.raises(SettingsError, match="PAYGRADE_TEST_CLOCK"):
        settings.load({**base, **variables})


def test_environment_has_no_test_clock_unless_it_says_so() -> None:
    base = {"PAYGRADE_PUBLIC_URL": "https://api.example.test"}
    assert not wiring.build(settings.load(base)).environment.has_test_clock


def test_metrics_of_an_environment_with_a_test_clock_are_of_the_machines_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """CloudWatch drops those of more than two hours ahead. No database is here that could tell another time."""
    base = {"PAYGRADE_PUBLIC_URL": "https://api.example.test", "PAYGRADE_TEST_CLOCK": "on"}
    began = datetime.now(UTC)
    wiring.build(settings.load(base)).monitor.event("backlog", oldest_pending_seconds=0)
    told = json.loads(capsys.readouterr().out)["_aws"]["Timestamp"] / 1000
    assert abs(told - began.timestamp()) < 60
