"""Idempotency keys: one execution and one answer, however often a request is sent.

The claim of a key is a conditional write, so of two simultaneous requests one runs and the other is told so.
A crash between the effect and the stored answer is safe: the claim lapses, the retry runs again under the same
operation id, and whatever is made under ids derived from it is found instead of made twice.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from chalicelib.domain.errors import (
    IdempotencyKeyInUseError,
    IdempotencyKeyReusedError,
    StoreConflictError,
    StoreUnavailableError,
)
from chalicelib.domain.idempotency import REPLAYED, IdempotencyRecord
from chalicelib.ports import Absent, AtRevision, Delete, Ports, Put

# No invocation lives longer than this: the API gateway gives up after 29 seconds, the function after 30.
CLAIM_SECONDS: Final = 60
KEPT_HOURS: Final = 24
MAX_STORED_BYTES: Final = 300_000  # an item holds 400 KB
# Results of executed requests. Others say nothing about the operation: who asks (401, 403), how often (429),
# or whether we could (5xx).
_FINAL_REFUSALS: Final = frozenset({404, 409, 422})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the caller is told."""

    status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)


def execute_once(
    ports: Ports, key: str, fingerprint: str, run: Callable[[], Answer], *, keep: bool = True
) -> Answer:
    """The answer of the one execution under this key: of `run`, now, or of the first time, replayed.

    `key` digests the caller and its key, `fingerprint` the request. With `keep` false (secrets in the answer)
    the answer is not stored, and a repetition runs again.

    Raises:
        IdempotencyKeyReusedError: The key belongs to another request.
        IdempotencyKeyInUseError: The first request with this key is still running.
    """
    claim = _claim(ports, key, fingerprint)
    if isinstance(claim, Answer):
        return claim
    try:
        answer = run()
    except BaseException:
        _release(ports, claim)
        raise
    if keep and _is_final(answer):
        _store(ports, claim, answer)
    else:
        _release(ports, claim)
    return answer


def _claim(ports: Ports, key: str, fingerprint: str) -> IdempotencyRecord | Answer:
    now = ports.clock.now()
    fresh = IdempotencyRecord(
        key=key,
        fingerprint=fingerprint,
        claim=ports.ids.new("claim_"),
        claimed_until=now + timedelta(seconds=CLAIM_SECONDS),
        expires_at=now + timedelta(hours=KEPT_HOURS),
    )
    found = _put_or_find(ports, fresh)
    if found is None:
        return fresh
    if found.fingerprint != fingerprint:
        raise IdempotencyKeyReusedError(
            "This idempotency key was used for another request.", param="Idempotency-Key"
        )
    if found.status is not None and found.body is not None:
        return Answer(
            status=found.status, body=found.body, headers={**found.headers, REPLAYED: "true"}
        )
    if now < found.claimed_until:
        raise IdempotencyKeyInUseError("A request with this idempotency key is still running.")
    # Its invocation died. Only one of those who take over finds the revision that all of them read.
    taken = replace(fresh, revision=found.revision + 1)
    try:
        ports.store.commit(Put(taken, AtRevision(number=found.revision)))
    except StoreConflictError as error:
        raise IdempotencyKeyInUseError(
            "A request with this idempotency key is still running."
        ) from error
    return taken


def _put_or_find(ports: Ports, fresh: IdempotencyRecord) -> IdempotencyRecord | None:
    """None if the claim is stored, else the record that is there; an expired one is not."""
    for _ in range(2):
        try:
            ports.store.commit(Put(fresh, Absent()))
        except StoreConflictError:
            found = ports.store.get(IdempotencyRecord, fresh.key)
            if found is not None:
                return found
            # Released since: the next try gets it.
        else:
            return None
    raise IdempotencyKeyInUseError("Requests with this idempotency key are running.")


def _is_final(answer: Answer) -> bool:
    if "Retry-After" in answer.headers or len(answer.body.encode()) > MAX_STORED_BYTES:
        return False
    return answer.status < 300 or answer.status in _FINAL_REFUSALS  # noqa: PLR2004


def _store(ports: Ports, claim: IdempotencyRecord, answer: Answer) -> None:
    stored = replace(
        claim,
        status=answer.status,
        body=answer.body,
        headers=dict(answer.headers),
        revision=claim.revision + 1,
    )
    try:
        ports.store.commit(Put(stored, AtRevision(number=claim.revision)))
    except (StoreConflictError, StoreUnavailableError) as error:
        # The effect is there and the caller hears of it; a repetition finds it by its derived ids.
        ports.monitor.event("idempotency_answer_not_stored", error=error.code)


def _release(ports: Ports, claim: IdempotencyRecord) -> None:
    try:
        ports.store.commit(Delete(claim, AtRevision(number=claim.revision)))
    except (StoreConflictError, StoreUnavailableError) as error:
        ports.monitor.event("idempotency_claim_not_released", error=error.code)
