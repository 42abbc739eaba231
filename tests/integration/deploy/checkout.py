"""A checkout of its own, deployed as its owner would: built, then `chalice deploy` on what was built."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from infra.packaging.build import Report, build
from infra.packaging.target import running_python, this_machine

ROOT: Final = Path(__file__).parents[3]
CHALICE: Final = Path(__file__).with_name("chalice_without_naps.py")
# Permissions are not enforced by the emulator; that those of each function suffice is tested elsewhere.
POLICY: Final = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["dynamodb:*", "sqs:*"], "Resource": "*"}],
}


@dataclass
class Checkout:
    """Sources, a stage, and what was deployed of them last."""

    folder: Path
    stage: str
    endpoint_url: str
    variables: Mapping[str, str]
    built: Report = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir()
        for part in ("chalicelib", ".chalice"):
            ignored = shutil.ignore_patterns("__pycache__", "deployed", "deployments")
            shutil.copytree(ROOT / part, self.folder / part, ignore=ignored)
        for part in ("app.py", "requirements.txt"):
            shutil.copy2(ROOT / part, self.folder)
        (ROOT / ".cache").mkdir(exist_ok=True)
        (self.folder / ".cache").symlink_to((ROOT / ".cache").resolve())
        self._configure()

    def _configure(self) -> None:
        path = self.folder / ".chalice" / "config.json"
        config: dict[str, Any] = json.loads(path.read_text())
        config["stages"] = {
            self.stage: {
                "api_gateway_stage": "api",
                "environment_variables": {"PAYGRADE_STAGE": self.stage, **self.variables},
                "iam_policy_file": "policy.json",
                "lambda_timeout": 30,
                "lambda_memory_size": 512,
            }
        }
        path.write_text(json.dumps(config))
        (self.folder / ".chalice" / "policy.json").write_text(json.dumps(POLICY))

    def build(self, name: str = "build") -> Report:
        """The sources as they are now, built; it is what is deployed next."""
        self.built = build(
            self.folder,
            self.folder / name,
            architecture=this_machine(),
            python_version=running_python(),
        )
        return self.built

    def deploy(self, built: Report | None = None) -> None:
        """What was built (last, unless another is named) is deployed."""
        self.built = built or self.built
        self.chalice("deploy")

    def delete(self) -> None:
        """Nothing that `chalice deploy` made is left."""
        self.chalice("delete")

    def chalice(self, verb: str, *arguments: str) -> None:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "PAYGRADE_STAGE": self.stage,
        }
        project = str(self.built.project)
        done = subprocess.run(
            [
                *(sys.executable, str(CHALICE), "--project-dir", project, verb),
                *("--stage", self.stage),
                *arguments,
            ],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    @property
    def record(self) -> list[dict[str, Any]]:
        """What Chalice noted of its last deployment."""
        path = self.folder / ".chalice" / "deployed" / f"{self.stage}.json"
        resources: list[dict[str, Any]] = json.loads(path.read_text())["resources"]
        return resources
