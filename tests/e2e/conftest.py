"""A running stack, started as a user starts it, and a client for it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, sync_playwright

from infra.local.ports import free_port

ROOT = Path(__file__).parents[2]
START_SECONDS = 90
STOP_SECONDS = 60
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass
class Stack:
    """`paygrade dev` in a process of its own."""

    state_dir: Path
    port: int
    stripe_port: int
    options: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    info: dict[str, Any] = field(default_factory=dict)

    def start(self) -> None:
        command = [
            str(Path(sys.executable).parent / "paygrade"),
            "dev",
            f"--port={self.port}",
            f"--stripe-port={self.stripe_port}",
            f"--state-dir={self.state_dir}",
            *self.options,
        ]
        log = (self.state_dir.parent / "dev.log").open("ab")
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PAYGRADE_", "STRIPE_", "AWS_"))
        } | self.variables
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        log.close()
        ready = self.state_dir / "dev.json"
        deadline = time.monotonic() + START_SECONDS
        while not ready.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the stack did not start:\n{self.log_tail()}")
            time.sleep(0.1)
        self.info = json.loads(ready.read_text())

    def stop(self) -> int:
        """The exit code after Ctrl-C."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(STOP_SECONDS)

    def log_tail(self) -> str:
        return (self.state_dir.parent / "dev.log").read_text()[-4000:]

    def api(self) -> httpx.Client:
        return httpx.Client(
            base_url=f"{self.info['api_url']}/v1",
            headers={"Authorization": f"Bearer {self.info['api_key']}"},
            timeout=30,
        )

    def stripe(self) -> httpx.Client:
        return httpx.Client(
            base_url=self.info["stripe_url"], auth=("sk_test_observer", ""), timeout=30
        )


@pytest.fixture
def make_stack(tmp_path: Path) -> Iterator[Callable[..., Stack]]:
    stacks: list[Stack] = []

    def make(*options: str) -> Stack:
        stack = Stack(tmp_path / "state", free_port(), free_port(), options)
        stacks.append(stack)
        stack.start()
        return stack

    yield make
    for stack in stacks:
        if stack.process is not None and stack.process.poll() is None:
            stack.stop()


@pytest.fixture
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no chromium on the PATH; Debian's package of that name will do")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield found
        found.close()
