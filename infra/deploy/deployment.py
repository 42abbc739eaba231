"""`paygrade deploy`: one stage brought to what the checkout says, step by step, from wherever an earlier try ended.

Every step looks at what is there and changes only what differs, so that doing it all again is how a failure is got
over. Nothing is remembered on the deployer's machine.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from infra.deploy.aws import Aws, aws_failures
from infra.deploy.chalice_run import CHALICE, run_chalice
from infra.deploy.config import PUBLIC_URL, StageConfig
from infra.deploy.errors import DeployError
from infra.deploy.firewall import (
    OUTPUT,
    place_firewall,
    requests_per_address,
    withdraw_firewall,
)
from infra.deploy.functions import complete_addresses, complete_mappings
from infra.deploy.keys import SECRETS_KEYS, SIGNING_KEYS, stage_keys
from infra.deploy.policies import GRANTS, write_policies
from infra.deploy.records import Record, Records, write
from infra.deploy.recovery import recovered
from infra.deploy.secrets import STRIPE_KEY, WEBHOOK_SECRETS, Secrets
from infra.deploy.smoke import smoke_test
from infra.deploy.stack import Stack, Tell
from infra.deploy.throttle import Throttle, complete_throttle
from infra.deploy.webhook import of_stage

# Makes the project that Chalice deploys: from the checkout, in the folder, for the processor.
Builder = Callable[[Path, Path, str], object]


def build_package(root: Path, out: Path, architecture: str) -> object:
    """The package, built from the lock."""
    from infra.packaging.build import build  # noqa: PLC0415 -- brings Chalice's deployer
    from infra.packaging.errors import PackagingError  # noqa: PLC0415
    from infra.packaging.target import Architecture, running_python  # noqa: PLC0415

    # As in Chalice's configuration; Lambda's own words.
    processor = Architecture(architecture)
    try:
        return build(root, out, architecture=processor, python_version=running_python())
    except PackagingError as error:
        raise DeployError(str(error), code="packaging_failed") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the deployer may choose."""

    alarm_topic: str | None = None
    webhook: bool = True
    smoke: bool = True
    take_over: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step's outcome: what it changed, or that nothing differed."""

    name: str
    changes: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class Report:
    """What a deployment did."""

    stage: str
    account: str
    region: str
    url: str = ""
    steps: list[Step] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What a deployment is done with; a test has some of its own."""

    build: Builder = build_package
    chalice: Sequence[str] = CHALICE
    smoke: Callable[..., list[str]] = smoke_test
    poll_seconds: float = 2.0


_TOOLS: Final = Tools()


class Deployment:
    """Of one checkout to one stage."""

    def __init__(
        self,
        root: Path,
        aws: Aws,
        options: Options,
        tell: Tell,
        *,
        tools: Tools = _TOOLS,
        profile: str | None = None,
    ) -> None:
        """Raises `DeployError` for a stage that the checkout does not have."""
        self._root = root
        self._aws = aws
        self._options = options
        self._tell = tell
        self._tools = tools
        self._profile = profile
        self._config = StageConfig.read(root, aws.place.stage)
        self._secrets = Secrets(aws, self._config.variables, live=self._config.live)
        place = aws.place
        self._project = root / "build" / f"deploy-{place.stage}"
        self._record_path = root / ".chalice" / "deployed" / f"{place.stage}.json"
        self.report = Report(stage=place.stage, account=place.account, region=place.region)

    def run(self) -> Report:
        """The stage is as the checkout says.

        Raises:
            DeployError: Some step could not be done; those before it stand, and the next run goes on from there.
        """
        with aws_failures():
            self._preflight()
            self._step("stack", self._deploy_stack)
            records = Records(self._aws)
            with records.locked(take_over=self._options.take_over):
                self._step("package", self._build)
                self._step("functions", lambda: self._deploy_functions(records))
                record = json.loads(self._record_path.read_text())
                self._step("queues", lambda: complete_mappings(self._aws, record, GRANTS))
                self._step("throttle", lambda: self._complete_throttle(record))
                self._step("firewall", lambda: self._place_firewall(record))
                self.report.url = self._address(record)
                self._step("address", lambda: self._complete_addresses(self.report.url))
                webhook = of_stage(self._aws, self._config) if self._options.webhook else None
                if webhook is not None:
                    self._step("webhook", lambda: webhook.register(self.report.url))
            if self._options.smoke:
                self._step("smoke test", self._smoke)
        return self.report

    def _step(self, name: str, do: Callable[[], Sequence[str]]) -> None:
        self._tell(f"{name} ...")
        changes = tuple(do())
        for change in changes:
            self._tell(f"  {change}")
        self.report.steps.append(Step(name=name, changes=changes))

    def _preflight(self) -> None:
        """What would fail only at run time is refused before anything is touched."""
        Throttle.read(self._config.variables)
        requests_per_address(self._config.variables)
        for name in (SECRETS_KEYS, SIGNING_KEYS):
            stage_keys(name, self._config.variables)
        if not self._config.has_stripe:
            return
        if self._config.variables.get("PAYGRADE_STRIPE_CONNECT") == "optional":
            raise DeployError(
                "PAYGRADE_STRIPE_CONNECT is 'optional': that is for the local stack. A deployed stage has one webhook"
                " endpoint, for its key's own account or for connected ones: leave it out.",
                code="bad_setting",
            )
        key = self._secrets.read(STRIPE_KEY)
        if key is None:
            raise DeployError(
                f"The Stripe key of {self._aws.place.stage!r} is missing: keep one with `paygrade infra secret"
                f" {STRIPE_KEY} --stage {self._aws.place.stage}`, or name the billing providers without stripe"
                " (PAYGRADE_BILLING_PROVIDERS in .chalice/config.json).",
                code="no_stripe_key",
            )
        self._secrets.check(STRIPE_KEY, key)
        text = self._secrets.read(WEBHOOK_SECRETS)
        if text is not None:
            self._secrets.check(WEBHOOK_SECRETS, text)
        elif not self._options.webhook:
            raise DeployError(
                f"{WEBHOOK_SECRETS} is missing: without --no-webhook it is made, else keep it with `paygrade infra"
                f" secret {WEBHOOK_SECRETS} --stage {self._aws.place.stage}`.",
                code="no_webhook_secret",
            )

    def _stack(self) -> Stack:
        return Stack(
            self._aws,
            self._tell,
            parameters=self._config.stack_parameters,
            poll_seconds=self._tools.poll_seconds,
        )

    def _deploy_stack(self) -> list[str]:
        stack = self._stack()
        if not requests_per_address(self._config.variables):
            withdraw_firewall(self._aws, stack.outputs().get(OUTPUT))
        changes = stack.deploy(self._options.alarm_topic)
        # The changes themselves were told while they happened.
        return [f"{len(changes)} resources changed"] if changes else []

    def _build(self) -> list[str]:
        self._tools.build(self._root, self._project, self._config.architecture)
        folder = self._project / ".chalice"
        config = self._config
        write_policies(folder, self._aws.place, config.variables, xray=config.xray)
        return []

    def _deploy_functions(self, records: Records) -> list[str]:
        record = recovered(self._aws, records.restore(self._record_path), GRANTS)
        before = _known(record)
        if record:
            write(self._record_path, record)
        else:
            self._record_path.parent.mkdir(parents=True, exist_ok=True)
        if record.get("resources") and (url := _url_in(record)):
            self._config.write_address(self._project, self._address_from(url))
        elif PUBLIC_URL in self._config.variables:
            self._config.write_address(self._project, self._config.variables[PUBLIC_URL])
        try:
            run_chalice(
                "deploy",
                self._project,
                self._aws.place,
                self._tell,
                profile=self._profile,
                command=self._tools.chalice,
            )
        finally:
            # Also after a failure: whoever goes on from it finds what was made.
            read: Record = (
                json.loads(self._record_path.read_text()) if self._record_path.exists() else {}
            )
            after = recovered(self._aws, read, GRANTS)
            write(self._record_path, after)
            records.save(after)
        return [f"made {name}" for name in sorted(_known(after) - before)]

    def _complete_throttle(self, record: Record) -> list[str]:
        throttle = Throttle.read(self._config.variables)
        return complete_throttle(self._aws, record, self._config.gateway_stage, throttle)

    def _place_firewall(self, record: Record) -> list[str]:
        firewall = self._stack().outputs().get(OUTPUT)
        return place_firewall(self._aws, record, self._config.gateway_stage, firewall)

    def _complete_addresses(self, url: str) -> list[str]:
        return complete_addresses(self._aws, url, GRANTS)

    def _address(self, record: Record) -> str:
        url = _url_in(record)
        if url is None:
            raise DeployError("Chalice's record has no API.")
        return self._address_from(url)

    def _address_from(self, deployed: str) -> str:
        """Where clients reach it: its own domain if the configuration names one."""
        return (self._config.variables.get(PUBLIC_URL) or deployed).rstrip("/")

    def _smoke(self) -> list[str]:
        asked = self._tools.smoke(
            self.report.url, self._aws.place.stage, webhook=self._config.has_stripe
        )
        for line in asked:
            self._tell(f"  {line}")
        return []


def _known(record: Record) -> set[str]:
    return {one["name"] for one in record.get("resources", [])}


def _url_in(record: Record) -> str | None:
    for one in record.get("resources", []):
        if one["resource_type"] == "rest_api":
            found: str = one["rest_api_url"]
            return found
    return None
