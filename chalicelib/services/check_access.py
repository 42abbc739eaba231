"""The check: may this customer use this feature? One read of the database, then a pure decision."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from chalicelib.domain.decisions import Decision, DeniedReason, Question, decide
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.snapshot_documents import document_about, document_of, epoch_ms
from chalicelib.ports import Counter, SnapshotReader


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
    if hot is None:
        return Checked(Decision(DeniedReason.CUSTOMER_NOT_FOUND), None)
    document = document_about(hot.document, feature_id)
    decision = decide(document, hot.usage, feature_id, question, epoch_ms(now))
    if decision.feature_type is None and decision.denied_reason is not None:
        decision = _with_type(decision, feature_type(feature_id))
    return Checked(decision, document["version"])


def check_all(
    reader: SnapshotReader, customer_id: CustomerId, now: datetime, *, consistent: bool = False
) -> dict[str, Checked] | None:
    """The state of everything the customer's sources mention, by feature; None without a customer."""
    hot = reader.read(customer_id, consistent=consistent)
    if hot is None:
        return None
    document = document_of(hot.document)
    usage: Mapping[str, Counter] = hot.usage
    moment = epoch_ms(now)
    answers: dict[str, Checked] = {}
    for feature_id, entry in sorted(document["features"].items()):
        question = Question(usage=0) if entry["type"] == "metered" else Question()
        decision = decide(document, usage, feature_id, question, moment)
        answers[feature_id] = Checked(decision, document["version"])
    return answers


def _with_type(decision: Decision, kind: str | None) -> Decision:
    """The denial with the feature's type, or that there is no such feature."""
    if kind is not None:
        return replace(decision, feature_type=kind)
    if decision.denied_reason is DeniedReason.CUSTOMER_IS_ARCHIVED:
        return decision
    return Decision(DeniedReason.FEATURE_NOT_FOUND)
