"""From bytes to events: what is read, and that nothing else comes out than two errors."""

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chalicelib.adapters.billing.stripe.events import MAX_BODY_BYTES, MAX_DEPTH, StripeEventReader
from chalicelib.domain.billing import ProviderEvent
from chalicelib.domain.errors import InvalidSignatureError, MalformedEventError
from tests.unit.adapters.stripe.scripted import NOW, ManualClock

SECRET = "whsec_test"
T = int(NOW.timestamp())
READER = StripeEventReader([SECRET], ManualClock())


def sign(body: bytes) -> str:
    signature = hmac.new(SECRET.encode(), f"{T}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={T},v1={signature}"


def read(body: bytes) -> ProviderEvent:
    return READER.read(body, sign(body))


def event(subject: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    return {
        "id": "evt_1Abc",
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": 1_790_000_000,
        "data": {"object": subject or {"id": "sub_1", "object": "subscription"}},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": "customer.subscription.updated",
        **fields,
    }


def read_json(value: Any) -> ProviderEvent:
    return read(json.dumps(value).encode())


def test_event_well_formed_is_read_whole() -> None:
    subject = {"id": "sub_1", "object": "subscription", "customer": "cus_1"}
    assert read_json(event(subject)) == ProviderEvent(
        id="evt_1Abc",
        type="customer.subscription.updated",
        created_at=datetime.fromtimestamp(1_790_000_000, UTC),
        live=False,
        api_version="2026-10-28.endive",
        object_id="sub_1",
        customer_billing_id="cus_1",
    )


@pytest.mark.parametrize(
    ("subject", "object_id", "customer"),
    [
        ({"id": "cus_9", "object": "customer"}, "cus_9", "cus_9"),
        ({"id": "cus_9", "object": "customer", "deleted": True}, "cus_9", "cus_9"),
        ({"id": "sub_1", "object": "subscription", "customer": "cus_1"}, "sub_1", "cus_1"),
        (
            {"id": "in_1", "object": "invoice", "customer": {"id": "cus_1", "object": "customer"}},
            "in_1",
            "cus_1",
        ),
        ({"id": "cs_1", "object": "checkout.session", "customer": "cus_1"}, "cs_1", "cus_1"),
        ({"id": "cs_1", "object": "checkout.session", "customer": None}, "cs_1", None),
        ({"id": "price_1", "object": "price"}, "price_1", None),
        ({"object": "balance"}, None, None),
        ({"id": 7, "object": "invoice", "customer": 7}, None, None),
        ({"id": "", "object": "invoice", "customer": ""}, None, None),
        ({"id": "in_1", "object": "invoice", "customer": {"object": "customer"}}, "in_1", None),
        ({"id": "in_1", "object": "invoice", "customer": ["cus_1"]}, "in_1", None),
        ({"id": "a#b", "object": "invoice", "customer": "c\x1fd"}, None, None),
        ({"id": "x" * 256, "object": "invoice", "customer": "\ud800"}, None, None),
        ({"id": "plan:gold.2", "object": "product"}, "plan:gold.2", None),
    ],
)
def test_event_subject_gives_object_and_customer(
    subject: dict[str, Any], object_id: str | None, customer: str | None
) -> None:
    found = read_json(event(subject))
    assert (found.object_id, found.customer_billing_id) == (object_id, customer)


def test_event_of_live_mode_without_version_is_read() -> None:
    found = read_json(event(livemode=True, api_version=None))
    assert found.live
    assert found.api_version is None


@pytest.mark.parametrize(
    "fields",
    [
        {"id": None},
        {"id": 1},
        {"id": ""},
        {"id": "evt_"},
        {"id": "in_1"},
        {"id": "evt_1#x"},
        {"id": "evt_1\n"},
        {"id": "evt_é"},
        {"id": "evt_" + "x" * 252},
        {"object": "customer"},
        {"object": None},
        {"object": "v2.core.event"},
        {"type": None},
        {"type": ""},
        {"type": "A b"},
        {"type": "x" * 256},
        {"created": None},
        {"created": "1790000000"},
        {"created": 1.5},
        {"created": True},
        {"created": -1},
        {"created": 10**12},
        {"created": 10**30},
        {"livemode": None},
        {"livemode": 0},
        {"livemode": "false"},
        {"api_version": 3},
        {"api_version": ""},
        {"api_version": "x" * 65},
        {"data": None},
        {"data": []},
        {"data": {}},
        {"data": {"object": None}},
        {"data": {"object": "sub_1"}},
        {"data": {"object": []}},
    ],
)
def test_event_with_a_wrong_field_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(MalformedEventError):
        read_json(event(**fields))


GOOD = json.dumps(event()).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"null",
        b"[]",
        b'"evt_1"',
        b"{",
        b"\xff",
        b"\xef\xbb\xbf" + GOOD,
        GOOD.decode().encode("utf-16"),
        GOOD + b"x",
        GOOD[:-1] + b',"id":"evt_2"}',
        GOOD[:-1] + b',"n":NaN}',
        GOOD[:-1] + b',"n":Infinity}',
        GOOD[:-1] + b',"n":-Infinity}',
        GOOD[:-1] + b',"n":' + b"9" * 5000 + b"}",
        GOOD[:-1] + b',"s":"\xc3"}',
        GOOD[:-1] + b',"s":"\n"}',
        GOOD[:-1] + b',"d":{"a":1,"a":2}}',
        GOOD[:-1] + b',"n":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}",
        b"[" * 10_000,
        b"[" * 10_000 + b"]" * 10_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'"' + b"[" * 10_000,
        GOOD[:-1] + b" " * MAX_BODY_BYTES + b"}",
    ],
    ids=lambda body: repr(body[-24:]),
)
def test_event_body_that_is_no_strict_json_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedEventError):
        read(body)


def test_event_with_brackets_in_strings_is_not_deep() -> None:
    assert read_json(event(note='\\"' + "[{" * 200)).id == "evt_1Abc"


def test_event_unsigned_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(InvalidSignatureError):
        READER.read(b"[" * 100_000, None)


@given(body=st.binary(max_size=400), signature=st.none() | st.text(max_size=200))
@example(body=GOOD, signature=f"t={T},v1=\ud800")
def test_reader_given_any_bytes_and_header_raises_only_its_errors(
    body: bytes, signature: str | None
) -> None:
    with pytest.raises(InvalidSignatureError):
        READER.read(body, signature)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)
MUTATIONS = st.dictionaries(st.sampled_from(sorted(event())), JSON, max_size=3)


@given(
    body=st.binary(max_size=400) | st.builds(lambda m: json.dumps(event(**m)).encode(), MUTATIONS)
)
def test_reader_given_any_signed_bytes_gives_an_event_or_its_error(body: bytes) -> None:
    try:
        found = read(body)
    except MalformedEventError:
        return
    assert found.id.isascii()
    assert found.created_at.tzinfo is UTC
