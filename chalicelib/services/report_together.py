"""Many reports of one customer in one transaction: what a customer that reports much does to its one counter.

Only the plain kind: more usage, now, of what adds up, each under a key of its own. Whatever else they are, or whatever
is in the way, they are left to be counted one by one, which finds what was counted before and names each fault.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from chalicelib.domain.counting import adding, gauge_of
from chalicelib.domain.decisions import Decision
from chalicelib.domain.errors import DomainError
from chalicelib.domain.features import Feature, UsageKind
from chalicelib.domain.usage import Count, CountHour, CountUsage, UsageChange
from chalicelib.domain.usage_answers import from_decision
from chalicelib.domain.usage_charges import ChargeableUsage
from chalicelib.ports import Ports
from chalicelib.services.count_once import Counting, Seen, count_all, read_usage
from chalicelib.services.count_spread import is_spread
from chalicelib.services.report_usage import (
    Reported,
    UpdateBehavior,
    UsageReport,
    after_counting,
    claim_of,
    hour_of,
    reportable_feature,
    state_of,
)
from chalicelib.services.usage_thresholds import Standing

# With the charges of two providers and what else there may be, no more than a transaction takes.
AT_ONCE: Final = 25


def report_together(ports: Ports, reports: Sequence[UsageReport]) -> list[Reported] | None:
    """All of them are counted in one step; None if nothing was, and each has to be counted by itself."""
    if not _is_plain(reports):
        return None
    try:
        features = {one.feature_id: reportable_feature(ports, one.feature_id) for one in reports}
        if any(one.usage_kind is UsageKind.FLUCTUATING for one in features.values()):
            return None
        seen = read_usage(ports, reports[0].customer_id)
        if seen.document["customer_status"] != "active":
            return None
        if any(is_spread(seen, one.counter) for one in reports):
            return None
        plan = _Plan(seen, reports, features)
        claims = [claim_of(one, seen.now) for one in reports]
        records = count_all(ports, seen, list(zip(claims, plan.countings, strict=True)))
    except (DomainError, ValueError):  # of too many writes; one by one they fit
        return None
    return [
        Reported(
            id=record.id,
            report=report,
            at=record.at,
            recorded_at=record.recorded_at,
            state=state,
            is_replay=False,
        )
        for report, record, state in zip(reports, records, plan.states, strict=True)
    ]


def _is_plain(reports: Sequence[UsageReport]) -> bool:
    return (
        1 < len(reports) <= AT_ONCE
        and len({report.customer_id for report in reports}) == 1
        and len({report.key for report in reports}) == len(reports)
        and all(
            report.at is None and report.value >= 0 and report.behavior is UpdateBehavior.DELTA
            for report in reports
        )
    )


class _Plan:
    """What each report is answered; the first of them carries what all of them count."""

    def __init__(
        self, seen: Seen, reports: Sequence[UsageReport], features: dict[str, Feature]
    ) -> None:
        totals: dict[str, int] = {}
        self.states: list[Decision] = []
        begun: dict[str, tuple[Decision, int]] = {}
        charged: list[ChargeableUsage] = []
        for report in reports:
            name = report.counter
            if name not in begun:
                begun[name] = state_of(seen, report)
            totals[name] = totals.get(name, 0) + report.value
            self.states.append(after_counting(begun[name][0], totals[name]))
            charged.append(
                ChargeableUsage(
                    feature=features[report.feature_id],
                    counter=name,
                    delta=report.value,
                    value=totals[name],
                    at=seen.now,
                )
            )
        counts = tuple(_counts(seen, begun, totals))
        standings = tuple(
            Standing(counter=name, state=after_counting(state, totals[name]))
            for name, (state, _) in begun.items()
        )
        version = seen.document["version"]
        self.countings = [
            Counting(
                answer=from_decision(state, version),
                counts=counts if number == 0 else (),
                standings=standings if number == 0 else (),
                counter=report.counter,
                counted=report.value,
                charged=(used,),
            )
            for number, (report, state, used) in enumerate(
                zip(reports, self.states, charged, strict=True)
            )
        ]


def _counts(
    seen: Seen, begun: dict[str, tuple[Decision, int]], totals: dict[str, int]
) -> Iterator[Count]:
    changes: list[UsageChange] = []
    for name, (state, now_ms) in begun.items():
        start = state.period_start_ms or 0
        changes += adding(gauge_of(seen.counters, seen.holds, name, start, now_ms), totals[name])
        yield CountHour(
            customer_id=seen.customer_id,
            counter=name,
            hour_ms=hour_of(now_ms),
            delta=totals[name],
        )
    yield CountUsage(customer_id=seen.customer_id, changes=tuple(changes))
