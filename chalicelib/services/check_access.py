"""The check: may this customer use this feature? One read of the database, then a pure decision."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from chalicelib.domain.decisions import Decision, DeniedReason, Question, decide
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.snapshot_documents import document_about, document_of, epoch_ms
from chalicelib.domain.usage import Counter, next_expiry, usage_at
from chalicelib.domain.usage_scopes import counter_name
from chalicelib.ports import HotRead, SnapshotReader


@dataclass(frozen=True, slots=True)
class Checked:
    """An answer and the version of the snapshot that gave it (None without a customer)."""

    decision: Decision
    snapshot_version: int | None


# Tells a feature's type, or None if there is no such feature. Only denials that can't tell need it.
FeatureTypes = Callable[[str], str | None]


def check_access(
    reader: SnapshotReader,
    feature_type: FeatureTypes,
    customer_id: CustomerId,
    feature_id: str,
    question: Question,
    now: datetime,
    *,
    consistent: bool = False,
) -> Checked:
    """The answer at `now`. A failure to read raises; it is never a silent denial."""
    hot = reader.read(customer_id, consistent=consistent)
    return answer_from(hot, feature_type, feature_id, question, now)


def answer_from(
    hot: HotRead | None,
    feature_type: FeatureTypes,
    feature_id: str,
    question: Question,
    now: datetime,
) -> Checked:
    """The answer at `now` from what was read of the customer (None: there is none)."""
    if hot is None:
        return Checked(Decision(DeniedReason.CUSTOMER_NOT_FOUND), None)
    document = document_about(hot.document, feature_id)
    moment = epoch_ms(now)
    decision = decide(document, usage_of(hot, moment), feature_id, question, moment)
    if decision.feature_type is None and decision.denied_reason is not None:
        decision = with_type(decision, feature_type(feature_id))
    counter = counter_name(feature_id, question.resource_id)
    decision = until_released(decision, hot, counter, moment)
    return Checked(decision, document["version"])


def states_in(hot: HotRead, resource_id: str | None = None) -> list[tuple[str, Question]]:
    """The question for the state of each feature that a source of the customer mentions, by feature."""
    features = document_of(hot.document)["features"]
    return [
        (
            feature_id,
            Question(usage=0 if entry["type"] == "metered" else None, resource_id=resource_id),
        )
        for feature_id, entry in sorted(features.items())
    ]


def check_all(
    reader: SnapshotReader,
    customer_id: CustomerId,
    now: datetime,
    *,
    resource_id: str | None = None,
    consistent: bool = False,
) -> dict[str, Checked] | None:
    """The state of everything the customer's sources mention, by feature; None without a customer."""
    hot = reader.read(customer_id, consistent=consistent)
    if hot is None:
        return None
    document = document_of(hot.document)
    moment = epoch_ms(now)
    usage = usage_of(hot, moment)
    answers: dict[str, Checked] = {}
    for feature_id, question in states_in(hot, resource_id):
        decision = decide(document, usage, feature_id, question, moment)
        counter = counter_name(feature_id, resource_id)
        decision = until_released(decision, hot, counter, moment)
        answers[feature_id] = Checked(decision, document["version"])
    return answers


def usage_of(hot: HotRead, now_ms: int) -> Mapping[str, Counter]:
    """The counters with the reservations that bind now."""
    return usage_at(hot.usage, hot.holds, now_ms) if hot.holds else hot.usage


def until_released(decision: Decision, hot: HotRead, counter: str, now_ms: int) -> Decision:
    """The decision, valid no longer than the reservations that it counts."""
    if not hot.holds or decision.current_usage is None:
        return decision
    expiry = next_expiry(hot.holds.values(), counter, now_ms)
    ends = [end for end in (decision.valid_until_ms, expiry) if end is not None]
    return replace(decision, valid_until_ms=min(ends, default=None))


def with_type(decision: Decision, kind: str | None) -> Decision:
    """The denial with the feature's type, or that there is no such feature."""
    if decision.feature_type is not None:
        return decision
    if kind is not None:
        return replace(decision, feature_type=kind)
    if decision.denied_reason is DeniedReason.CUSTOMER_IS_ARCHIVED:
        return decision
    return Decision(DeniedReason.FEATURE_NOT_FOUND)
