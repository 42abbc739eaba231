"""The folder that holds all of one local stack: who may use it, what is in it, how it starts anew."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from infra.local.errors import LocalStackError

LOCK_FILE: Final = "lock"
INFO_FILE: Final = "dev.json"
KEYS_FILE: Final = "keys.json"
SEED_FILE: Final = "seeded.json"
STRIPE_STATE_FILE: Final = "stripe.db"
# Everything the stack writes. Only this is removed for a fresh start: somebody may have named a folder
# that holds more.
OWNED: Final = ("aws", "emulator.log", INFO_FILE, KEYS_FILE, SEED_FILE, f"{STRIPE_STATE_FILE}*")


class StateDirInUseError(LocalStackError):
    """Another local stack runs on the same folder."""


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """The folder exists, private to its user, and for the length of the block no other stack uses it.

    Raises:
        StateDirInUseError: Another one does.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    # The system lets go of the lock when the process ends, however it ends.
    with (path / LOCK_FILE).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise StateDirInUseError(
                f"A local stack (process {lock.read().strip() or 'unknown'}) already uses {path}:"
                " stop it, or choose another folder with --state-dir."
            ) from error
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def clear(path: Path) -> None:
    """Nothing of an earlier stack is left in the folder."""
    for pattern in OWNED:
        for found in path.glob(pattern):
            if found.is_dir():
                shutil.rmtree(found)
            else:
                found.unlink()


def write_private(target: Path, content: Mapping[str, object]) -> None:
    """The file holds this as JSON, whole at any time and readable by its user only."""
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(content, file, indent=2)
        file.write("\n")
    draft.replace(target)


@contextmanager
def published(path: Path, info: Mapping[str, str | None]) -> Iterator[None]:
    """`dev.json` is there, whole and readable by its user only, for the length of the block."""
    target = path / INFO_FILE
    write_private(target, info)
    try:
        yield
    finally:
        target.unlink(missing_ok=True)
