"""AWS Signature Version 4 for one kind of request: a call of an AWS service, POST to `/`, JSON in the body.

The rules are AWS's (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html);
a test holds every byte of the result equal to botocore's signer. What a process signs again and again, the scope
and the key of the day, is computed once a day.
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

CONTENT_TYPE: Final = "application/x-amz-json-1.0"
_ALGORITHM: Final = "AWS4-HMAC-SHA256"


class Service(NamedTuple):
    """A service of AWS that speaks JSON: what signatures, and what the names of its operations, begin with."""

    name: str
    api: str


DYNAMODB: Final = Service("dynamodb", "DynamoDB_20120810")
SQS: Final = Service("sqs", "AmazonSQS")


@dataclass(frozen=True, slots=True)
class Credentials:
    """What requests are signed with; `token` belongs to temporary ones."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


class Signer:
    """Signs calls of one operation at one host."""

    def __init__(
        self, *, host: str, region: str, operation: str, service: Service = DYNAMODB
    ) -> None:
        """`host` as it stands in the Host header; `operation` is the API's name for it (`Query`)."""
        self._host = host
        self._region = region
        self._service = service.name
        self._target = f"{service.api}.{operation}"
        # One value, so that a thread sees a key together with what it belongs to, whoever writes meanwhile.
        self._today: tuple[str, Credentials, bytes] | None = None

    def headers(self, body: bytes, credentials: Credentials, now: datetime) -> dict[str, str]:
        """All headers of the request, the signature among them; `now` is aware UTC."""
        stamp = now.strftime("%Y%m%dT%H%M%SZ")
        day = stamp[:8]
        scope = f"{day}/{self._region}/{self._service}/aws4_request"
        token = credentials.token
        names = "content-type;host;x-amz-date;x-amz-target"
        canonical = (
            f"POST\n/\n\ncontent-type:{CONTENT_TYPE}\nhost:{self._host}\nx-amz-date:{stamp}\n"
        )
        if token is not None:
            names = "content-type;host;x-amz-date;x-amz-security-token;x-amz-target"
            canonical += f"x-amz-security-token:{token}\n"
        canonical += f"x-amz-target:{self._target}\n\n{names}\n{hashlib.sha256(body).hexdigest()}"
        hashed = hashlib.sha256(canonical.encode()).hexdigest()
        to_sign = f"{_ALGORITHM}\n{stamp}\n{scope}\n{hashed}"
        key = self._signing_key(day, credentials)
        signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
        headers = {
            "Host": self._host,
            "Content-Type": CONTENT_TYPE,
            "X-Amz-Target": self._target,
            "X-Amz-Date": stamp,
            "Authorization": (
                f"{_ALGORITHM} Credential={credentials.access_key}/{scope}, "
                f"SignedHeaders={names}, Signature={signature}"
            ),
        }
        if token is not None:
            headers["X-Amz-Security-Token"] = token
        return headers

    def _signing_key(self, day: str, credentials: Credentials) -> bytes:
        today = self._today
        if today is not None and today[0] == day and today[1] == credentials:
            return today[2]
        key = f"AWS4{credentials.secret_key}".encode()
        for part in (day, self._region, self._service, "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        self._today = (day, credentials, key)
        return key
