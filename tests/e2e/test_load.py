"""More clients than the stack can serve at once leave nothing behind: no error, no lost unit, no lost order.

The whole of it: `.venv/bin/python -m tests.benchmarks.load`.
"""

from collections.abc import Callable

import pytest

from tests.benchmarks.load.run import Load
from tests.e2e.conftest import Stack

pytestmark = pytest.mark.e2e


def test_stack_under_load_loses_nothing_and_recovers(make_stack: Callable[..., Stack]) -> None:
    stack = make_stack()
    load = Load(stack.info["api_url"], stack.info["api_key"])
    outcome = load.run([(1, 0.5), (16, 2), (2, 0.5)])
    assert outcome.faults() == []
    assert sum(outcome.accepted.values()) > 0
    assert len(outcome.ordered) > 8
