"""One execution and one answer for each idempotency key."""

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.api_keys import Scope
from chalicelib.domain.errors import StoreUnavailableError
from chalicelib.domain.features import Feature
from chalicelib.domain.idempotency import IdempotencyRecord
from chalicelib.ports import Absent, Put, Write
from tests.fakes.system import START
from tests.unit.api.world import World

FEATURE = {"id": "seats", "name": "Seats", "type": "metered"}


def create(world: World, key: str = "k", **changes: object) -> tuple[int, dict[str, str], bytes]:
    answer = world.send("POST", "/v1/features", {**FEATURE, **changes}, Idempotency_Key=key)
    return answer.status, answer.headers, answer.body


def test_same_request_gets_the_first_answer_again(world: World) -> None:
    status, headers, body = create(world)
    assert "Idempotent-Replayed" not in headers
    world.send("PATCH", "/v1/features/seats", {"name": "Other"})
    again_status, again_headers, again_body = create(world)
    assert (again_status, again_body) == (status, body)
    assert again_headers["Idempotent-Replayed"] == "true"
    assert again_headers["Request-Id"] != headers["Request-Id"]


def test_other_body_path_or_method_under_the_key_is_refused(world: World) -> None:
    create(world)
    status, _, body = create(world, name="Other")
    assert status == 422
    assert b"idempotency_key_reused" in body
    archive = world.send("POST", "/v1/features/seats/archive", Idempotency_Key="k")
    assert archive.json["code"] == "idempotency_key_reused"


def test_keys_of_different_callers_do_not_meet(world: World) -> None:
    create(world)
    other = world.new_token(*Scope)
    answer = world.send("POST", "/v1/features", FEATURE, token=other, Idempotency_Key="k")
    assert "Idempotent-Replayed" not in answer.headers


def test_refusal_of_the_domain_is_replayed(world: World) -> None:
    world.send("POST", "/v1/features", FEATURE)
    first = create(world, name="Other")
    world.store.records.pop((Feature, ("seats",)))
    again = create(world, name="Other")
    assert (again[0], again[2]) == (first[0], first[2])
    assert again[1]["Idempotent-Replayed"] == "true"


def test_request_that_was_never_executed_is_not_stored(world: World) -> None:
    assert create(world, type="nonsense")[0] == 422
    assert create(world)[0] == 201


@pytest.mark.parametrize("error", [RuntimeError("boom"), StoreUnavailableError("throttled")])
def test_failure_of_ours_releases_the_key(world: World, error: Exception) -> None:
    def fail(writes: tuple[Write, ...]) -> None:
        if any(isinstance(write.record, Feature) for write in writes):
            raise error

    world.store.before_commit = fail
    assert create(world)[0] in (500, 503)
    assert world.store.all(IdempotencyRecord) == []
    world.store.before_commit = None
    assert create(world)[0] == 201


def test_running_request_holds_the_key_until_its_claim_lapses(world: World) -> None:
    create(world)
    [record] = world.store.all(IdempotencyRecord)

    running = replace(record, status=None, body=None)
    world.store.records[IdempotencyRecord, record.identity] = running
    status, headers, body = create(world)
    assert status == 409
    assert b"idempotency_key_in_use" in body
    assert headers["Retry-After"] == "1"
    world.clock.advance(seconds=60)
    status, headers, _ = create(world)
    assert status == 200  # the first try's feature was found, not made twice
    assert "Idempotent-Replayed" not in headers
    assert create(world)[1]["Idempotent-Replayed"] == "true"


def test_lost_race_for_a_lapsed_claim_is_in_use(world: World) -> None:
    create(world)
    [record] = world.store.all(IdempotencyRecord)

    lapsed = replace(record, status=None, body=None, claimed_until=START)
    world.store.records[IdempotencyRecord, record.identity] = lapsed
    commits = 0

    def other_was_first(writes: tuple[Write, ...]) -> None:
        nonlocal commits
        commits += 1
        if commits == 2:
            taken = replace(lapsed, revision=lapsed.revision + 1)
            world.store.records[IdempotencyRecord, record.identity] = taken

    world.store.before_commit = other_was_first
    assert create(world)[0] == 409


def test_key_is_forgotten_after_a_day(world: World) -> None:
    create(world)
    world.clock.advance(hours=24)
    status, headers, _ = create(world)
    assert (status, "Idempotent-Replayed" in headers) == (200, False)


def test_of_two_that_replace_an_expired_record_one_runs(world: World) -> None:
    create(world)
    [record] = world.store.all(IdempotencyRecord)
    world.clock.advance(hours=24)

    def other_is_first(writes: tuple[Write, ...]) -> None:
        until = world.clock.now() + timedelta(hours=1)
        other = replace(
            record, claim="other", status=None, body=None, claimed_until=until, expires_at=until
        )
        world.store.before_commit = None
        world.store.commit(Put(other, Absent()))

    world.store.before_commit = other_is_first
    status, _, body = create(world)
    assert status == 409
    assert b"idempotency_key_in_use" in body


def test_answer_that_can_not_be_stored_is_given_all_the_same(world: World) -> None:
    def fail(writes: tuple[Write, ...]) -> None:
        for write in writes:
            if isinstance(write, Put) and getattr(write.record, "status", None) == 201:
                raise StoreUnavailableError("throttled")

    world.store.before_commit = fail
    assert create(world)[0] == 201
    assert world.monitor.named("idempotency_answer_not_stored")


@pytest.mark.parametrize("key", ["", "x" * 256, "é", "a\tb"])
def test_key_that_is_no_printable_ascii_is_a_bad_header(world: World, key: str) -> None:
    answer = world.send("POST", "/v1/features", FEATURE, Idempotency_Key=key)
    assert (answer.status, answer.json["code"]) == (400, "bad_header")


def test_key_on_a_read_is_ignored(world: World) -> None:
    assert world.send("GET", "/v1/features", Idempotency_Key="").status == 200
