"""Running a world by its seed, and telling shortly what broke it."""

from collections.abc import Sequence
from random import Random
from typing import Final

from chalicelib.domain.errors import DomainError
from tests.simulation.invariants import BrokenError, after_every_step, at_rest
from tests.simulation.world import Action, SimulatedWorld, drawn, told

STEPS: Final = 60
_RECONCILIATIONS: Final = 4


def actions_of(seed: int, steps: int = STEPS) -> list[Action]:
    """What happens in the world of this seed."""
    chance = Random(seed)
    return [drawn(chance) for _ in range(steps)]


def live_through(actions: Sequence[Action]) -> None:
    """All of it has happened, then nothing failed any more; raises `BrokenError` for what does not hold."""
    with SimulatedWorld.begun() as world:
        for number, action in enumerate(actions):
            world.act(action)
            try:
                after_every_step(world)
            except BrokenError as broken:
                raise BrokenError(f"after step {number}, {action}: {broken}") from broken
        rest(world)


def rest(world: SimulatedWorld) -> None:
    """Nothing fails any more; after one reconcile period everything is as it should be."""
    life = world.life
    life.heal()
    for _ in range(3):
        life.sleep_a_while()
    life.later(days=1)
    silent: list[str] | None = None
    for _ in range(_RECONCILIATIONS):
        life.later(hours=1)
        silent = life.reconcile()
        if not silent:
            break
    if silent:
        raise BrokenError(f"L2 a reconciliation of an unchanged world still finds {silent}")
    for _ in range(3):  # what is due again, what time has brought about, and what comes of both
        life.later(days=1)
    life.sweep_now()
    after_every_step(world)
    at_rest(world)


def breaks(actions: Sequence[Action]) -> str | None:
    """What does not hold when this happens; None if all does."""
    try:
        live_through(actions)
    except (AssertionError, DomainError, LookupError, ValueError, TypeError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def shortened(actions: Sequence[Action], is_same: str) -> list[Action]:
    """As few of the actions as still break the same invariant, found by leaving out ever smaller parts."""
    kept = list(actions)
    size = max(1, len(kept) // 2)
    while size >= 1:
        start = 0
        while start < len(kept):
            fewer = kept[:start] + kept[start + size :]
            found = breaks(fewer)
            if found is not None and _name(found) == _name(is_same):
                kept = fewer
            else:
                start += size
        size //= 2
    return kept


def _name(broken: str) -> str:
    """The invariant's name in the message, without where and on what it broke."""
    text = broken.partition(": after step ")[2].partition(": ")[2] or broken.partition(": ")[2]
    return text.partition(":")[0]


def report(seed: int, actions: Sequence[Action], broken: str) -> str:
    """What a person needs to see it again."""
    lines = "\n".join(f"  {action}" for action in actions)
    return f"seed {seed}: {broken}\n{lines}\nreplay: {told(list(actions))}"


def tried(seed: int, steps: int) -> str | None:
    """The report of the seed's world if it broke."""
    actions = actions_of(seed, steps)
    broken = breaks(actions)
    if broken is None:
        return None
    return report(seed, shortened(actions, broken), broken)
