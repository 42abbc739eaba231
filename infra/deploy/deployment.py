"""`paygrade deploy`: one stage brought to what the checkout says, step by step, from wherever an earlier try ended.

Every step looks at what is there and changes only what differs, so that doing it all again is how a failure is got
over. Nothing is remembered on the deployer's machine.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import settings
from chalicelib.wiring.billing import PROVIDERS
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
from infra.deploy.functions import (
    complete_addresses,
    complete_mappings,
    refuse_functions_of_a_stack,
)
from infra.deploy.keys import SECRETS_KEYS, SIGNING_KEYS, stage_keys
from infra.deploy.policies import GRANTS, write_policies
from infra.deploy.records import Record, Records, write
from infra.deploy.recovery import recovered
from infra.deploy.secrets import STRIPE_KEY, TOKEN_SECRETS, WEBHOOK_SECRETS, Secrets
from infra.deploy.smoke import address_answers, smoke_test
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
    stack: bool = True
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
    answers: Callable[[str, str], bool] = address_answers
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
        self._tell(str(self._aws.place))
        with aws_failures():
            records = Records(self._aws)
            has_place = records.has_place()
            self._preflight(has_stack=has_place)
            with ExitStack() as held:
                if has_place:
                    held.enter_context(records.locked(take_over=self._options.take_over))
                if self._options.stack:
                    self._step("stack", self._deploy_stack)
                if not has_place:
                    # The first stack brings the place of the lock; CloudFormation takes one deployer at a time.
                    held.enter_context(records.locked(take_over=self._options.take_over))
                self._step("package", self._build)
                self._step("functions", lambda: self._deploy_functions(records))
                record = json.loads(self._record_path.read_text())
                self._step("queues", lambda: complete_mappings(self._aws, record, GRANTS))
                self._step("throttle", lambda: self._complete_throttle(record))
                self._step("firewall", lambda: self._place_firewall(record))
                deployed = _url_in(record)
                self.report.url = self._address_from(deployed)
                self._step("address", lambda: self._complete_addresses(self.report.url))
                webhook = of_stage(self._aws, self._config) if self._options.webhook else None
                if webhook is not None:
                    self._step("webhook", lambda: webhook.register(self.report.url))
            if self._options.smoke:
                self._step("smoke test", lambda: self._smoke(deployed))
        return self.report

    def _step(self, name: str, do: Callable[[], Sequence[str]]) -> None:
        self._tell(f"{name} ...")
        changes = tuple(do())
        for change in changes:
            self._tell(f"  {change}")
        self.report.steps.append(Step(name=name, changes=changes))

    def _preflight(self, *, has_stack: bool) -> None:
        """What would fail only at run time is refused before anything is touched."""
        self._check_settings()
        refuse_functions_of_a_stack(self._aws)
        if not (has_stack or self._options.stack):
            raise DeployError(
                f"{self._aws.place} has no stack yet: deploy without --no-stack.", code="no_stack"
            )
        Throttle.read(self._config.variables)
        _ = self._config.stack_parameters
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
                f"The Stripe key is missing in {self._aws.place}: keep one there with `paygrade infra secret"
                f" {STRIPE_KEY} --stage {self._aws.place.stage}`, or name the billing providers without stripe"
                " (PAYGRADE_BILLING_PROVIDERS in .chalice/config.json).",
                code="no_stripe_key",
            )
        self._secrets.check(STRIPE_KEY, key)
        if self._options.webhook:
            self._secrets.where(WEBHOOK_SECRETS)
        text = self._secrets.read(WEBHOOK_SECRETS)
        if text is not None:
            self._secrets.check(WEBHOOK_SECRETS, text)
        elif not self._options.webhook:
            raise DeployError(
                f"{WEBHOOK_SECRETS} is missing: without --no-webhook it is made, else keep it with `paygrade infra"
                f" secret {WEBHOOK_SECRETS} --stage {self._aws.place.stage}`.",
                code="no_webhook_secret",
            )

    def _check_settings(self) -> None:
        """Raises `DeployError` for what the functions would refuse to start with."""
        variables = self._config.variables
        try:
            # The address may be known only afterwards.
            loaded = settings.load({PUBLIC_URL: "https://not.known.yet", **variables})
        except settings.SettingsError as error:
            raise DeployError(f".chalice/config.json: {error}", code="bad_setting") from error
        unknown = [name for name in loaded.billing_providers if name not in PROVIDERS]
        if unknown:
            raise DeployError(
                f"PAYGRADE_BILLING_PROVIDERS names {unknown[0]!r}; there are {', '.join(PROVIDERS)}.",
                code="bad_setting",
            )
        if loaded.stage != self._aws.place.stage:
            raise DeployError(
                f"PAYGRADE_STAGE of the stage {self._aws.place.stage!r} is {loaded.stage!r} in .chalice/config.json:"
                " its functions would work with another stage's data.",
                code="bad_setting",
            )
        tokens = self._secrets.read(TOKEN_SECRETS)
        if tokens is not None:
            self._secrets.check(TOKEN_SECRETS, tokens)

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
        record = self._recovered(records.restore(self._record_path))
        before = _known(record)
        if record:
            write(self._record_path, record)
        else:
            self._record_path.parent.mkdir(parents=True, exist_ok=True)
        if _has_api(record):
            self._config.write_address(self._project, self._address_from(_url_in(record)))
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
        except BaseException:
            # Whoever goes on from it finds what was made. What went wrong is what has to be told: with expired
            # credentials this fails, too, and the next run looks by itself.
            with suppress(DeployError, ClientError, BotoCoreError):
                self._keep_record(records)
            raise
        after = self._keep_record(records)
        return [f"made {name}" for name in sorted(_known(after) - before)]

    def _keep_record(self, records: Records) -> Record:
        read: Record = (
            json.loads(self._record_path.read_text()) if self._record_path.exists() else {}
        )
        after = self._recovered(read)
        write(self._record_path, after)
        records.save(after)
        return after

    def _recovered(self, record: Record) -> Record:
        return recovered(self._aws, record, GRANTS, self._config.gateway_stage)

    def _complete_throttle(self, record: Record) -> list[str]:
        throttle = Throttle.read(self._config.variables)
        return complete_throttle(self._aws, record, self._config.gateway_stage, throttle)

    def _place_firewall(self, record: Record) -> list[str]:
        firewall = self._stack().outputs().get(OUTPUT)
        return place_firewall(self._aws, record, self._config.gateway_stage, firewall)

    def _complete_addresses(self, url: str) -> list[str]:
        return complete_addresses(self._aws, url, GRANTS)

    def _address_from(self, deployed: str) -> str:
        """Where clients reach it: its own domain if the configuration names one."""
        return (self._config.variables.get(PUBLIC_URL) or deployed).rstrip("/")

    def _smoke(self, deployed: str) -> list[str]:
        """Asked where AWS has put the API: a domain of its own can be led there only once it is known."""
        stage, has_stripe = self._aws.place.stage, self._config.has_stripe
        text = self._secrets.read(WEBHOOK_SECRETS) if has_stripe else None
        secret = settings.webhook_secrets(text)[0] if text else None
        asked = self._tools.smoke(deployed, stage, webhook=has_stripe, secret=secret)
        for line in asked:
            self._tell(f"  {line}")
        if deployed != self.report.url and not self._tools.answers(self.report.url, stage):
            self._tell(
                f"  {self.report.url} does not lead there: point it at {deployed}. Stripe delivers to it already."
            )
        return []


def _known(record: Record) -> set[str]:
    return {one["name"] for one in record.get("resources", [])}


def _has_api(record: Record) -> bool:
    return any(one["resource_type"] == "rest_api" for one in record.get("resources", []))


def _url_in(record: Record) -> str:
    """Where AWS has put the API."""
    for one in record.get("resources", []):
        if one["resource_type"] == "rest_api":
            return str(one["rest_api_url"]).rstrip("/")
    raise DeployError("Chalice's record has no API.")
