"""Killing the process between any two steps, and running two workers in any order: all of it deterministic."""

import itertools
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from chalicelib.domain.checkout_sessions import CheckoutSession
from chalicelib.domain.errors import ProviderUnavailableError
from chalicelib.domain.snapshots import Snapshot
from chalicelib.domain.sync import CatalogLink
from tests.fakes.billing import Call, When
from tests.fakes.world import World


class KilledError(Exception):
    """The process is gone; no handler of ours may catch this."""


class Steps:
    """The moments before each provider call and each commit, by name; the process dies at `die_at`.

    To die before a step is to die after the one before, so these are all the places where it matters.
    """

    def __init__(self, world: World, die_at: int | None = None) -> None:
        self.names: list[str] = []
        self._die_at = die_at
        self._world = world
        world.billing.on_call = lambda call: self._pass(call.method)
        world.store.before_commit = lambda writes: self._pass("commit")

    def _pass(self, name: str) -> None:
        self.names.append(name)
        if len(self.names) - 1 == self._die_at:
            raise KilledError(name)

    def stop(self) -> None:
        """Nobody dies any more."""
        self._world.billing.on_call = None
        self._world.store.before_commit = None


def every_crash(make: Callable[[], World], run: Callable[[World], Any]) -> Iterator[World]:
    """A world for each step of `run` at which it was killed, in turn."""
    rehearsal = make()
    steps = Steps(rehearsal)
    run(rehearsal)
    assert steps.names, "the rehearsal takes no step at all"
    for number, name in enumerate(steps.names):
        world = make()
        killed = Steps(world, number)
        try:
            run(world)
        except KilledError:
            pass
        else:
            raise AssertionError(f"nobody died at step {number} ({name})")
        killed.stop()
        yield world


def every_fault(
    make: Callable[[], World],
    run: Callable[[World], Any],
    *,
    whens: Sequence[When] = tuple(When),
    methods: Sequence[str] | None = None,
) -> Iterator[tuple[World, str]]:
    """A world for each provider call of `run` and each way in which that call can fail, in turn."""
    rehearsal = make()
    before = len(rehearsal.billing.calls)
    run(rehearsal)
    calls = rehearsal.billing.calls[before:]
    for (number, call), when in itertools.product(enumerate(calls), whens):
        if methods is not None and call.method not in methods:
            continue
        world = make()
        seen = itertools.count(-len([one for one in calls[:number] if one.method == call.method]))

        def is_the_one(_: Call, seen: Iterator[int] = seen) -> bool:
            return next(seen) == 0

        error = ProviderUnavailableError("The fake failed.", definite=when is When.STORED)
        world.billing.fail(call.method, error, when=when, where=is_the_one)
        yield world, f"{call.method} (call {number}) failing {when}"


class Interleaving:
    """Workers that run one at a time and hand over before each commit, provider call and read of a fence.

    A fence is what commits are conditional on: between two of these moments nothing can tell who ran first.
    `schedule` says who goes on at each hand-over; when it is used up, whoever is first runs to the end.
    """

    def __init__(self, world: World, workers: Sequence[Callable[[], Any]]) -> None:
        self._world = world
        self._workers = workers
        self._turns = [threading.Semaphore(0) for _ in workers]
        self._done = [False] * len(workers)
        self._stopped = threading.Semaphore(0)
        self._me = threading.local()
        self.errors: list[BaseException | None] = [None] * len(workers)
        self.results: list[Any] = [None] * len(workers)

    def run(self, schedule: Sequence[int]) -> None:
        """All workers have ended."""
        world = self._world
        world.billing.on_call = lambda call: self._hand_over()
        world.store.before_commit = lambda writes: self._hand_over()
        world.store.on_get = self._read
        threads = [
            threading.Thread(target=self._work, args=(number,), daemon=True)
            for number in range(len(self._workers))
        ]
        for thread in threads:
            thread.start()
        turns = iter(schedule)
        while not all(self._done):
            waiting = [number for number, done in enumerate(self._done) if not done]
            wished = next(turns, waiting[0])
            chosen = wished if wished in waiting else waiting[0]
            self._turns[chosen].release()
            self._stopped.acquire()
        for thread in threads:
            thread.join()
        world.billing.on_call = None
        world.store.before_commit = None
        world.store.on_get = None

    def _read(self, kind: type[Any], identity: tuple[str, ...]) -> None:
        if kind in (Snapshot, CheckoutSession, CatalogLink):
            self._hand_over()

    def _work(self, number: int) -> None:
        self._me.number = number
        self._turns[number].acquire()
        try:
            self.results[number] = self._workers[number]()
        except BaseException as error:  # noqa: BLE001 -- told to the test
            self.errors[number] = error
        self._done[number] = True
        self._stopped.release()

    def _hand_over(self) -> None:
        number = getattr(self._me, "number", None)
        if number is None:  # the test itself
            return
        self._stopped.release()
        self._turns[number].acquire()


def schedules(first: int, second: int) -> Iterator[tuple[int, ...]]:
    """Every order of so many steps of worker 0 and of worker 1."""
    for places in itertools.combinations(range(first + second), first):
        yield tuple(0 if place in places else 1 for place in range(first + second))


def overtakings(steps: int) -> Iterator[tuple[int, ...]]:
    """Worker 0 goes so many steps, worker 1 overtakes it and ends, worker 0 goes on: for each number of steps."""
    for taken in range(steps):
        yield (0,) * taken + (1,) * 1000


def steps_of(world: World, worker: Callable[[World], Any]) -> int:
    """Into how many parts its hand-overs cut the worker when nobody is beside it."""
    race = Interleaving(world, [lambda: worker(world)])
    steps = itertools.count()
    race.run(_Counting(steps))
    return next(steps)


class _Counting(Sequence[int]):
    """A schedule for one worker that counts how often it is asked who goes on."""

    def __init__(self, steps: Iterator[int]) -> None:
        self._steps = steps

    def __len__(self) -> int:
        return 1_000_000

    def __getitem__(self, index: Any) -> Any:
        next(self._steps)
        return 0


def every_interleaving(
    make: Callable[[], World],
    first: Callable[[World], Any],
    second: Callable[[World], Any],
    *,
    at_most: int | None = None,
) -> Iterator[tuple[World, Interleaving, tuple[int, ...]]]:
    """A world after each order in which the two workers' steps can follow one another.

    With `at_most` as many of the orders, spread evenly over all of them.
    """
    one, two = steps_of(make(), first), steps_of(make(), second)
    total = math.comb(one + two, one)
    stride = 1 if at_most is None else -(-total // at_most)
    for schedule in itertools.islice(schedules(one, two), 0, None, stride):
        world = make()
        race = Interleaving(world, [partial(first, world), partial(second, world)])
        race.run(schedule)
        yield world, race, schedule
