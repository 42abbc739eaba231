"""Time moved over HTTP: ours and the stand-in's, with all that it brings."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from tests.e2e.conftest import Stack
from tests.e2e.test_main_job import check, create_customer, publish_team, subscribe
from tests.e2e.waiting import eventually

pytestmark = pytest.mark.e2e

DAY = 86_400


def test_clock_moved_renews_what_is_paid_and_resets_what_is_counted(
    make_stack: Callable[..., Stack],
) -> None:
    stack = make_stack()
    with stack.api() as api, stack.stripe() as stripe:
        publish_team(api)
        held = subscribe(api, stripe, "acme")
        before = check(api, "acme", "api-calls")
        moved = api.post("/test_clock", json={"advance_seconds": 32 * DAY})
        assert (moved.status_code, moved.json()["providers"]) == (200, ["stripe"]), moved.text

        def renewed() -> dict[str, Any] | None:
            now: dict[str, Any] = api.get(f"/subscriptions/{held['id']}").json()
            is_later = now["current_period_start"] == held["current_period_end"]
            return now if is_later else None

        assert eventually(renewed)["status"] == "active"
        after = check(api, "acme", "api-calls")
        assert after["has_access"]
        assert after["usage_period_start"] == before["usage_period_end"]

        now = datetime.fromisoformat(api.get("/test_clock").json()["now"])
        back = api.post("/test_clock", json={"now": held["current_period_start"]})
        assert now > datetime.fromisoformat(held["current_period_end"])
        assert (back.status_code, back.json()["code"]) == (422, "invalid")

        create_customer(api, "late")
        assert not check(api, "late", "sso")["has_access"]
