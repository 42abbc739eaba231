"""A stage that is deployed to emulated AWS: its checkout, its deployer, and a look at what came of it."""

import json
import shutil
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from infra.deploy.aws import Aws, connect
from infra.deploy.config import StageConfig
from infra.deploy.deployment import Deployment, Options, Report, Tools
from infra.deploy.removal import destroy
from infra.deploy.secrets import STRIPE_KEY, WEBHOOK_SECRETS, Secrets
from infra.deploy.webhook import of_stage
from infra.packaging.build import MARKER
from infra.packaging.target import this_machine
from tests.integration.deploy.checkout import CHALICE, ROOT

KEY: Final = "sk_test_deployer"
IGNORED: Final = shutil.ignore_patterns("__pycache__", "deployed", "deployments", "policy-*")


def quick_build(root: Path, out: Path, architecture: str) -> None:
    """The project without its dependencies: enough for Chalice, which imports it here, and made at once."""
    del architecture
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    (out / MARKER).touch()
    shutil.copy2(root / "app.py", out)
    shutil.copytree(root / "chalicelib", out / "chalicelib", ignore=IGNORED)
    shutil.copytree(root / ".chalice", out / ".chalice", ignore=IGNORED)
    (root / ".chalice" / "deployed").mkdir(exist_ok=True)
    (out / ".chalice" / "deployed").symlink_to(root / ".chalice" / "deployed")


def checkout(folder: Path, stage: str, variables: dict[str, str]) -> Path:
    """The sources, with a stage of that name configured as the stage dev is."""
    folder.mkdir()
    for part in ("chalicelib", ".chalice"):
        shutil.copytree(ROOT / part, folder / part, ignore=IGNORED)
    for part in ("app.py", "requirements.txt"):
        shutil.copy2(ROOT / part, folder)
    (ROOT / ".cache").mkdir(exist_ok=True)
    (folder / ".cache").symlink_to((ROOT / ".cache").resolve())
    path = folder / ".chalice" / "config.json"
    document = json.loads(path.read_text())
    document["lambda_architecture"] = str(this_machine())
    text = json.dumps(document["stages"]["dev"])
    for mark in ("policy-dev-", "/paygrade/dev/"):
        text = text.replace(mark, mark.replace("dev", stage))
    made = json.loads(text)
    made["api_gateway_stage"] = stage
    made["environment_variables"] |= {"PAYGRADE_STAGE": stage, **variables}
    document["stages"] = {stage: made}
    path.write_text(json.dumps(document))
    return folder


@dataclass
class Stage:
    """One stage and the account that it is in."""

    root: Path
    aws: Aws
    tools: Tools
    told: list[str] = field(default_factory=list)

    def deploy(self, **options: Any) -> Report:
        options.setdefault("smoke", False)
        deployer = Deployment(
            self.root, self.aws, Options(**options), self.told.append, tools=self.tools
        )
        return deployer.run()

    def destroy(self) -> None:
        webhook = of_stage(self.aws, self.config())
        assert webhook is not None
        destroy(
            self.root,
            self.aws,
            self.told.append,
            command=self.tools.chalice,
            poll_seconds=0.1,
            remove_webhook=webhook.remove,
        )

    def config(self) -> StageConfig:
        return StageConfig.read(self.root, self.aws.place.stage)

    def secrets(self) -> Secrets:
        return Secrets(self.aws, self.config().variables, live=False)

    def keep_key(self) -> None:
        self.secrets().write(STRIPE_KEY, KEY)

    def webhook_secrets(self) -> list[str]:
        return (self.secrets().read(WEBHOOK_SECRETS) or "").split(",")

    def functions(self) -> dict[str, Any]:
        """Every function as it is deployed, without what changes by itself."""
        client = self.aws.client("lambda")
        prefix = self.aws.place.stack_name
        return {
            one["FunctionName"]: {
                name: one.get(name)
                for name in (
                    *("CodeSha256", "Environment", "Handler", "MemorySize"),
                    *("Role", "Runtime", "Timeout", "Architectures"),
                )
            }
            for one in client.list_functions()["Functions"]
            if one["FunctionName"] == prefix or one["FunctionName"].startswith(f"{prefix}-")
        }

    def mappings(self) -> list[dict[str, Any]]:
        found = self.aws.client("lambda").list_event_source_mappings()["EventSourceMappings"]
        mark = f":{self.aws.place.stack_name}-"
        return sorted(
            (one for one in found if mark in one["EventSourceArn"]),
            key=lambda one: str(one["UUID"]),
        )

    def apis(self) -> list[str]:
        """Every REST API whose stage is ours."""
        client = self.aws.client("apigateway")
        found = []
        for api in client.get_rest_apis()["items"]:
            stages = client.get_stages(restApiId=api["id"])["item"]
            if self.aws.place.stage in [one["stageName"] for one in stages]:
                found.append(api["id"])
        return found

    def record(self) -> dict[str, Any]:
        """As the team has it."""
        s3 = self.aws.client("s3")
        answer = s3.get_object(Bucket=self.aws.place.bucket, Key="deployed.json")
        found: dict[str, Any] = json.loads(answer["Body"].read())
        return found

    def forget_locally(self) -> None:
        """The next deployer has another machine."""
        shutil.rmtree(self.root / ".chalice" / "deployed", ignore_errors=True)
        shutil.rmtree(self.root / "build", ignore_errors=True)


def new_stage(folder: Path, stripe_url: str, **more: str) -> Stage:
    stage = f"t{uuid.uuid4().hex[:8]}"
    root = checkout(folder / "checkout", stage, {"STRIPE_API_BASE": stripe_url, **more})
    tools = Tools(build=quick_build, chalice=(sys.executable, str(CHALICE)), poll_seconds=0.1)
    return Stage(root, connect(stage, region=None, profile=None), tools)
