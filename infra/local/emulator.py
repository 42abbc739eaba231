"""AWS on this machine, DynamoDB and SQS unless told more: the emulator as a child process that keeps its data."""

import http.client
import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final

from infra.local.errors import LocalStackError
from infra.local.ports import HOST, PortBusyError, require_free

ROOT: Final = Path(__file__).parents[2]
DEFAULT_PYTHON: Final = ROOT / ".venv-emulator" / "bin" / "python"
LAUNCHER: Final = Path(__file__).with_name("emulator_launcher.py")
STOP_SECONDS: Final = 6.0
LOCAL_SERVICES: Final = ("dynamodb", "sqs")


class EmulatorError(LocalStackError):
    """The emulator could not be started; the message says why and what to do."""


class Emulator:
    """One emulator process with its state under `state_dir`.

    Written data survives a restart; a kill -9 loses about the last second of it. The process ends
    by itself when this one dies.
    """

    def __init__(
        self,
        state_dir: Path,
        port: int,
        python: Path = DEFAULT_PYTHON,
        services: Sequence[str] = LOCAL_SERVICES,
        launcher: Path = LAUNCHER,
    ) -> None:
        self._state_dir = state_dir
        self._port = port
        self._python = python
        self._services = services
        self._launcher = launcher
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint_url(self) -> str:
        """Where AWS clients find it (`AWS_ENDPOINT_URL`)."""
        return f"http://{HOST}:{self._port}"

    @property
    def log_path(self) -> Path:
        """What the emulator printed since its start."""
        return self._state_dir / "emulator.log"

    @property
    def pid(self) -> int | None:
        """The id of the process while it runs."""
        return self._process.pid if self._process else None

    def start(self, *, timeout_seconds: float = 30.0) -> None:
        """The emulator answers requests.

        Raises:
            EmulatorError: It is not installed, ended early or did not answer in time.
        """
        if not self._python.exists():
            raise EmulatorError(
                f"The AWS emulator is not installed in {self._python.parents[1]}: run `make dev`."
            )
        try:
            # Or the health check would be answered by whoever is there.
            require_free(self._port, "another port")
        except PortBusyError as error:
            raise EmulatorError(f"The AWS emulator cannot start: {error}") from error
        data_dir = self._state_dir / "aws"
        data_dir.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("wb") as log:
            self._process = self._spawn(data_dir, log)
        try:
            self._wait_until_healthy(self._process, timeout_seconds)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """The process has ended and its state is on disk. Does nothing when it is not running."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()  # lets the leash go: it saves and exits
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _spawn(self, data_dir: Path, log: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            # -I: neither our folder nor our environment's packages leak into the emulator.
            [str(self._python), "-I", str(self._launcher)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=self._environment(data_dir),
            # Ctrl-C reaches only us; we stop the emulator last.
            start_new_session=True,
        )

    def _environment(self, data_dir: Path) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
        return inherited | {
            "HOME": str(data_dir),
            "BIND_HOST": HOST,
            "GATEWAY_PORT": str(self._port),
            "SERVICES": ",".join(self._services),
            "PERSIST_STATE": "1",
            "STATE_DIR": str(data_dir),
            "LOG_LEVEL": "WARNING",
            # Listeners of services we do not use.
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
        }

    def _wait_until_healthy(self, process: subprocess.Popen[bytes], timeout_seconds: float) -> None:
        deadline = time.monotonic() + timeout_seconds
        while not self._is_healthy():
            if process.poll() is not None:
                raise EmulatorError(
                    f"The AWS emulator ended with status {process.returncode}.{self._log_tail()}"
                )
            if time.monotonic() > deadline:
                raise EmulatorError(
                    f"The AWS emulator gave no answer in {timeout_seconds:g} s.{self._log_tail()}"
                )
            time.sleep(0.02)

    def _is_healthy(self) -> bool:
        connection = http.client.HTTPConnection(HOST, self._port, timeout=2)
        try:
            connection.request("GET", "/_ministack/health")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _log_tail(self, lines: int = 15) -> str:
        tail = self.log_path.read_text(errors="replace").splitlines()[-lines:]
        return "".join(f"\n  {line}" for line in [f"Last lines of {self.log_path}:", *tail])
