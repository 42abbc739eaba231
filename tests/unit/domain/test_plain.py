import json
from datetime import UTC, datetime
from decimal import Decimal

from chalicelib.domain.plain import plain
from chalicelib.domain.subscriptions import SubscriptionStatus
from tests.factories import a_price, a_subscription


def test_plain_record_is_json_all_the_way_down() -> None:
    held = a_subscription(quantities={"seats": 3}, cancel_at=datetime(2026, 2, 1, tzinfo=UTC))
    document = plain(held)
    assert json.loads(json.dumps(document)) == document
    assert isinstance(document, dict)
    assert document["cancel_at"] == "2026-02-01T00:00:00+00:00"
    assert document["quantities"] == {"seats": 3}


def test_plain_enum_and_decimal_become_text() -> None:
    assert type(plain(SubscriptionStatus.ACTIVE)) is str
    price = plain(a_price(amount=None, amount_decimal=Decimal("0.50")))
    assert isinstance(price, dict)
    assert price["amount_decimal"] == "0.5"
