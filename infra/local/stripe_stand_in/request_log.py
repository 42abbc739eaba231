"""Every API request served, for tests that count them; secrets are not kept."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from infra.local.stripe_stand_in.account import Account
from infra.local.stripe_stand_in.store import Obj
from infra.local.stripe_stand_in.wire import Request

_KEPT = 5_000
_SECRET_HEADERS = {"authorization", "cookie", "x-stripe-client-user-agent"}
_SECRET_PARAMS = ("number", "cvc", "secret", "password")


def note(acct: Account, request: Request, status: int, request_id: str) -> None:
    """The request is in the log."""
    seq = acct.setting("request_seq") or 0
    seq += 1
    acct.set_setting("request_seq", seq)
    text = request.query if request.method == "GET" else request.body.decode("utf-8", "replace")
    entry: Obj = {
        "seq": seq,
        "id": request_id,
        "method": request.method,
        "path": request.path,
        "params": _params(text),
        "headers": {
            name.lower(): "[redacted]" if name.lower() in _SECRET_HEADERS else value
            for name, value in request.headers.items()
        },
        "status": status,
        "idempotency_key": request.header("Idempotency-Key"),
        "time": acct.now(),
    }
    acct.store.put("_request", str(seq), entry)
    if seq > _KEPT:
        acct.store.delete("_request", str(seq - _KEPT))


def _params(text: str) -> dict[str, Any]:
    return {
        name: "[redacted]" if name.rstrip("]").endswith(_SECRET_PARAMS) else value
        for name, value in parse_qsl(text, keep_blank_values=True)
    }


def since(acct: Account, seq: int) -> list[Obj]:
    """The requests after that number, oldest first."""
    return [entry for entry in acct.store.scan("_request") if entry["seq"] > seq]
