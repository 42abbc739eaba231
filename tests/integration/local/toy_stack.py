"""The local stack around a toy app, as a program: what the signal tests start and kill."""

import sys
from pathlib import Path
from typing import Any

from chalice.app import Chalice, SQSEvent

from infra.local.errors import LocalStackError
from infra.local.foreground import run_in_foreground
from infra.local.stack import Keys, LocalStack, StackOptions

HANDLED: list[str] = []


def load_toy_app() -> Chalice:
    import os  # noqa: PLC0415 - proves that the variables are set before an app is imported

    app = Chalice(app_name="toy")
    seen = {name: os.environ[name] for name in os.environ if name.startswith(("PAYGRADE_", "STR"))}
    queue = f"paygrade-{os.environ['PAYGRADE_STAGE']}-sync.fifo"

    @app.route("/seen")
    def show() -> dict[str, Any]:
        return {"variables": seen, "handled": HANDLED}

    @app.on_sqs_message(queue=queue, batch_size=1)
    def work(event: SQSEvent) -> None:
        HANDLED.extend(record.body for record in event)

    return app


def keys(stack: LocalStack) -> Keys:
    return Keys(api_key=f"pg_sk_{stack.options.port}", publishable_key="pg_pk")


def options(state_dir: Path, port: int, stripe_port: int, **more: Any) -> StackOptions:
    return StackOptions(state_dir=state_dir, port=port, stripe_port=stripe_port, **more)


if __name__ == "__main__":
    made = LocalStack(
        options(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])),
        prepare=keys,
        app_loader=load_toy_app,
    )
    try:
        run_in_foreground(made, lambda _: print("ready", flush=True))
    except LocalStackError as error:
        sys.exit(str(error))
