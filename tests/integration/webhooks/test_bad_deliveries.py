"""Whatever is posted to the webhook and is no event of ours: refused by name, and nothing is kept of it."""

import base64
import json
from collections.abc import Mapping
from typing import Any, Final

import pytest

from chalicelib.domain.billing_events import BillingEvent
from tests.integration.webhooks.deliveries import (
    CUSTOMER,
    GOOD,
    NOW,
    Delivery,
    encoded,
    event,
    mark,
    signature,
    signed,
)
from tests.integration.world import SECRET, Deployment, dump

UNSIGNED: Final = (400, "invalid_signature")
MALFORMED: Final = (400, "malformed_event")
NOT_JSON: Final = (400, "malformed_json")
TOO_LARGE: Final = (413, "body_too_large")

RIGHT: Final = mark(GOOD)
WRONG: Final = "0" * 64
LATE: Final = NOW - 301
EARLY: Final = NOW + 301


def at(timestamp: object) -> str:
    """A header that is right in all but its time: the signature covers exactly this spelling."""
    return signature(GOOD, timestamp=timestamp)


HEADERS: Final[Mapping[str, str | None]] = {
    "missing": None,
    "empty": "",
    "blank": "   ",
    "only-commas": ",,,,",
    "no-pairs": "nonsense",
    "right-signature-alone": RIGHT,
    "v0-only": f"t={NOW},v0={RIGHT}",
    "v2-only": f"t={NOW},v2={RIGHT}",
    "no-v1": f"t={NOW}",
    "v1-empty": f"t={NOW},v1=",
    "wrong-secret": signature(GOOD, "whsec_other"),
    "empty-secret": signature(GOOD, ""),
    "blank-secret": signature(GOOD, " "),
    "secret-with-newline": signature(GOOD, f"{SECRET}\n"),
    "v1-of-body-without-time": f"t={NOW},v1={mark(GOOD, timestamp='')}",
    "v1-all-zeros": f"t={NOW},v1={WRONG}",
    "v1-truncated": f"t={NOW},v1={RIGHT[:-1]}",
    "v1-half": f"t={NOW},v1={RIGHT[:32]}",
    "v1-longer": f"t={NOW},v1={RIGHT}00",
    "v1-upper-case": f"t={NOW},v1={RIGHT.upper()}",
    "v1-base64": f"t={NOW},v1={base64.b64encode(bytes.fromhex(RIGHT)).decode()}",
    "v1-not-hex": f"t={NOW},v1={'g' * 64}",
    "v1-full-width-digits": f"t={NOW},v1=" + "\uff10" * 64,
    "v1-100-wrong": ",".join([f"t={NOW}", *(f"v1={number:064x}" for number in range(100))]),
    "v1-right-after-100-wrong": ",".join(
        [f"t={NOW}", *(f"v1={number:064x}" for number in range(100)), f"v1={RIGHT}"]
    ),
    "t-missing": f"v1={RIGHT}",
    "t-empty": f"t=,v1={mark(GOOD, timestamp='')}",
    "t-twice": f"t={NOW},t={NOW},v1={RIGHT}",
    "t-twice-old-first": f"t={LATE},t={NOW},v1={RIGHT}",
    "t-old-last": f"t={NOW},t={LATE},v1={RIGHT}",
    "t-float": at(f"{NOW}.0"),
    "t-negative": at(-NOW),
    "t-minus-one": at(-1),
    "t-zero": at(0),
    "t-plus-sign": at(f"+{NOW}"),
    "t-exponent": at("1e9"),
    "t-1e20": at("1e20"),
    "t-twenty-digits": at(10**20),
    "t-far-future": at(999_999_999_999),
    "t-not-digits": at("now"),
    "t-hexadecimal": at(hex(NOW)),
    "t-underscores": at(f"{NOW:_}"),
    "t-arabic-digits": f"t={''.join(chr(0x660 + int(digit)) for digit in str(NOW))},v1={RIGHT}",
    "t-leading-space": at(f" {NOW}"),
    "t-milliseconds": at(NOW * 1000),
    "t-301-seconds-old": at(LATE),
    "t-301-seconds-ahead": at(EARLY),
    "t-a-day-old": at(NOW - 86_400),
    "t-of-another-signature": f"t={NOW + 1},v1={RIGHT}",
    "scheme-upper-case": f"T={NOW},V1={RIGHT}",
    "semicolons": f"t={NOW};v1={RIGHT}",
    "spaces-after-commas": f"t={NOW}, v1={RIGHT}",
    "colons": f"t:{NOW},v1:{RIGHT}",
    "quoted": f'"t={NOW},v1={RIGHT}"',
    "ten-kilobytes": f"t={NOW},v1={RIGHT}," + "x=" + "y" * 10_240,
    "non-ascii": f"t={NOW},v1={RIGHT},é",
    "only-non-ascii": "ü" * 100,
    "half-surrogate": "t=\ud800,v1=\udfff",
    "nul": f"t={NOW}\x00,v1={RIGHT}",
}

SWAPPED: Final = encoded(event(id="evt_2"))
PRETTY: Final = json.dumps(json.loads(GOOD), separators=(",", ":")).encode()

# The signature is that of GOOD; what arrives is something else.
SWAPPED_BODIES: Final[Mapping[str, bytes]] = {
    "empty": b"",
    "another-event": SWAPPED,
    "re-serialised": PRETTY,
    "line-ends-as-crlf": GOOD.replace(b"\n", b"\r\n"),
    "newline-appended": GOOD + b"\n",
    "byte-order-mark": b"\xef\xbb\xbf" + GOOD,
    "last-byte-lost": GOOD[:-1],
    "twice": GOOD + GOOD,
    "replacement-character": GOOD.replace(b"evt_1", "evt_�".encode()),
}

# These are signed as they are: a thief of the secret, or a Stripe that has gone mad.
SIGNED_BODIES: Final[Mapping[str, bytes]] = {
    "empty": b"",
    "spaces": b"   ",
    "crlf": b"\r\n",
    "byte-order-mark": b"\xef\xbb\xbf" + GOOD,
    "utf-16": GOOD.decode().encode("utf-16"),
    "byte-ff": b"\xff",
    "byte-ff-inside": GOOD.replace(b"sub_1", b"sub_\xff"),
    "nul": b"\x00",
    "unclosed": GOOD[:-1],
    "trailing-text": GOOD + b"x",
    "two-documents": GOOD + GOOD,
    "form": b"id=evt_1&object=event",
    "xml": b"<event/>",
    "single-quotes": b"{'id': 'evt_1'}",
    "depth-10000-arrays": b"[" * 10_000 + b"]" * 10_000,
    "depth-10000-objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "depth-10000-unclosed": b"[" * 10_000,
    "deep-inside-an-event": GOOD.replace(b'"sub_1"', b"[" * 100 + b"]" * 100),
    "duplicate-id": GOOD.replace(b'"object": "event"', b'"id": "evt_2", "object": "event"'),
    "duplicate-key-inside": GOOD.replace(b'"id": "sub_1"', b'"id": "sub_1", "id": "sub_2"'),
    "nan": GOOD.replace(str(NOW).encode(), b"NaN"),
    "infinity": GOOD.replace(str(NOW).encode(), b"Infinity"),
    "minus-infinity": GOOD.replace(b'"pending_webhooks": 1', b'"pending_webhooks": -Infinity'),
    "number-of-5000-digits": GOOD.replace(str(NOW).encode(), b"9" * 5000),
    "null": b"null",
    "true": b"true",
    "number": b"17",
    "string": b'"evt_1"',
    "empty-array": b"[]",
    "array-of-events": b"[" + GOOD + b"]",
    "empty-object": b"{}",
}

# Well-formed and signed, but no event.
DOCUMENTS: Final[Mapping[str, dict[str, Any]]] = {
    **{
        f"no-{name}": event(absent=(name,))
        for name in ("id", "object", "type", "data", "created", "livemode")
    },
    **{
        f"{name}-null": event(**{name: None})
        for name in ("id", "object", "type", "data", "created", "livemode")
    },
    "id-number": event(id=1),
    "id-empty": event(id=""),
    "id-array": event(id=["evt_1"]),
    "id-without-prefix": event(id="1"),
    "id-of-something-else": event(id="cus_1"),
    "id-1000-characters": event(id="evt_" + "x" * 996),
    "id-hash": event(id="evt_1#evt_2"),
    "id-slash": event(id="evt_1/../2"),
    "id-newline": event(id="evt_1\n"),
    "id-nul": event(id="evt_1\x00"),
    "id-unicode": event(id="evt_é"),
    "id-half-surrogate": event(id="evt_\ud800"),
    "type-number": event(type=5),
    "type-empty": event(type=""),
    "type-upper-case": event(type="CUSTOMER.CREATED"),
    "type-hash": event(type="customer#created"),
    "type-300-characters": event(type="a" * 300),
    "object-wrong": event(object="charge"),
    "object-thin-event": event(object="v2.core.event"),
    "data-array": event(data=[]),
    "data-text": event(data="sub_1"),
    "data-empty": event(data={}),
    "data-object-null": event(data={"object": None}),
    "data-object-text": event(data={"object": "sub_1"}),
    "data-object-array": event(data={"object": []}),
    "created-text": event(created=str(NOW)),
    "created-float": event(created=NOW + 0.5),
    "created-bool": event(created=True),
    "created-negative": event(created=-1),
    "created-year-10000": event(created=253_402_300_800),
    "created-1e30": event(created=10**30),
    "livemode-text": event(livemode="false"),
    "livemode-zero": event(livemode=0),
    "api-version-number": event(api_version=20261028),
    "api-version-too-long": event(api_version="2" * 65),
    "api-version-spaces": event(api_version="2026-10-28 endive"),
}

BASE64: Final = base64.b64encode(GOOD).decode()
ENCODINGS: Final[Mapping[str, tuple[Delivery, tuple[int, str]]]] = {
    "base64-text-without-the-flag": (Delivery(header=at(NOW), sent=BASE64), UNSIGNED),
    "plain-text-with-the-flag": (
        Delivery(header=at(NOW), sent=GOOD.decode(), is_base64=True),
        NOT_JSON,
    ),
    "base64-cut-off": (Delivery(header=at(NOW), sent=BASE64[:-3], is_base64=True), NOT_JSON),
    "base64-without-padding": (Delivery(header=at(NOW), sent="e30", is_base64=True), NOT_JSON),
    "base64-non-ascii": (Delivery(header=at(NOW), sent="é===", is_base64=True), NOT_JSON),
    "base64-of-base64": (
        Delivery(header=at(NOW), sent=base64.b64encode(BASE64.encode()).decode(), is_base64=True),
        UNSIGNED,
    ),
    "half-surrogate-text": (Delivery(header=at(NOW), sent="\ud800"), NOT_JSON),
    "no-body-at-all": (Delivery(body=b"", header=at(NOW), sent=""), UNSIGNED),
}

BIG: Final = encoded(event(padding="x" * 1_100_000))
SIZES: Final[Mapping[str, Delivery]] = {
    "over-a-megabyte-signed": signed(BIG),
    "over-a-megabyte-unsigned": Delivery(body=BIG),
    "over-256-kilobytes-signed": signed(event(padding="x" * 256 * 1024)),
    "over-a-megabyte-base64": Delivery(
        header=signature(BIG), sent=base64.b64encode(BIG).decode(), is_base64=True
    ),
    "brackets": signed(b"[" * 1_000_001),
}

CASES: Final = [
    *(
        pytest.param(Delivery(header=header), UNSIGNED, id=f"header-{name}")
        for name, header in HEADERS.items()
    ),
    *(
        pytest.param(Delivery(body=body, header=at(NOW)), UNSIGNED, id=f"swapped-{name}")
        for name, body in SWAPPED_BODIES.items()
    ),
    *(
        pytest.param(signed(body), MALFORMED, id=f"signed-{name}")
        for name, body in SIGNED_BODIES.items()
    ),
    *(
        pytest.param(signed(document), MALFORMED, id=f"event-{name}")
        for name, document in DOCUMENTS.items()
    ),
    *(
        pytest.param(delivery, expected, id=f"encoding-{name}")
        for name, (delivery, expected) in ENCODINGS.items()
    ),
    *(pytest.param(delivery, TOO_LARGE, id=f"size-{name}") for name, delivery in SIZES.items()),
    pytest.param(
        Delivery(header=at(NOW), header_name="X-Stripe-Signature"), UNSIGNED, id="header-misnamed"
    ),
    pytest.param(
        Delivery(headers={"Authorization": f"Bearer {SECRET}"}), UNSIGNED, id="secret-as-bearer"
    ),
    pytest.param(
        Delivery(body=SWAPPED, header=at(NOW), headers={"Content-Type": "text/plain"}),
        UNSIGNED,
        id="content-type-wrong-and-swapped",
    ),
]


@pytest.mark.parametrize(("delivery", "expected"), CASES)
def test_webhook_bad_delivery_is_refused_and_leaves_nothing(
    deployment: Deployment, delivery: Delivery, expected: tuple[int, str]
) -> None:
    before = dump(deployment.store)
    answer = delivery.to(deployment)
    problem = answer.json
    assert (answer.status, problem["code"]) == expected
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert problem["status"] == answer.status
    assert problem["request_id"] == answer.headers["Request-Id"]
    assert SECRET not in answer.body.decode()
    assert CUSTOMER not in answer.body.decode()
    assert dump(deployment.store) == before
    assert deployment.store.all(BillingEvent) == []
    assert deployment.queue.messages == []
    assert deployment.fake.calls == []
    assert deployment.monitor.named("api_crash") == []


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
def test_webhook_other_method_is_refused_and_leaves_nothing(
    deployment: Deployment, method: str
) -> None:
    before = dump(deployment.store)
    answer = Delivery(header=at(NOW), method=method).to(deployment)
    assert answer.status == 405
    assert dump(deployment.store) == before


def test_webhook_query_parameter_is_refused_and_leaves_nothing(deployment: Deployment) -> None:
    before = dump(deployment.store)
    answer = deployment.request(
        "POST",
        "/v1/webhooks/stripe?skip_signature=true",
        GOOD,
        headers={"Stripe-Signature": at(NOW)},
    )
    assert (answer.status, answer.json["code"]) == (422, "invalid")
    assert dump(deployment.store) == before


def test_bad_delivery_cases_are_many_and_named_once() -> None:
    names = [case.id for case in CASES]
    assert len(names) == len(set(names))
    assert len(names) >= 120
