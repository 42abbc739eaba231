"""One run of the local stack for a person: its start told, its log in a file, its catalog seeded."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

from chalicelib import wiring
from chalicelib.domain.api_keys import KeyKind
from chalicelib.settings import SettingsError
from infra.cli import first_key
from infra.cli.errors import FAILURE, ApiError, CliError
from infra.cli.local_keys import ensure_keys
from infra.cli.local_log import LOG_FILE, logged_in
from infra.cli.output import Output
from infra.cli.paths import path
from infra.cli.progress import Progress
from infra.cli.ready import ready_text
from infra.cli.seed import example_catalog, seed, wait_until_synced
from infra.cli.session import new_client
from infra.local.errors import LocalStackError
from infra.local.foreground import run_in_foreground
from infra.local.stack import Keys, LocalStack, StackOptions, log_error
from infra.local.state_dir import SEED_FILE, write_private

CANNOT_START: Final = 2
UNAUTHORIZED: Final = 401
FORBIDDEN: Final = 403
# Hourly where it is deployed: here somebody is watching.
RECONCILE_VARIABLE: Final = "PAYGRADE_RECONCILE_MINUTES"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the user chose."""

    state_dir: Path
    port: int
    stripe_port: int
    fresh: bool
    seed: bool
    schedule_seconds: float | None


class Run:
    """What happens around the stack's own start and stop."""

    def __init__(self, choices: Choices, output: Output, out: TextIO, progress: Progress) -> None:
        self._choices = choices
        self._output = output
        self._out = out
        self._progress = progress
        self._log_path = choices.state_dir / LOG_FILE
        self._restarted = False

    def prepare(self, stack: LocalStack) -> Keys:
        """There are keys, and the example catalog if it never was there."""
        keys, self._restarted = ensure_keys(
            self._choices.state_dir,
            is_valid=lambda key: is_valid(stack.api_url, key),
            create=lambda kind: first_key.create_key(
                wiring.ports(), f"local {kind}", KeyKind(kind)
            )[1],
        )
        mark = self._choices.state_dir / SEED_FILE
        if self._choices.seed and not mark.exists():
            self._seed(stack.api_url, keys.api_key or "", mark)
        return keys

    def ready(self, stack: LocalStack) -> None:
        """The user knows where everything is."""
        self._progress.stop()
        text = (
            json.dumps(stack.info(), indent=2)
            if self._output.as_json
            else ready_text(
                stack.info(),
                log_path=self._log_path,
                seeded=(self._choices.state_dir / SEED_FILE).exists(),
                restarted=self._restarted,
            )
        )
        print(text, file=self._out, flush=True)

    def handler_failed(self, source: str, error: Exception) -> None:
        """The failure is in the log, and the user knows that something is there to look at."""
        log_error(source, error)
        self._progress.warn(f"{source} failed ({type(error).__name__}): see {self._log_path}")

    def _seed(self, api_url: str, api_key: str, mark: Path) -> None:
        catalog = example_catalog()
        api = new_client(api_url, api_key)
        try:
            seed(api, catalog, lambda what: self._progress.doing(f"Example catalog: {what} ..."))
            # From here on it is the user's: never again, whatever becomes of it.
            write_private(mark, {"object": "seed", "catalog": "example"})
            wait_until_synced(
                api, catalog, lambda what: self._progress.doing(f"On its way to Stripe: {what} ...")
            )
        except CliError as error:
            self._progress.warn(f"The example catalog is incomplete: {' '.join(error.lines())}")
        else:
            self._progress.part("example catalog")
        finally:
            api.close()


def run(choices: Choices, output: Output, out: TextIO) -> int:
    """The stack ran until the user stopped it; returns the exit code."""
    progress = Progress()
    one = Run(choices, output, out, progress)
    stack = LocalStack(
        StackOptions(
            state_dir=choices.state_dir,
            port=choices.port,
            stripe_port=choices.stripe_port,
            fresh=choices.fresh,
            schedule_seconds=choices.schedule_seconds,
            variables={RECONCILE_VARIABLE: os.environ.get(RECONCILE_VARIABLE, "1")},
        ),
        prepare=one.prepare,
        on_error=one.handler_failed,
        on_part=progress.part,
    )
    try:
        with logged_in(choices.state_dir):
            progress.start()
            run_in_foreground(stack, one.ready)
    except (LocalStackError, SettingsError) as error:
        return _refused(progress, output, str(error), CANNOT_START)
    except Exception as error:  # noqa: BLE001 - the traceback is in the log, not in the user's face
        why = " ".join(error.lines()) if isinstance(error, CliError) else repr(error)
        text = f"Cannot go on: {why} More is in {choices.state_dir / LOG_FILE}."
        return _refused(progress, output, text, FAILURE)
    progress.stop()
    output.note(f"Stopped. Everything is kept in {choices.state_dir} for the next start.")
    return 0


def is_valid(api_url: str, key: str) -> bool:
    """The API knows the key, whatever the key may do."""
    api = new_client(api_url, key)
    try:
        api.get(path("environment"))
    except ApiError as error:
        if error.status not in (UNAUTHORIZED, FORBIDDEN):
            raise
        return error.status == FORBIDDEN
    finally:
        api.close()
    return True


def _refused(progress: Progress, output: Output, text: str, code: int) -> int:
    progress.stop()
    output.failure(CliError(text, code="cannot_start", title="Cannot start"))
    return code
