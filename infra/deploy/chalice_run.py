"""Runs `chalice` as its user would: a process of its own, in a project that was built for it."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from infra.deploy.errors import DeployError
from infra.deploy.place import Place

CHALICE: Final = (str(Path(sys.executable).with_name("chalice")),)
_SHOWN: Final = 15


def run_chalice(
    verb: str,
    project: Path,
    place: Place,
    tell: Callable[[str], None],
    *,
    profile: str | None = None,
    command: Sequence[str] = CHALICE,
) -> None:
    """`chalice <verb> --stage <stage>` has succeeded; its lines were told.

    Raises:
        DeployError: It failed; the message ends with its last lines.
    """
    arguments = [*command, "--project-dir", str(project), verb, "--stage", place.stage]
    if profile is not None:
        arguments += ["--profile", profile]
    environment = {
        **os.environ,
        "AWS_REGION": place.region,
        "AWS_DEFAULT_REGION": place.region,
        # Names of queues are made from it when the app is imported.
        "PAYGRADE_STAGE": place.stage,
    }
    process = subprocess.Popen(
        arguments,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines: list[str] = []
    with process:
        assert process.stdout is not None  # noqa: S101 -- asked for above
        for line in process.stdout:
            lines.append(line.rstrip())
            tell(f"  {line.rstrip()}")
    if process.returncode != 0:
        raise DeployError(
            f"chalice {verb} failed:\n" + "\n".join(lines[-_SHOWN:]), code="chalice_failed"
        )
