"""Why a check is answered as it is: what became of each source of the customer."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from chalicelib.domain.decisions import Question, counts, winner_of
from chalicelib.domain.snapshot_documents import ShareDocument, SnapshotDocument, SourceDocument


class Outcome(StrEnum):
    """What a source came to. `wins` and `adds` are part of the answer, all else lost."""

    WINS = "wins"
    ADDS = "adds"
    LESS_GENEROUS = "less_generous"
    SAYS_NO = "says_no"
    NOT_STARTED = "not_started"
    ENDED = "ended"
    OTHER_RESOURCE = "other_resource"
    WITHOUT_THE_FEATURE = "without_the_feature"


@dataclass(frozen=True, slots=True, kw_only=True)
class Considered:
    """A source, what it says of the feature (None: nothing), and what it came to."""

    source: SourceDocument
    share: ShareDocument | None
    outcome: Outcome


def explain(
    document: SnapshotDocument, feature_id: str, question: Question, now_ms: int
) -> tuple[Considered, ...]:
    """Every source of the customer in the document's order."""
    sources = document["sources"]
    entry = document["features"].get(feature_id)
    shares = {share["source"]: share for share in entry["shares"]} if entry is not None else {}
    resource_id = question.resource_id
    counting = [
        share for index, share in shares.items() if counts(sources[index], resource_id, now_ms)
    ]
    kind = entry["type"] if entry is not None else ""
    winner = _winner(kind, counting, sources)
    found: list[Considered] = []
    for index, source in enumerate(sources):
        share = shares.get(index)
        if share is None:
            outcome = Outcome.WITHOUT_THE_FEATURE
        elif share in counting:
            outcome = _of_counting(kind, share, winner)
        else:
            outcome = _of_absent(source, now_ms)
        found.append(Considered(source=source, share=share, outcome=outcome))
    return tuple(found)


def _winner(
    kind: str, counting: Sequence[ShareDocument], sources: Sequence[SourceDocument]
) -> ShareDocument | None:
    if not counting:
        return None
    if kind == "metered":
        return winner_of(counting, sources)
    overrides = [share for share in counting if not share.get("increment")]
    return max(overrides or counting, key=lambda share: share.get("value", 0))


def _of_counting(kind: str, share: ShareDocument, winner: ShareDocument | None) -> Outcome:
    if kind == "boolean":
        return Outcome.WINS if share.get("value") is True else Outcome.SAYS_NO
    if kind == "enum":
        return Outcome.ADDS
    if share is winner:
        return Outcome.WINS
    is_moot = winner is not None and winner.get("unlimited", False)
    if share.get("increment") and not is_moot:
        return Outcome.ADDS
    return Outcome.LESS_GENEROUS


def _of_absent(source: SourceDocument, now_ms: int) -> Outcome:
    if now_ms < source["start"]:
        return Outcome.NOT_STARTED
    return Outcome.ENDED if now_ms >= source.get("end", now_ms + 1) else Outcome.OTHER_RESOURCE
