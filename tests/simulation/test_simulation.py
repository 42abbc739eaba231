"""A share of the simulated worlds; all of them: `python -m tests.simulation --seeds 10000`."""

import pytest

from tests.simulation import run
from tests.simulation.invariants import require
from tests.simulation.run import actions_of, breaks, shortened, tried
from tests.simulation.world import Action, SimulatedWorld, read, told

SEEDS = 48
AT_ONCE = 6


@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_worlds_hold_what_must_hold(first: int) -> None:
    for seed in range(first, first + AT_ONCE):
        assert tried(seed, run.STEPS) is None


def test_actions_of_a_seed_are_always_the_same_and_can_be_told() -> None:
    actions = actions_of(7)
    assert actions == actions_of(7)
    assert actions != actions_of(8)
    assert read(told(actions)) == actions


def test_failing_world_is_told_by_the_actions_that_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing_is_archived(world: SimulatedWorld) -> None:
        shown = world.life.deployment.send("GET", "/v1/plans/team").json
        require(shown["status"] != "archived", "planted", "the plan is archived")

    monkeypatch.setattr(run, "after_every_step", nothing_is_archived)
    actions = [Action("wait", (1,)), Action("archive", ("team",)), Action("look", (0,))]
    broken = breaks(actions)
    assert broken is not None
    assert "after step 1, archive('team'): planted" in broken
    assert shortened(actions, broken) == [Action("archive", ("team",))]
