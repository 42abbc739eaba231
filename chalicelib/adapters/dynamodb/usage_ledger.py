"""The `UsageLedger` on DynamoDB: counts are conditional updates in the transaction of what belongs to them.

Conditions have no arithmetic: the right side is computed here. Neither the usage item nor a day's item carries a
version; the conditions are on the numbers themselves.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pynamodb.expressions.operand import Path

from chalicelib.adapters.dynamodb.commits import Committer
from chalicelib.adapters.dynamodb.failures import translated
from chalicelib.adapters.dynamodb.keys import (
    BASE_PREFIX,
    CUSTOMER_PARTITION,
    DAY_PREFIX,
    HELD_PREFIX,
    HOUR_PREFIX,
    LAYOUT_NUMBER_PREFIX,
    LAYOUT_PREFIX,
    MOMENT_PREFIX,
    PERIOD_PREFIX,
    RESERVATION_PREFIX,
    SNAPSHOT_VERSION,
    USAGE_SORT,
    USED_PREFIX,
    Table,
    joined,
    parted,
    shard_sort,
    table_name,
)
from chalicelib.adapters.dynamodb.rows import Wire
from chalicelib.adapters.dynamodb.tables import ConnectionSender, connect, models_of
from chalicelib.adapters.dynamodb.usage_items import from_hold
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.spreading import rested
from chalicelib.domain.usage import (
    Add,
    AddPart,
    Count,
    CountHour,
    CountUsage,
    Drop,
    Keep,
    LayPart,
    Replace,
    Rest,
    UsageChange,
)
from chalicelib.ports import Clock, Write

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS
# PynamoDB's expressions have no types of their own.
_Action = Any
_Condition = Any
_Update = tuple[list[_Action], list[_Condition]]


class DynamoUsageLedger:
    """The usage of all customers of one environment."""

    def __init__(self, *, stage: str, region: str, endpoint_url: str | None, clock: Clock) -> None:
        """No request is made."""
        self._connection = connect(region, endpoint_url)
        self._model = models_of(stage, self._connection)[Table.CUSTOMERS]
        self._table = table_name(stage, Table.CUSTOMERS)
        self._committer = Committer(stage, ConnectionSender(self._connection), clock)

    def commit(self, counts: Sequence[Count], *writes: Write) -> None:
        """All of the counts and writes are done, or none."""
        self._committer.commit(writes, updates=[self._update(count) for count in counts])

    def hours(
        self, customer_id: CustomerId, counter: str, first_ms: int, last_ms: int
    ) -> Mapping[int, int]:
        """What was counted in each hour between the two instants, by its beginning."""
        found: dict[int, int] = {}
        last = f"{_day_sort(counter, last_ms)}#~"  # after all shards of that day
        between = Path(["sk"]).between(_day_sort(counter, first_ms), last)
        after: Any = None
        while True:
            with translated():
                page = self._connection.query(
                    self._table,
                    joined(CUSTOMER_PARTITION, customer_id),
                    range_key_condition=between,
                    consistent_read=True,
                    exclusive_start_key=after,
                )
            for item in page["Items"]:
                for at, number in _hours_of(item).items():
                    found[at] = found.get(at, 0) + number
            after = page.get("LastEvaluatedKey")
            if after is None:
                break
        return {at: number for at, number in found.items() if first_ms <= at <= last_ms}

    def _update(self, count: Count) -> Wire:
        pk = joined(CUSTOMER_PARTITION, count.customer_id)
        if isinstance(count, CountHour):
            sk = _day_sort(count.counter, count.hour_ms, count.shard)
            actions, conditions = _of_hour(count)
        elif isinstance(count, AddPart):
            sk = shard_sort(count.shard)
            actions, conditions = _of_part(count)
        elif isinstance(count, LayPart):
            sk = shard_sort(count.shard)
            actions, conditions = _of_layout(count)
        else:
            sk = USAGE_SORT
            actions, conditions = _of_usage(count)
        condition = _all(conditions) if conditions else None
        return self._model(pk, sk).get_update_kwargs_from_instance(actions, condition)


def _all(conditions: list[_Condition]) -> _Condition:
    """All of them; in pairs of pairs, as each operator nests a bracket deeper."""
    while len(conditions) > 1:
        pairs = zip(conditions[::2], conditions[1::2], strict=False)
        odd = conditions[len(conditions) // 2 * 2 :]
        conditions = [one & other for one, other in pairs] + odd
    return conditions[0]


def _of_hour(count: CountHour) -> _Update:
    hour = Path([_hour_attribute(count.hour_ms)])
    actions = [hour.add(count.delta) if count.value is None else hour.set(count.value)]
    if not count.is_exact:
        return actions, []
    return actions, [hour.does_not_exist() if count.seen is None else hour == count.seen]


def _of_part(count: AddPart) -> _Update:
    used = Path([USED_PREFIX + count.counter])
    conditions = [
        Path([SNAPSHOT_VERSION]) == count.version,
        Path([LAYOUT_NUMBER_PREFIX + count.counter]) == count.number,
    ]
    if count.at_most is not None:
        conditions.append(used <= count.at_most - count.delta)
    if count.seen is not None:
        conditions.append(used == count.seen)
    return [used.add(count.delta)], conditions


def _of_layout(count: LayPart) -> _Update:
    used, base = Path([USED_PREFIX + count.counter]), Path([BASE_PREFIX + count.counter])
    number = LAYOUT_NUMBER_PREFIX + count.counter
    actions = [
        Path([PERIOD_PREFIX + count.counter]).set(count.period_start_ms),
        Path([LAYOUT_PREFIX + count.counter]).set(count.layout),
        Path([number]).set(count.number),
        *([used.set(0), base.set(0)] if count.begins else [base.set(used)]),
    ]
    return actions, [Path([SNAPSHOT_VERSION]) == count.version, _is(number, count.seen)]


def _of_usage(count: CountUsage) -> _Update:
    actions: list[_Action] = []
    conditions: list[_Condition] = []
    for change in count.changes:
        done, needed = _of_change(change)
        actions += done
        conditions += needed
    return actions, conditions


def _of_change(change: UsageChange) -> _Update:
    match change:
        case Add():
            return _of_add(change)
        case Replace():
            return _of_replace(change)
        case Rest(counter=name, period_start_ms=period):
            start = PERIOD_PREFIX + name
            is_there = Path([USED_PREFIX + name]).exists()
            conditions = [is_there, _is(start, period), _is(HELD_PREFIX + name, 0)]
            return [Path([start]).set(rested(period))], conditions
        case Keep(reservation_id=reservation_id, hold=hold):
            place = Path([RESERVATION_PREFIX + reservation_id])
            return [place.set(from_hold(hold))], [place.does_not_exist()]
        case Drop(reservation_id=reservation_id, hold=hold):
            place = Path([RESERVATION_PREFIX + reservation_id])
            return [place.remove()], [place == from_hold(hold)]


def _of_add(change: Add) -> _Update:
    used = Path([USED_PREFIX + change.counter])
    actions = [used.add(change.delta)]
    if change.held:
        actions.append(Path([HELD_PREFIX + change.counter]).add(change.held))
    conditions = [_is(PERIOD_PREFIX + change.counter, change.period_start_ms)]
    if change.at_most is not None:
        conditions.append(used <= change.at_most - change.delta)
    return actions, conditions


def _of_replace(change: Replace) -> _Update:
    name, seen, becomes = change.counter, change.seen, change.becomes
    used = Path([USED_PREFIX + name])
    actions = [used.set(becomes.used), Path([PERIOD_PREFIX + name]).set(becomes.period_start_ms)]
    conditions: list[_Condition] = []
    for prefix, before, after in (
        (HELD_PREFIX, seen.held if seen else 0, becomes.held),
        (MOMENT_PREFIX, seen.at_ms if seen else 0, becomes.at_ms),
    ):
        if before or after:
            actions.append(Path([prefix + name]).set(after))
        if seen is not None:
            conditions.append(_is(prefix + name, before))
    if seen is None:
        return actions, [used.does_not_exist()]
    period = _is(PERIOD_PREFIX + name, seen.period_start_ms)
    return actions, [used == seen.used, period, *conditions]


def _is(attribute: str, number: int) -> _Condition:
    """The attribute is this number; one that is not there is 0."""
    path = Path([attribute])
    same = path == number
    return path.does_not_exist() | same if number == 0 else same


def _hours_of(item: Mapping[str, Any]) -> dict[int, int]:
    day = datetime.fromisoformat(f"{parted(item['sk']['S'])[2]}T00:00+00:00")
    day_ms = (day - _EPOCH) // timedelta(milliseconds=1)
    return {
        day_ms + int(name[1:]) * _HOUR_MS: int(value["N"])
        for name, value in item.items()
        if name.startswith(HOUR_PREFIX)
    }


def _day_sort(counter: str, moment_ms: int, shard: int = 0) -> str:
    day = _EPOCH + timedelta(milliseconds=moment_ms)
    sharded = [f"{shard:02}"] if shard else []
    return joined(DAY_PREFIX, counter, day.date().isoformat(), *sharded)


def _hour_attribute(moment_ms: int) -> str:
    return f"{HOUR_PREFIX}{moment_ms % _DAY_MS // _HOUR_MS:02}"
