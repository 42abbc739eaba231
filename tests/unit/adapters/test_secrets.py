"""How long a secret is gone on with, and how often AWS is asked for it."""

import threading
from collections.abc import Callable

import pytest

from chalicelib.adapters.secrets import KeptSecrets
from chalicelib.domain.errors import BillingNotConfiguredError, StoreUnavailableError
from tests.fakes.system import FakeClock, RecordingMonitor

KEY = "ssm:/paygrade/t/stripe_secret_key"
NAME = "STRIPE_SECRET_KEY"
AWAY = StoreUnavailableError("The database did not answer.")
GONE = BillingNotConfiguredError("There is no secret.")


class Aws:
    """Says what a test wants, or what is told by `on_read`; counts how often it is asked."""

    def __init__(self) -> None:
        self.says: str | Exception = "one"
        self.asked = 0
        self.on_read: Callable[[], None] = lambda: None

    def read(self, reference: str) -> str:
        assert reference == KEY
        self.asked += 1
        self.on_read()
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


class World:
    def __init__(self) -> None:
        self.aws = Aws()
        self.clock = FakeClock()
        self.monitor = RecordingMonitor()
        self.secrets = KeptSecrets(self.aws.read, clock=self.clock, monitor=self.monitor)

    def text(self) -> str:
        return self.secrets.text(KEY, NAME)


@pytest.fixture
def it() -> World:
    return World()


def test_setting_that_is_no_reference_stands_for_itself(it: World) -> None:
    assert it.secrets.text("sk_test_1", NAME) == "sk_test_1"
    it.secrets.doubt("sk_test_1")
    assert it.aws.asked == 0


def test_secret_is_read_when_first_needed_and_again_after_five_minutes(it: World) -> None:
    assert it.aws.asked == 0
    assert it.text() == "one"
    it.aws.says = "two"
    it.clock.advance(minutes=4, seconds=59)
    assert (it.text(), it.aws.asked) == ("one", 1)
    it.clock.advance(seconds=1)
    assert (it.text(), it.aws.asked) == ("two", 2)


def test_known_secret_outlasts_an_outage_of_half_an_hour_and_not_more(it: World) -> None:
    it.text()
    it.aws.says = AWAY
    it.clock.advance(minutes=29, seconds=59)
    assert it.text() == "one"
    it.clock.advance(seconds=1)
    with pytest.raises(StoreUnavailableError):
        it.text()


def test_outage_is_asked_about_every_half_minute_and_told_by_the_settings_name(it: World) -> None:
    it.text()
    it.aws.says = AWAY
    it.clock.advance(minutes=5)
    for _ in range(60):
        assert it.text() == "one"
        it.clock.advance(seconds=1)
    assert it.aws.asked == 1 + 2
    told = it.monitor.events
    assert told == [("secret_stale", {"entity": "setting:STRIPE_SECRET_KEY"})] * 2
    it.aws.says = "two"
    assert (it.text(), it.aws.asked) == ("two", 4)
    # From then on it is as good as one that was read at first.
    it.aws.says = AWAY
    it.clock.advance(minutes=29)
    assert it.text() == "two"


def test_secret_that_was_never_known_is_asked_for_each_time(it: World) -> None:
    it.aws.says = AWAY
    for _ in range(2):
        with pytest.raises(StoreUnavailableError):
            it.text()
    it.aws.says = "one"
    assert it.text() == "one"
    assert it.monitor.events == []


def test_secret_that_is_gone_is_used_no_more_whatever_comes_after(it: World) -> None:
    it.text()
    it.clock.advance(minutes=5)
    it.aws.says = GONE
    with pytest.raises(BillingNotConfiguredError):
        it.text()
    it.aws.says = AWAY
    with pytest.raises(StoreUnavailableError):
        it.text()


def test_mistake_of_an_operator_is_seen_at_once(it: World) -> None:
    it.text()
    it.clock.advance(minutes=5)
    it.aws.says = RuntimeError("AccessDenied")
    with pytest.raises(RuntimeError):
        it.text()


def test_doubted_secret_is_read_again_but_never_twice_within_half_a_minute(it: World) -> None:
    it.text()
    it.aws.says = "two"
    it.secrets.doubt(KEY)
    assert (it.text(), it.aws.asked) == ("one", 1)
    it.clock.advance(seconds=29)
    it.secrets.doubt(KEY)
    assert (it.text(), it.aws.asked) == ("one", 1)
    # Nobody has to doubt it once more.
    it.clock.advance(seconds=1)
    assert (it.text(), it.aws.asked) == ("two", 2)
    for _ in range(120):
        it.clock.advance(seconds=1)
        it.secrets.doubt(KEY)
        it.text()
    assert it.aws.asked == 2 + 4


def test_doubted_secret_during_an_outage_is_gone_on_with(it: World) -> None:
    it.text()
    it.aws.says = AWAY
    it.clock.advance(minutes=1)
    it.secrets.doubt(KEY)
    assert (it.text(), it.aws.asked) == ("one", 2)
    it.secrets.doubt(KEY)
    assert (it.text(), it.aws.asked) == ("one", 2)


def test_doubt_of_what_was_never_read_changes_nothing(it: World) -> None:
    it.secrets.doubt(KEY)
    assert it.aws.asked == 0


def test_thread_with_a_usable_secret_waits_for_no_other_that_asks(it: World) -> None:
    it.text()
    it.clock.advance(minutes=5)
    began, may_end = threading.Event(), threading.Event()

    def slow() -> None:
        began.set()
        assert may_end.wait(10)

    it.aws.on_read, it.aws.says = slow, "two"
    found: list[str] = []
    asker = threading.Thread(target=lambda: found.append(it.text()))
    asker.start()
    assert began.wait(10)
    # Asking goes on, and meanwhile:
    assert it.text() == "one"
    it.secrets.doubt(KEY)
    may_end.set()
    asker.join()
    assert (found, it.text(), it.aws.asked) == (["two"], "two", 2)


def test_threads_without_a_usable_secret_ask_once_together(it: World) -> None:
    began, may_end = threading.Event(), threading.Event()

    def slow() -> None:
        began.set()
        assert may_end.wait(10)

    it.aws.on_read = slow
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(it.text())) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert began.wait(10)
    may_end.set()
    for thread in threads:
        thread.join()
    assert (found, it.aws.asked) == (["one"] * 4, 1)


def test_what_is_kept_shows_no_secret(it: World) -> None:
    it.aws.says = "sk_test_secret"
    it.text()
    assert "sk_test_secret" not in repr(vars(it.secrets)) + repr(
        [slot.known for slot in it.secrets._slots.values()]
    )
