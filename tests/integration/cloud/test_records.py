"""The record of deployments and its lock, on emulated S3: two deployers never mix."""

import threading
import uuid
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest

from infra.deploy.aws import Aws, connect
from infra.deploy.errors import DeployError
from infra.deploy.records import Record, Records, write

RECORD: Record = {"resources": [{"name": "rest_api"}], "schema_version": "2.0"}


@pytest.fixture
def aws(session: boto3.Session) -> Aws:
    del session
    made = connect(f"t{uuid.uuid4().hex[:8]}", region=None, profile=None)
    made.client("s3").create_bucket(Bucket=made.place.bucket)
    return made


def test_record_goes_from_one_machine_to_the_next(aws: Aws, tmp_path: Path) -> None:
    first, second = tmp_path / "a" / "prod.json", tmp_path / "b" / "prod.json"
    records = Records(aws)
    assert records.restore(first) == {}
    records.save(RECORD)
    assert Records(aws).restore(second) == RECORD
    assert second.exists()


def test_record_of_a_plain_chalice_deploy_is_taken_over_once(aws: Aws, tmp_path: Path) -> None:
    path = tmp_path / "prod.json"
    write(path, RECORD)
    records = Records(aws)
    assert records.restore(path) == RECORD
    records.save({**RECORD, "backend": "api"})
    write(path, {"resources": []})
    assert Records(aws).restore(path)["backend"] == "api"


@pytest.mark.parametrize("first", [True, False])
def test_record_that_somebody_else_saved_is_not_overwritten(
    aws: Aws, tmp_path: Path, *, first: bool
) -> None:
    path = tmp_path / "prod.json"
    if not first:
        Records(aws).save(RECORD)
    mine, theirs = Records(aws), Records(aws)
    mine.restore(path)
    theirs.restore(path)
    theirs.save({**RECORD, "backend": "theirs"})
    with pytest.raises(DeployError, match="at the same time"):
        mine.save({**RECORD, "backend": "mine"})
    assert Records(aws).restore(path)["backend"] == "theirs"


def test_lock_lets_one_of_many_through_and_says_who(aws: Aws) -> None:
    inside: list[int] = []
    refused: list[DeployError] = []
    leave = threading.Event()

    def deploy(number: int) -> None:
        try:
            with Records(aws).locked():
                inside.append(number)
                leave.wait(20)
        except DeployError as error:
            refused.append(error)
            if len(refused) == 4:
                leave.set()

    in_parallel([lambda number=number: deploy(number) for number in range(5)])  # type: ignore[misc]
    assert len(inside) == 1
    assert {error.code for error in refused} == {"being_deployed"}
    assert "@" in str(refused[0])
    with Records(aws).locked():
        pass


def test_lock_of_a_deployer_who_died_is_taken_over_on_demand(aws: Aws) -> None:
    with Records(aws).locked():
        with pytest.raises(DeployError, match="--take-over"), Records(aws).locked():
            pass
        with Records(aws).locked(take_over=True):
            pass
    with Records(aws).locked():
        pass


def test_lock_that_was_taken_over_is_not_released_by_its_former_holder(aws: Aws) -> None:
    with Records(aws).locked():
        taking_over = Records(aws).locked(take_over=True)
        taking_over.__enter__()
    with pytest.raises(DeployError), Records(aws).locked():
        pass
    taking_over.__exit__(None, None, None)


def in_parallel(actions: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=action) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
