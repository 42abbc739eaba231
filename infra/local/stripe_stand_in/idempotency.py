"""Answers kept per idempotency key for a day, and given again to the same request."""

from __future__ import annotations

import hashlib

from .account import Account
from .clock import DAY
from .errors import StripeError
from .store import Obj
from .wire import Response

_LONGEST_KEY = 255
LIFETIME_SECONDS = DAY


def fingerprint(method: str, path: str, body: bytes) -> str:
    """What makes two requests the same."""
    canonical = b"&".join(sorted(body.split(b"&")))
    return hashlib.sha256(f"{method} {path}\n".encode() + canonical).hexdigest()


def check_key(key: str) -> None:
    """The key is one Stripe would take."""
    if len(key) > _LONGEST_KEY:
        raise StripeError("Idempotency keys may be at most 255 characters long.", replayable=False)


def replay(acct: Account, key: str, print_of_request: str) -> Response | None:
    """The kept answer; refused when the key came with another request before."""
    kept = acct.store.get("_idempotency", key)
    if kept is None:
        return None
    if kept["created"] + LIFETIME_SECONDS <= acct.now():
        acct.store.delete("_idempotency", key)
        return None
    if kept["fingerprint"] != print_of_request:
        raise StripeError(
            "Keys for idempotent requests can only be used with the same parameters they were "
            f"first used with. Try using a key other than '{key}' if you meant to execute a "
            "different request.",
            type="idempotency_error",
            replayable=False,
        )
    headers = {
        "Content-Type": "application/json",
        "Idempotent-Replayed": "true",
        "Original-Request": kept["request_id"],
    }
    return Response(kept["status"], headers, kept["body"].encode())


def keep(acct: Account, key: str, print_of_request: str, answer: Response, request_id: str) -> None:
    """The answer will be replayed for a day."""
    entry: Obj = {
        "id": key,
        "fingerprint": print_of_request,
        "status": answer.status,
        "body": answer.body.decode(),
        "request_id": request_id,
        "created": acct.now(),
    }
    acct.store.put("_idempotency", key, entry)
