"""The file and the catalog say the same, whatever is in them."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import app
from infra.cli.catalog_file import BadFileError, document_in, pulled
from tests.unit.api.world import World
from tests.unit.cli.environments import answer_of

Json = dict[str, Any]

TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12
) | st.sampled_from(
    ["yes", "null", "1.0", "2024-01-01", " x ", "a: b", "# c", "- d", "{e", "'f'", "~"]
)
METADATA = st.dictionaries(
    st.text("abcyno12:# -", min_size=1, max_size=5), TEXT, max_size=2
).filter(lambda one: not any(key.startswith("paygrade_") for key in one))
PERIODS = st.sampled_from(["day", "week", "month", "year"])
AMOUNTS = st.integers(0, 99_999).map(lambda one: {"amount": one}) | st.decimals(
    0, 99, places=4
).map(lambda one: {"amount_decimal": str(one)})


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    """An object in which any of these fields may be left out."""
    return st.fixed_dictionaries({}, optional=fields)


@st.composite
def prices(draw: Callable[..., Any]) -> list[Json]:
    found = []
    for period in draw(st.permutations(["day", "week", "month", "year"]))[
        : draw(st.integers(1, 3))
    ]:
        price = {"model": "flat_fee", "billing_period": period, "currency": "usd", **draw(AMOUNTS)}
        price |= draw(some(interval_count=st.just(1), id=st.just(f"own-{period}")))
        found.append(price)
    return found


@st.composite
def catalogs(draw: Callable[..., Any]) -> Json:
    features = [
        {"id": f"f{number}", "name": draw(TEXT), "type": "boolean", **draw(some(metadata=METADATA))}
        for number in range(draw(st.integers(0, 3)))
    ]
    plans = []
    for number in draw(st.permutations(range(draw(st.integers(0, 3))))):
        granted = (
            draw(st.lists(st.sampled_from(features), unique_by=lambda one: one["id"]))
            if features
            else []
        )
        plan = {
            "id": f"p{number}",
            "product_id": "app",
            "name": draw(TEXT),
            "entitlements": [
                {"feature_id": one["id"], "value": True, **draw(some(behavior=st.just("override")))}
                for one in granted
            ],
            **draw(some(description=TEXT, metadata=METADATA, archived=st.just(False))),
        }
        if draw(st.booleans()):
            plan |= {"pricing_type": "paid", "prices": draw(prices())}
        plans.append(plan)
    return {"features": features, "products": [{"id": "app", "name": "App"}], "plans": plans}


def applied(world: World, catalog: Json, **more: Any) -> Json:
    """The catalog after the document was applied, as a file is pulled from it."""
    body = {
        "catalog": catalog,
        "expected_hash": answer_of(world, "GET", "/v1/catalog")["hash"],
        **more,
    }
    report = answer_of(world, "POST", "/v1/catalog/apply", body)
    assert report.get("object") == "catalog_apply", report
    found: Json = answer_of(world, "GET", "/v1/catalog")["catalog"]
    return found


slow = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@slow
@given(first=catalogs())
def test_pull_after_apply_of_what_was_pulled_is_byte_stable(first: Json) -> None:
    world = World(app.app)
    catalog = applied(world, first)
    text = pulled(None, catalog, "f")
    assert document_in(text, "f") == {name: items for name, items in catalog.items() if items}
    again = applied(world, document_in(text, "f"))
    assert again == catalog
    assert pulled(text, again, "f") == pulled(None, again, "f") == text
    elsewhere = applied(World(app.app), document_in(text, "f"))
    assert pulled(None, elsewhere, "f") == text


@slow
@given(first=catalogs(), second=catalogs())
def test_file_of_one_catalog_pulled_from_another_says_the_other(first: Json, second: Json) -> None:
    world = World(app.app)
    text = pulled(None, applied(world, first), "f")
    catalog = applied(world, second, prune=True)
    merged = pulled(text, catalog, "f")
    assert applied(world, document_in(merged, "f"), prune=True) == catalog
    assert pulled(merged, catalog, "f") == merged


FILE = """\
# Ours.
features:
  - {id: a, name: A, type: boolean} # first
  - {id: b, name: B, type: boolean} # second
"""


def catalog_of(**sections: Any) -> Json:
    return {"features": [], "products": [], "addons": [], "plans": [], "coupons": [], **sections}


def test_object_removed_and_one_added_leave_the_others_comments() -> None:
    kept = {"id": "b", "name": "B", "type": "boolean"}
    new = {"id": "c", "name": "C", "type": "boolean"}
    text = pulled(FILE, catalog_of(features=[kept, new]), "f")
    assert "# Ours." in text
    assert "{id: b, name: B, type: boolean} # second" in text
    assert "id: a" not in text
    assert "id: c" in text


def test_section_that_the_file_lacks_is_added() -> None:
    features = [{"id": one, "name": one.upper(), "type": "boolean"} for one in "ab"]
    product = {"id": "app", "name": "App"}
    text = pulled(FILE, catalog_of(features=features, products=[product]), "f")
    assert text.startswith(FILE)
    assert document_in(text, "f")["products"] == [product]


def test_file_of_comments_alone_keeps_them() -> None:
    product = {"id": "app", "name": "App"}
    text = pulled("# Ours.\n", catalog_of(products=[product]), "f")
    assert text.startswith("# Ours.\n")
    assert document_in(text, "f") == {"products": [product]}


def test_value_shared_by_alias_becomes_what_it_is_in_each_place() -> None:
    shared = """\
features:
  - {id: a, name: A, type: boolean, metadata: &m {x: "1"}}
  - {id: b, name: B, type: boolean, metadata: *m}
"""
    features = [
        {"id": "a", "name": "A", "type": "boolean", "metadata": {"x": "2"}},
        {"id": "b", "name": "B", "type": "boolean", "metadata": {"x": "1"}},
    ]
    text = pulled(shared, catalog_of(features=features), "f")
    assert document_in(text, "f")["features"] == features


def test_order_of_prices_follows_the_catalog() -> None:
    def price(period: str) -> Json:
        return {"model": "flat_fee", "billing_period": period, "currency": "usd", "amount": 1}

    plan = {"id": "p", "product_id": "app", "name": "P", "pricing_type": "paid"}
    before = catalog_of(plans=[{**plan, "prices": [price("month"), price("year")]}])
    after = catalog_of(plans=[{**plan, "prices": [price("year"), price("month")]}])
    text = pulled(pulled(None, before, "f"), after, "f")
    assert document_in(text, "f")["plans"] == after["plans"]


@pytest.mark.parametrize("text", ["x: 1\n", "features: {}\n", "features:\n  - {id: a}\n"])
def test_file_that_is_no_catalog_is_refused_with_places(text: str) -> None:
    with pytest.raises(BadFileError) as caught:
        pulled(text, catalog_of(), "f")
    assert len(caught.value.lines()) > 1
    assert caught.value.problem()["faults"]
