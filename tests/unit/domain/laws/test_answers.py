"""The compiled snapshot answers, at every instant, what its sources say without it."""

import random
from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.decisions import Decision, Question, decide
from chalicelib.domain.grants import Grant
from chalicelib.domain.snapshot_documents import (
    SourceDocument,
    document_about,
    document_text,
    epoch_ms,
)
from chalicelib.ports import Counter
from tests.unit.domain.laws.customers import (
    ASKED,
    NOW,
    QUESTIONS,
    Held,
    grants,
    held,
    moments,
)
from tests.unit.domain.laws.oracle import EPOCH, Answer, answer, turning_points, valid_until


def decided(customer: Held, feature_id: str, question: Question, at: datetime) -> Decision:
    return decide(customer.document, customer.usage, feature_id, question, epoch_ms(at))


def moment(epoch: int | None) -> datetime | None:
    return None if epoch is None else EPOCH + timedelta(milliseconds=epoch)


def name_of(source: SourceDocument) -> tuple[str, str]:
    if source["type"] == "grant":
        return ("grant", source["id"])
    return (source["type"], f"{source['subscription_id']}:{source['id']}")


def told(decision: Decision) -> Answer:
    """The decision in the oracle's words."""
    start, end = moment(decision.period_start_ms), moment(decision.period_end_ms)
    return Answer(
        decision.denied_reason,
        limit=decision.usage_limit,
        unlimited=decision.is_unlimited,
        soft=decision.has_soft_limit,
        used=decision.current_usage,
        value=decision.value,
        values=decision.values,
        period=(start, end) if start is not None and end is not None else None,
        sources=frozenset(map(name_of, decision.sources)),
    )


@given(held(), ASKED, QUESTIONS, moments())
def test_snapshot_answers_as_its_sources_do(
    customer: Held, feature_id: str, question: Question, at: datetime
) -> None:
    assert told(decided(customer, feature_id, question, at)) == answer(
        customer, feature_id, question, at
    )


@given(held(), ASKED, QUESTIONS)
def test_snapshot_answers_as_its_sources_do_at_every_turning_point(
    customer: Held, feature_id: str, question: Question
) -> None:
    for point in turning_points(customer, feature_id, question, NOW):
        for at in (point - timedelta(milliseconds=1), point):
            assert told(decided(customer, feature_id, question, at)) == answer(
                customer, feature_id, question, at
            )


@given(held(), ASKED, QUESTIONS, moments())
def test_valid_until_is_the_first_instant_with_another_answer(
    customer: Held, feature_id: str, question: Question, at: datetime
) -> None:
    decision = decided(customer, feature_id, question, at)
    assert moment(decision.valid_until_ms) == valid_until(customer, feature_id, question, at)


@given(held(), ASKED, QUESTIONS, moments(), st.randoms(use_true_random=False))
def test_answer_does_not_depend_on_the_order_of_anything(
    customer: Held, feature_id: str, question: Question, at: datetime, dice: random.Random
) -> None:
    shuffled = replace(
        customer,
        subscriptions=tuple(dice.sample(customer.subscriptions, len(customer.subscriptions))),
        grants=tuple(dice.sample(customer.grants, len(customer.grants))),
        versions=dict(dice.sample(list(customer.versions.items()), len(customer.versions))),
    )
    assert shuffled.document == customer.document
    # The document has an order of its own: turned round it says the same, too.
    sources = customer.document["sources"][::-1]
    turned = customer.document
    for entry in turned["features"].values():
        entry["shares"].reverse()
        for share in entry["shares"]:
            share["source"] = len(sources) - 1 - share["source"]
    turned["sources"] = sources
    found = decide(turned, customer.usage, feature_id, question, epoch_ms(at))
    expected = decided(customer, feature_id, question, at)
    assert told(found) == told(expected)
    assert found.valid_until_ms == expected.valid_until_ms


@given(held(), ASKED, QUESTIONS, moments())
def test_answer_from_the_part_about_the_feature_is_that_of_the_whole(
    customer: Held, feature_id: str, question: Question, at: datetime
) -> None:
    part = document_about(document_text(customer.document), feature_id)
    found = decide(part, customer.usage, feature_id, question, epoch_ms(at))
    assert found == decided(customer, feature_id, question, at)


# Where sources count usage in different periods, another winner may look at another counter: left out here.
@given(held(resets=False), ASKED, QUESTIONS, moments(), grants(9, resets=False))
def test_one_source_more_never_takes_access_away(
    customer: Held, feature_id: str, question: Question, at: datetime, grant: Grant
) -> None:
    before = decided(customer, feature_id, question, at)
    more = customer.with_grant(replace(grant, revoked_at=None))
    after = decided(more, feature_id, question, at)
    assert after.has_access or not before.has_access
    assert after.is_unlimited or (after.usage_limit or 0) >= (before.usage_limit or 0)
    assert set(after.values or ()) >= set(before.values or ())
    assert int(after.value or 0) >= int(before.value or 0)


@given(held(), QUESTIONS, moments(), st.integers(0, 20), st.integers(0, 20))
def test_more_usage_is_never_answered_more_generously(
    customer: Held, question: Question, at: datetime, one: int, other: int
) -> None:
    less, more = sorted((one, other))
    name = "api" if question.resource_id is None else f"api/{question.resource_id}"
    start = decided(customer, "api", question, at).period_start_ms or 0

    def on(used: int) -> Decision:
        usage = {**customer.usage, name: Counter(used, start)}
        return decided(replace(customer, usage=usage), "api", question, at)

    assert on(less).has_access or not on(more).has_access
    assert (on(less).remaining or 0) >= (on(more).remaining or 0)


@given(held(), moments(), st.integers(0, 20), st.integers(0, 20))
def test_a_larger_request_is_never_answered_more_generously(
    customer: Held, at: datetime, one: int, other: int
) -> None:
    less, more = sorted((one, other))
    on = [decided(customer, "api", Question(asked), at).has_access for asked in (less, more)]
    assert on[0] or not on[1]
