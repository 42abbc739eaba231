"""Runs the AWS emulator so that it neither loses data to a kill nor outlives who started it.

Executed by the emulator's own Python, apart from ours: it imports nothing of Paygrade. By itself
ministack saves on a clean shutdown only. Here its state is also written shortly after each change,
atomically and on its own event loop, so between two requests and never in the middle of one.
Standard input is the leash: when the parent closes it or dies, the emulator saves and exits.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack import app as emulator
from ministack.core import persistence

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

STATE_DIR = Path(persistence.STATE_DIR)
STAGING_PREFIX = ".saving-"
SAVE_INTERVAL_SECONDS = 0.5
SAVE_PAUSE_FACTOR = 3  # a large state takes longer to save: rest three times as long
EXIT_GRACE_SECONDS = 5.0
READ_PREFIXES = ("Get", "BatchGet", "TransactGet", "Query", "Scan", "Describe", "List")
# A receive changes no more than visibility and a counter; the delete that follows is saved.
READ_ACTIONS = ("ReceiveMessage",)

log = logging.getLogger("emulator-launcher")


class ChangeTracker:
    """The emulator's ASGI app; `changed` turns true with each request that is not a pure read."""

    def __init__(self) -> None:
        self.changed = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request as the emulator does."""
        await emulator.app(scope, receive, send)
        if scope["type"] == "http" and _is_write(scope):
            self.changed = True


def _is_write(scope: Scope) -> bool:
    target = next((value for name, value in scope["headers"] if name == b"x-amz-target"), b"")
    action = target.decode("latin-1").rpartition(".")[2]
    return bool(action) and not action.startswith(READ_PREFIXES) and action not in READ_ACTIONS


def save(still_valid: Callable[[], bool] = lambda: True) -> None:
    """The state of all services is on disk, unless it has become invalid meanwhile.

    SQS is put in place before DynamoDB: killed between the two, a message may be delivered twice,
    which its consumers bear, but an outbox row never says "sent" of a message that is gone.
    """
    states = emulator._build_persistence_save_dict()  # noqa: SLF001 - it has no public name
    with TemporaryDirectory(prefix=STAGING_PREFIX, dir=STATE_DIR) as staging:
        persistence.STATE_DIR = staging
        try:
            for name, get_state in states.items():
                persistence.save_state(name, get_state())
        finally:
            persistence.STATE_DIR = str(STATE_DIR)
        if still_valid():
            for file in sorted(Path(staging).iterdir(), key=lambda file: file.name != "sqs.json"):
                file.replace(STATE_DIR / file.name)


async def save_aside() -> None:
    """The state of this instant is on disk; requests went on meanwhile.

    A forked child has a frozen copy of the memory, so the pause is the fork alone: 10,000 items
    take 0.3 s to write, which no request should wait for.
    """
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            # An orphan's snapshot could replace a newer one of the next emulator.
            save(still_valid=lambda: os.getppid() == parent)
            status = 0
        except Exception:
            log.exception("saving in a child failed")
        finally:
            os._exit(status)
    _, status = await asyncio.to_thread(os.waitpid, child, 0)
    if status != 0:
        log.warning("saving in a child ended with status %d, saving here", status)
        save()


async def keep_saving(tracker: ChangeTracker, ended: asyncio.Event) -> None:
    """The state was saved shortly after each change; no saving is under way any more."""
    pause = SAVE_INTERVAL_SECONDS
    while not ended.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), pause)
        if not tracker.changed:
            continue
        tracker.changed = False
        started = time.perf_counter()
        try:
            await save_aside()
        except Exception:
            log.exception("saving failed, trying again")
            tracker.changed = True
        pause = max(SAVE_INTERVAL_SECONDS, SAVE_PAUSE_FACTOR * (time.perf_counter() - started))


def watch_leash(stop: Callable[[], None]) -> None:
    """Returns once the parent is gone; the process ends soon after, however busy it is."""
    # The raw descriptor: a daemon thread blocked inside sys.stdin would trip interpreter shutdown.
    while os.read(0, 1024):
        pass
    stop()
    time.sleep(EXIT_GRACE_SECONDS)
    os._exit(1)


async def run() -> None:
    """Serves until the leash is let go or a signal asks to end; the state is saved."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    threading.Thread(
        target=watch_leash, args=(lambda: loop.call_soon_threadsafe(ended.set),), daemon=True
    ).start()

    config = Config()
    config.bind = [f"{os.environ['BIND_HOST']}:{os.environ['GATEWAY_PORT']}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 0.2  # clients keep connections open; there is nothing to wait for
    config.loglevel = "WARNING"
    tracker = ChangeTracker()
    saving = asyncio.create_task(keep_saving(tracker, ended))
    await serve(tracker, config, shutdown_trigger=ended.wait)
    await saving
    save()


def own_state() -> int:
    """No other emulator uses the state; the returned descriptor keeps it so.

    A predecessor whose parent was killed may still be saving; its forked children share its lock.
    """
    lock = os.open(STATE_DIR / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


if __name__ == "__main__":
    lock = own_state()
    for leftover in STATE_DIR.glob(f"{STAGING_PREFIX}*"):  # of a save that was killed
        shutil.rmtree(leftover)
    asyncio.run(run())
    # Its background threads are of no use any more and must not delay the exit.
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)
