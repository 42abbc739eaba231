"""One execution environment of a Lambda function: its process, and the events it is given one after another."""

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

from tests.lambda_runtime.api import Invocation, RuntimeApi
from tests.lambda_runtime.client import runtime_client

REGION: Final = "us-east-1"
START_SECONDS: Final = 30


class FunctionError(Exception):
    """The function did not start, died, or answered with an error; the message is its own."""


class Function:
    """The handler of an unpacked package, in a process that sees nothing but the package and the runtime."""

    def __init__(
        self,
        task_root: Path,
        handler: str,
        environment: Mapping[str, str],
        *,
        name: str = "function",
        timeout_seconds: float = 60,
        log: Path | None = None,
    ) -> None:
        self._task_root = task_root
        self._handler = handler
        self._environment = environment
        self._name = name
        self._timeout_seconds = timeout_seconds
        self._log = log
        self._api = RuntimeApi()
        self._process: subprocess.Popen[bytes] | None = None
        self._began = 0.0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """The handler's module is imported, and the process waits for an event."""
        self._api.start()
        client = runtime_client()
        environment = {
            "PATH": os.environ["PATH"],
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            # /var/task is read-only.
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": str(client),
            "LAMBDA_TASK_ROOT": str(self._task_root),
            "AWS_LAMBDA_RUNTIME_API": self._api.address,
            "AWS_LAMBDA_FUNCTION_NAME": self._name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{self._name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": "local",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "_HANDLER": self._handler,
            **self._environment,
        }
        output = self._log.open("ab") if self._log else subprocess.DEVNULL
        self._began = time.perf_counter()
        self._process = subprocess.Popen(
            # -S: not even the packages of the interpreter that tests run with.
            [sys.executable, "-S", "-m", "awslambdaric", self._handler],
            cwd=self._task_root,
            env=environment,
            stdout=output,
            stderr=output,
        )
        deadline = time.monotonic() + START_SECONDS
        while not self._api.asked.wait(0.05):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise FunctionError(f"{self._handler} did not start")
        if self._api.init_error is not None:
            raise FunctionError(self._api.init_error)

    @property
    def ready_after(self) -> float:
        """Seconds from the start of the process to its first question for an event."""
        return self._api.first_asked - self._began

    def invoke(self, event: Any) -> Any:
        """The handler's answer.

        Raises:
            FunctionError: It raised.
        """
        return self.timed(event)[0]

    def timed(self, event: Any) -> tuple[Any, float]:
        """The handler's answer, and the seconds it took."""
        given = time.perf_counter()
        invocation = self._give(event)
        return invocation.json(), invocation.answered - given

    def first_answer(self, event: Any) -> tuple[Any, float]:
        """The answer to this, its first event, and the seconds to it from the start of the process."""
        invocation = self._give(event)
        return invocation.json(), invocation.answered - self._began

    def _give(self, event: Any) -> Invocation:
        invocation = Invocation(
            id=str(uuid.uuid4()),
            event=json.dumps(event).encode(),
            deadline_ms=int((time.time() + self._timeout_seconds) * 1000),
            function_arn=f"arn:aws:lambda:{REGION}:000000000000:function:{self._name}",
        )
        self._api.give(invocation)
        deadline = time.monotonic() + self._timeout_seconds
        while not invocation.done.wait(0.5):
            assert self._process is not None
            if self._process.poll() is not None:
                raise FunctionError(f"{self._handler} died of {self._process.returncode}")
            if time.monotonic() > deadline:
                raise FunctionError(f"{self._handler} timed out")
        if invocation.is_error:
            raise FunctionError(invocation.payload.decode(errors="replace"))
        return invocation

    def stop(self) -> None:
        """The process is gone, as if Lambda had taken it back."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._api.stop()
