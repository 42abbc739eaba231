"""The README's commands are run as they stand, and its JSON answers compared with what comes back."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import ROOT, Stack

pytestmark = pytest.mark.e2e

BLOCK = re.compile(r"^```(bash|json)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = "--- end of block ---"


def contains(actual: Any, expected: Any) -> bool:
    """Whether everything expected stands in what came."""
    if isinstance(expected, dict):
        return isinstance(actual, dict) and all(
            name in actual and contains(actual[name], value) for name, value in expected.items()
        )
    if isinstance(expected, list):
        return (
            isinstance(actual, list)
            and len(actual) == len(expected)
            and all(contains(*pair) for pair in zip(actual, expected, strict=True))
        )
    return bool(actual == expected)


def last_json(text: str) -> Any:
    """The last JSON object that the text ends with."""
    decoder = json.JSONDecoder()
    found = None
    at = 0
    while (start := text.find("{", at)) >= 0:
        try:
            found, length = decoder.raw_decode(text[start:])
            at = start + length
        except json.JSONDecodeError:
            at = start + 1
    return found


def test_readme_commands_on_running_stack_answer_as_printed(
    make_stack: Callable[..., Stack], tmp_path: Path
) -> None:
    # Who asks for a reconciliation joins the one that the schedule began, which may have looked already.
    stack = make_stack("--schedule-every=3600")
    blocks = BLOCK.findall((ROOT / "README.md").read_text())
    paygrade = Path(sys.executable).parent / "paygrade"
    script = ["set -eu"]
    script += [f"{text}\necho; echo '{MARK}'" for kind, text in blocks if kind == "bash"]
    commands = (
        "\n".join(script)
        .replace("127.0.0.1:8000", f"127.0.0.1:{stack.port}")
        .replace("127.0.0.1:8010", f"127.0.0.1:{stack.stripe_port}")
        .replace(".paygrade/dev.json", str(stack.state_dir / "dev.json"))
        .replace(".venv/bin/paygrade", f"{paygrade} --state-dir {stack.state_dir}")
    )
    ran = subprocess.run(
        ["bash", "-c", commands],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    outputs = ran.stdout.split(MARK)
    compared = 0
    at = -1
    for kind, text in blocks:
        if kind == "bash":
            at += 1
            continue
        answer = last_json(outputs[at])
        assert contains(answer, json.loads(text)), f"{text}\nis not in\n{outputs[at]}"
        compared += 1
    assert compared >= 5
