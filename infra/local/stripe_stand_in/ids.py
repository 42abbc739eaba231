"""Ids in Stripe's style: a prefix and a random-looking tail from a seed and a counter."""

from __future__ import annotations

import hashlib
import secrets

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# kind -> (prefix, length of the tail)
_FORMS: dict[str, tuple[str, int]] = {
    "product": ("prod_", 14),
    "price": ("price_1", 23),
    "customer": ("cus_", 14),
    "checkout.session": ("cs_test_a1", 58),
    "subscription": ("sub_1", 23),
    "subscription_item": ("si_", 14),
    "subscription_schedule": ("sub_sched_1", 23),
    "invoice": ("in_1", 23),
    "line_item": ("il_1", 23),
    "item": ("li_1", 23),
    "invoiceitem": ("ii_1", 23),
    "invoice_payment": ("inpay_1", 23),
    "event": ("evt_1", 23),
    "webhook_endpoint": ("we_1", 23),
    "secret": ("whsec_", 32),
    "request": ("req_", 14),
    "payment_method": ("pm_1", 23),
    "payment_intent": ("pi_3", 23),
    "setup_intent": ("seti_1", 23),
    "charge": ("ch_3", 23),
    "refund": ("re_3", 23),
    "coupon": ("", 8),
    "code": ("", 8),
    "promotion_code": ("promo_1", 23),
    "discount": ("di_1", 23),
    "billing.meter": ("mtr_test_61", 30),
    "meter_event": ("mev_", 24),
    "billing.meter_event_summary": ("mtrusg_test_", 30),
    "billing_portal.session": ("bps_1", 23),
    "billing_portal.configuration": ("bpc_1", 23),
    "token": ("tok_1", 23),
    "delivery": ("dlv_", 20),
    "account": ("acct_1", 15),
    "oauth_code": ("ac_", 32),
    "refresh_token": ("rt_", 48),
    "access_token": ("sk_test_", 32),
    "publishable_key": ("pk_test_", 32),
}


class Ids:
    """Each id is new; two instances of the same seed and counter give the same ids."""

    def __init__(self, seed: str | None = None, counter: int = 0) -> None:
        self.seed = seed or secrets.token_hex(16)
        self.counter = counter

    def tail(self, length: int) -> str:
        """A fresh string of letters and digits."""
        self.counter += 1
        number = int.from_bytes(
            hashlib.sha512(f"{self.seed}:{self.counter}".encode()).digest(), "big"
        )
        letters = []
        for _ in range(length):
            number, digit = divmod(number, 62)
            letters.append(_ALPHABET[digit])
        return "".join(letters)

    def new(self, kind: str) -> str:
        """A fresh id for an object of this kind."""
        prefix, length = _FORMS[kind]
        tail = self.tail(length)
        return prefix + (tail.upper() if kind == "code" else tail)
