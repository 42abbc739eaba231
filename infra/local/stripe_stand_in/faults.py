"""Faults on demand: which request meets which one, and when it stops."""

from __future__ import annotations

import fnmatch
from typing import Any

from infra.local.stripe_stand_in.account import Account
from infra.local.stripe_stand_in.errors import invalid
from infra.local.stripe_stand_in.router import all_routes, pattern_of
from infra.local.stripe_stand_in.store import Obj

KINDS = (
    "429",
    "429_lock_timeout",
    "401",
    "403",
    "409",
    "500_before",
    "500_after",
    "timeout_before",
    "timeout_after",
    "reset",
    "reset_after",
    "slow",
)


def add(acct: Account, given: Any) -> Obj:
    """The fault waits for its requests; unknown kinds are refused."""
    kind = str(given.get("kind", ""))
    if kind not in KINDS:
        raise invalid(f"Invalid kind: must be one of {', '.join(KINDS)}", "kind")
    acct.ids.counter += 1
    key = str(acct.ids.counter)
    fault: Obj = {
        "id": key,
        "method": str(given.get("method") or "*").upper(),
        "path": str(given.get("path") or "*"),
        "kind": kind,
        "times": int(given.get("times", 1)),
        "after": int(given.get("after", 0)),
        "retry_after": given.get("retry_after"),
        "seconds": float(given.get("seconds", 5.0)),
        # A 500 of a request that never ran leaves nothing to replay; one that ran does.
        "stored": bool(given.get("stored", kind == "500_after")),
    }
    acct.store.put("_fault", key, fault)
    return fault


def clear(acct: Account) -> None:
    """No fault waits any more."""
    for fault in acct.store.scan("_fault"):
        acct.store.delete("_fault", fault["id"])


def take(acct: Account, method: str, path: str) -> Obj | None:
    """The fault this request meets, counted down; None for the usual case."""
    for fault in acct.store.scan("_fault"):
        if not matches(fault, method, path):
            continue
        if fault["after"] > 0:
            acct.store.put("_fault", fault["id"], {**fault, "after": fault["after"] - 1})
            continue
        left = fault["times"] - 1
        if left > 0:
            acct.store.put("_fault", fault["id"], {**fault, "times": left})
        else:
            acct.store.delete("_fault", fault["id"])
        return fault
    return None


def matches(fault: Obj, method: str, path: str) -> bool:
    """Whether the fault is for this request: an exact path, template, glob or prefix."""
    if fault["method"] not in ("*", method):
        return False
    wanted: str = fault["path"]
    if "*" in wanted:
        return fnmatch.fnmatchcase(path, wanted)
    if "{" in wanted:
        return pattern_of(wanted).match(path) is not None
    if path == wanted:
        return True
    # A path that is an operation itself means just that one; any other is a prefix.
    is_operation = any(found.template == wanted for found in all_routes())
    return not is_operation and path.startswith(wanted.rstrip("/") + "/")
