"""What is deployed, where a team can see it: Chalice's record of a stage, and who is deploying, in the stack's bucket.

S3's conditional writes keep two deployers apart: the lock is made only where there is none, and a record replaces only
the one that was read.
"""

import getpass
import json
import platform
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from infra.deploy.aws import Aws, code
from infra.deploy.errors import DeployError

RECORD: Final = "deployed.json"
LOCK: Final = "deploying.json"
# Longer than any deployment takes: whoever has held the lock for so long is gone.
_GONE_AFTER: Final = timedelta(hours=2)
_TAKEN: Final = ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")
_MISSING: Final = ("NoSuchKey", "NoSuchBucket", "404")

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Object:
    content: Any
    etag: str


class Records:
    """The bucket of one stage."""

    def __init__(self, aws: Aws) -> None:
        """No request is made."""
        self._s3 = aws.client("s3")
        self._bucket = aws.place.bucket
        self._region = aws.place.region
        self._stage = aws.place.stage
        self._etag: str | None = None

    def has_place(self) -> bool:
        """Whether the stage's bucket is there, so that there can be a lock and a record.

        Raises:
            DeployError: It is in another region: so is the stage.
        """
        try:
            found = self._s3.head_bucket(Bucket=self._bucket)
        except ClientError as error:
            if code(error) in _MISSING:
                return False
            raise
        headers = found["ResponseMetadata"].get("HTTPHeaders", {})
        region = found.get("BucketRegion") or headers.get("x-amz-bucket-region")
        if region not in (None, self._region):
            raise DeployError(
                f"{self._stage!r} is in {region}, not in {self._region}: name its region with --region or AWS_REGION."
                " Two stages of one account can't have the same name.",
                code="wrong_region",
            )
        return True

    @contextmanager
    def locked(self, *, take_over: bool = False) -> Iterator[None]:
        """Nobody else deploys the stage meanwhile, or ends it.

        Raises:
            DeployError: Somebody does; the message says who, and since when.
        """
        token = str(uuid.uuid4())
        self._lock(token, take_over=take_over)
        try:
            yield
        except BaseException:
            # What went wrong is what has to be told: with expired credentials this fails, too.
            with suppress(ClientError, BotoCoreError):
                self._release(token)
            raise
        self._release(token)

    def restore(self, local: Path) -> Record:
        """The record as the team has it is the local one, too; the local one where the team has none."""
        stored = self._get(RECORD)
        if stored is None:
            self._etag = None
            found: Record = json.loads(local.read_text()) if local.exists() else {}
            return found
        self._etag = stored.etag
        write(local, stored.content)
        record: Record = stored.content
        return record

    def save(self, record: Mapping[str, Any]) -> None:
        """The team has this record.

        Raises:
            DeployError: Somebody has saved another since this one was restored.
        """
        body = json.dumps(record, indent=2).encode()
        try:
            self._etag = self._put(RECORD, body, self._etag)
        except _TakenError:
            raise DeployError(
                f"Somebody else deployed {self._stage!r} at the same time: deploy again, once they are done.",
                code="deployed_meanwhile",
            ) from None

    def _release(self, token: str) -> None:
        held = self._get(LOCK)
        if held is not None and held.content.get("token") == token:
            self._s3.delete_object(Bucket=self._bucket, Key=LOCK)

    def _lock(self, token: str, *, take_over: bool) -> None:
        mine = json.dumps(
            {"token": token, "who": _who(), "since": datetime.now(UTC).isoformat()}
        ).encode()
        try:
            self._put(LOCK, mine, None)
        except _TakenError:
            held = self._get(LOCK)
            if held is None:
                self._lock(token, take_over=take_over)
                return
            since = datetime.fromisoformat(held.content["since"])
            if not take_over and datetime.now(UTC) - since < _GONE_AFTER:
                raise DeployError(
                    f"{held.content['who']} has been deploying {self._stage!r} since {since:%H:%M:%S} UTC. If that"
                    " deployment died, repeat this with --take-over.",
                    code="being_deployed",
                ) from None
            try:
                self._put(LOCK, mine, held.etag)
            except _TakenError:
                raise DeployError(
                    f"Somebody else took over {self._stage!r} at this moment.",
                    code="being_deployed",
                ) from None

    def _get(self, key: str) -> _Object | None:
        try:
            answer = self._s3.get_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if code(error) in _MISSING:
                return None
            raise
        return _Object(json.loads(answer["Body"].read()), answer["ETag"])

    def _put(self, key: str, body: bytes, etag: str | None) -> str:
        condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        try:
            answer = self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, **condition)
        except ClientError as error:
            if code(error) in _TAKEN or (etag is not None and code(error) in _MISSING):
                raise _TakenError from None
            raise
        return str(answer["ETag"])


class _TakenError(Exception):
    """The object is not as it was thought to be."""


def write(path: Path, record: Mapping[str, Any]) -> None:
    """The record is where Chalice looks for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=2))


def _who() -> str:
    return f"{getpass.getuser()}@{platform.node()}"
