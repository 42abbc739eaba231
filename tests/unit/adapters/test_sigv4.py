"""Our signer against botocore's: equal to the last byte, or AWS would refuse us."""

from datetime import UTC, datetime, timedelta
from unittest import mock

from botocore import auth as botocore_auth
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.adapters.sigv4 import CONTENT_TYPE, SQS, Credentials, Signer

WORDS = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=", min_size=1)
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 -- bounds


def botocore_headers(
    host: str,
    region: str,
    body: bytes,
    credentials: Credentials,
    now: datetime,
    target: str = "DynamoDB_20120810.Query",
) -> dict[str, str]:
    request = AWSRequest(
        method="POST",
        url=f"https://{host}/",
        data=body,
        headers={
            "Host": host,
            "Content-Type": CONTENT_TYPE,
            "X-Amz-Target": target,
        },
    )
    signer = SigV4Auth(
        BotocoreCredentials(credentials.access_key, credentials.secret_key, credentials.token),
        "sqs" if target.startswith("AmazonSQS") else "dynamodb",
        region,
    )
    # botocore takes the time from the clock; this is the library's, not ours, that is held still.
    with mock.patch.object(botocore_auth, "get_current_datetime", return_value=now):
        signer.add_auth(request)
    return dict(request.headers.items())


@given(
    host=st.sampled_from(["dynamodb.eu-central-1.amazonaws.com", "127.0.0.1:4566"]),
    region=st.sampled_from(["eu-central-1", "us-gov-west-1", "cn-north-1"]),
    body=st.binary(max_size=300),
    access_key=WORDS,
    secret_key=WORDS,
    token=st.none() | WORDS,
    now=MOMENTS,
)
def test_signature_of_any_call_equals_botocores(
    host: str,
    region: str,
    body: bytes,
    access_key: str,
    secret_key: str,
    token: str | None,
    now: datetime,
) -> None:
    credentials = Credentials(access_key, secret_key, token)
    signer = Signer(host=host, region=region, operation="Query")
    assert signer.headers(body, credentials, now) == botocore_headers(
        host, region, body, credentials, now
    )


def test_signature_of_a_call_to_another_service_equals_botocores() -> None:
    signer = Signer(host="host", region="eu-west-1", operation="SendMessage", service=SQS)
    now, credentials = datetime(2026, 2, 28, tzinfo=UTC), Credentials("a", "b", "t")
    assert signer.headers(b"{}", credentials, now) == botocore_headers(
        "host", "eu-west-1", b"{}", credentials, now, "AmazonSQS.SendMessage"
    )


def test_signature_after_a_new_day_or_new_credentials_equals_botocores() -> None:
    signer = Signer(host="host", region="eu-west-1", operation="Query")
    start = datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC)
    first, second = Credentials("a", "b"), Credentials("a", "c", "t")
    for credentials, now in [
        (first, start),
        (first, start + timedelta(seconds=1)),
        (second, start + timedelta(seconds=1)),
        (first, start),
    ]:
        assert signer.headers(b"{}", credentials, now) == botocore_headers(
            "host", "eu-west-1", b"{}", credentials, now
        )


def test_credentials_in_text_show_no_secret() -> None:
    assert "b-secret" not in repr(Credentials("a", "b-secret", "c-secret"))
    assert "c-secret" not in repr(Credentials("a", "b-secret", "c-secret"))
