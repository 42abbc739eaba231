"""Several people at Stripe's dashboard at once: whatever they do together, one run follows and the next is silent.

Few of the combinations are part of the suite; as many as you like are

    DRIFT_SEEDS=300 .venv/bin/python -m pytest tests/integration/drift/test_many_edits.py
"""

import os
import random
from collections.abc import Iterator
from typing import Final

import pytest

import app
from infra.local.stripe_stand_in.errors import StripeError
from tests.integration.drift.dashboard_subscriptions import EDITS
from tests.integration.drift.shop import Shop
from tests.integration.drift.subscriber import Subscriber
from tests.integration.world import StripeDeployment
from tests.unit.api.world import served

SEEDS: Final = range(int(os.environ.get("DRIFT_SEEDS", "8")))


@pytest.fixture
def acme() -> Iterator[Subscriber]:
    world = StripeDeployment(app.app)
    with served(world):
        yield Subscriber(Shop(world))


@pytest.mark.parametrize("seed", SEEDS)
def test_reconcile_after_many_edits_follows_them_all_and_is_silent_then(
    acme: Subscriber, seed: int
) -> None:
    draw = random.Random(seed)
    for edit in draw.sample(EDITS, 4):
        try:
            edit(acme)
        except (AssertionError, StopIteration, StripeError):
            # What somebody did before made it impossible: the stand-in refuses what Stripe refuses.
            continue
        if draw.random() < 0.3:
            acme.shop.reconcile()
    acme.shop.reconcile()
    acme.assert_nothing_ended_here_is_billed()
    asked = len(acme.world.requests())
    assert acme.shop.reconcile()["drifts"] == []
    assert {method for method, _ in acme.world.requests()[asked:]} <= {"GET"}
