from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local.stripe_stand_in import StandIn
from infra.local.stripe_stand_in.clock import add_intervals, period_end
from infra.local.stripe_stand_in.in_process import client_for
from infra.local.stripe_stand_in.params import decode_form
from infra.local.stripe_stand_in.store import Store

START = 1_767_225_600


def test_state_survives_without_a_close(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    first = StandIn(path, now=lambda: START, webhook_url="http://x.invalid/hook")
    product = client_for(first).v1.products.create({"name": "A"}, {"idempotency_key": "k"})
    first.advance(100)
    # No close: as after kill -9.
    second = StandIn(path, now=lambda: START, webhook_url="http://x.invalid/hook")
    api = client_for(second).v1
    assert api.products.retrieve(product.id).name == "A"
    assert api.products.create({"name": "A"}, {"idempotency_key": "k"}).id == product.id
    assert second.account.now() == START + 100
    assert second.webhook_secret == first.webhook_secret
    assert len(api.webhook_endpoints.list().data) == 1
    assert second.deliver_due(lambda *_: 200) == 1
    assert api.products.create({"name": "B"}).id != product.id
    first.close()
    second.close()


def test_store_forgets_what_was_not_committed() -> None:
    store = Store()
    store.put("a", "1", {"id": "1"})
    store.commit()
    store.put("a", "1", {"id": "1", "changed": True})
    store.put("a", "2", {"id": "2"})
    assert len(store.scan("a")) == 2
    store.rollback()
    assert store.scan("a") == [{"id": "1"}]
    store.delete("a", "1")
    assert store.get("a", "1") is None
    store.commit()
    assert store.scan("a") == []


def test_store_returns_to_a_mark() -> None:
    store = Store()
    store.put("a", "1", {"id": "1"})
    mark = store.savepoint()
    store.put("a", "2", {"id": "2"})
    store.restore(mark)
    store.commit()
    assert store.scan("a") == [{"id": "1"}]


def test_crash_in_a_request_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = StandIn(now=lambda: START)
    api = client_for(stand_in).v1

    def crash(*_: Any) -> Any:
        raise RuntimeError("crash")

    with monkeypatch.context() as patched:
        patched.setattr(StandIn, "show", crash)
        with pytest.raises(RuntimeError):
            api.products.create({"name": "A"})
    assert api.products.list().data == []


@pytest.mark.parametrize(
    ("form", "tree"),
    [
        ("a=1&b=2", {"a": "1", "b": "2"}),
        ("a[b][c]=1&a[d]=2", {"a": {"b": {"c": "1"}, "d": "2"}}),
        ("a[0]=x&a[1]=y", {"a": {"0": "x", "1": "y"}}),
        ("a[]=x&a[]=y", {"a": {"0": "x", "1": "y"}}),
        ("a=%E2%82%AC+1", {"a": "€ 1"}),
        ("a=", {"a": ""}),
        ("", {}),
    ],
)
def test_form_is_decoded_to_a_tree(form: str, tree: Any) -> None:
    assert decode_form(form) == tree


@given(
    anchor=st.integers(1_500_000_000, 1_900_000_000),
    offset=st.integers(0, 400_000_000),
    interval=st.sampled_from(["day", "week", "month", "year"]),
    count=st.integers(1, 4),
)
def test_period_end_is_the_first_boundary_after_its_start(
    anchor: int, offset: int, interval: str, count: int
) -> None:
    start = anchor + offset
    end = period_end(anchor, start, interval, count)
    boundaries = [anchor]
    step = 0
    while boundaries[-1] <= start:
        step += 1
        boundaries.append(add_intervals(anchor, interval, step * count))
    assert end == boundaries[-1]


def test_ids_repeat_with_the_same_seed_only() -> None:
    def first_id(seed: str | None) -> str:
        made: str = client_for(StandIn(seed=seed)).v1.products.create({"name": "A"}).id
        return made

    assert first_id("s") == first_id("s")
    assert first_id("s") != first_id("t")
    assert first_id(None) != first_id(None)
