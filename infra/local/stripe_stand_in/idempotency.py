"""Answers kept per idempotency key for a day, and given again to the same request."""

from __future__ import annotations

import hashlib

from infra.local.stripe_stand_in.account import Account
from infra.local.stripe_stand_in.clock import DAY
from infra.local.stripe_stand_in.errors import StripeError
from infra.local.stripe_stand_in.store import Obj
from infra.local.stripe_stand_in.wire import Request, Response

_LONGEST_KEY = 255
LIFETIME_SECONDS = DAY


def fingerprint(request: Request) -> str:
    """What makes two requests the same: method, path, and parameters in whatever order."""
    canonical = b"&".join(sorted(request.body.split(b"&")))
    head = f"{request.method} {request.path}\n".encode()
    return hashlib.sha256(head + canonical).hexdigest()


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
