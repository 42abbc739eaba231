"""All of Paygrade on one machine: started in order, stopped in reverse, nothing left behind."""

import importlib
import logging
import secrets
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from chalice.app import Chalice

from chalicelib import wiring
from chalicelib.api import runtime
from infra.local import billing, environment, state_dir
from infra.local.api_server import ApiServer
from infra.local.emulator import Emulator
from infra.local.ports import free_port, require_free
from infra.local.queue_worker import OnError
from infra.local.resources import ensure_resources
from infra.local.scheduler import Scheduler
from infra.local.signer import LocalSigner
from infra.local.workers import QueueWorkers

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

log = logging.getLogger(__name__)  # below "paygrade" it would be Chalice's, which prints


@dataclass(frozen=True, slots=True)
class Keys:
    """The API keys of the environment, as clients present them."""

    api_key: str | None = None
    publishable_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StackOptions:
    """What a user may choose; the defaults are those of `paygrade dev`."""

    state_dir: Path = Path(".paygrade")
    port: int = 8000
    stripe_port: int = 8010
    fresh: bool = False
    schedule_seconds: float | None = None  # replaces the interval of every schedule
    visibility_timeout_seconds: int = 15
    variables: Mapping[str, str] = field(default_factory=dict)  # more, for the app


def load_app() -> Chalice:
    """Paygrade's app, imported under the environment variables of this moment."""
    app: Chalice = importlib.import_module("app").app
    return app


def log_error(source: str, error: Exception) -> None:
    """A handler's failure is in the log; its message or its schedule comes again."""
    log.error("%s failed: %s", source, error, exc_info=error)


class LocalStack:
    """The parts of the local stack. A process has one in its life: the app's wiring is made once.

    `prepare` runs when all is up: it seeds, makes API keys, whatever the command line wants, and
    returns the keys that `dev.json` shows. `on_part` hears the name of each part that became ready.
    """

    api_url: str
    aws_url: str
    billing: billing.Billing
    keys: Keys

    def __init__(
        self,
        options: StackOptions,
        *,
        prepare: "Callable[[LocalStack], Keys]" = lambda _: Keys(),
        app_loader: Callable[[], Chalice] = load_app,
        on_error: OnError = log_error,
        on_part: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.options = options
        self._prepare = prepare
        self._app_loader = app_loader
        self._on_error = on_error
        self._on_part = on_part
        self._parts = ExitStack()

    def start(self) -> None:
        """Everything runs, and `dev.json` says where.

        Raises:
            LocalStackError: It cannot, and nothing is left running; the message is for the user.
        """
        with ExitStack() as parts:
            self._start(parts)
            self._parts = parts.pop_all()

    def stop(self) -> None:
        """Nothing runs any more and the data is on disk."""
        self._parts.close()

    def info(self) -> dict[str, str | None]:
        """What `dev.json` holds."""
        return {
            "api_url": self.api_url,
            "api_key": self.keys.api_key,
            "publishable_key": self.keys.publishable_key,
            "stripe_url": self.billing.url,
            "stripe_webhook_secret": self.billing.webhook_secret,
            "environment": environment.STAGE,
        }

    def _start(self, parts: ExitStack) -> None:
        options = self.options
        stripe_key = environment.stripe_test_key()
        parts.enter_context(state_dir.exclusive(options.state_dir))
        require_free(options.port, "--port")
        if stripe_key is None:
            require_free(options.stripe_port, "--stripe-port")
        if options.fresh:
            state_dir.clear(options.state_dir)
        self.api_url = f"http://127.0.0.1:{options.port}"

        sqs = self._start_aws(parts)
        if stripe_key is None:
            self.billing = parts.enter_context(
                billing.stand_in(
                    options.state_dir / state_dir.STRIPE_STATE_FILE,
                    options.stripe_port,
                    self.api_url,
                )
            )
        else:
            self.billing = billing.stripe_test_mode(stripe_key)
        self._on_part("Stripe stand-in" if stripe_key is None else "Stripe's test mode")
        self._start_app(parts, sqs)
        self.keys = self._prepare(self)
        parts.enter_context(state_dir.published(options.state_dir, self.info()))

    def _start_aws(self, parts: ExitStack) -> "SQSClient":
        emulator = Emulator(self.options.state_dir, free_port())
        parts.callback(emulator.stop)
        emulator.start()
        self._on_part("AWS emulator")
        self.aws_url = emulator.endpoint_url
        parts.enter_context(environment.variables(environment.aws_variables(self.aws_url)))
        # The pool: each worker thread holds a connection for the length of its poll.
        sqs = boto3.client("sqs", config=Config(max_pool_connections=50))
        ensure_resources(
            boto3.client("dynamodb"),
            sqs,
            stage=environment.STAGE,
            visibility_timeout_seconds=self.options.visibility_timeout_seconds,
        )
        self._on_part("tables and queues")
        return sqs

    def _start_app(self, parts: ExitStack, sqs: "SQSClient") -> None:
        variables = {
            **environment.app_variables(self.api_url),
            "PAYGRADE_TOKEN_SECRETS": secrets.token_hex(32),  # no token outlives the run
            "PAYGRADE_BROWSER_ORIGINS": ",".join(environment.BROWSER_ORIGINS),
            **self.billing.variables,
            **self.options.variables,
        }
        parts.enter_context(environment.variables(variables))
        app = self._app_loader()  # reads them: not a moment earlier
        signer = LocalSigner()
        runtime.set_ports_factory(lambda: replace(wiring.ports(interactive=True), signer=signer))
        parts.callback(runtime.set_ports_factory, None)
        on_error, interval = self._on_error, self.options.schedule_seconds
        for name, part in (
            ("API", ApiServer(app, self.options.port)),
            ("queue workers", QueueWorkers(app, sqs, on_error=on_error)),
            ("schedules", Scheduler(app, on_error=on_error, interval_seconds=interval)),
        ):
            parts.callback(part.stop)
            part.start()
            self._on_part(name)
