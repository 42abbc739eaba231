"""The local stack as a whole: ready when it says so, gone when stopped or killed, its data kept."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.local.environment import LiveKeyError
from infra.local.errors import LocalStackError
from infra.local.ports import PortBusyError, free_port, require_free
from infra.local.stack import LocalStack
from infra.local.state_dir import StateDirInUseError
from tests.integration.conftest import connect
from tests.integration.local.toy_stack import HANDLED, keys, load_toy_app, options

TABLE = "paygrade-local-customers"
ITEM: Any = {"pk": {"S": "a"}, "sk": {"S": "b"}}


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the user, or another suite's environment in this process, has set is not there."""
    for name in [name for name in os.environ if name.startswith(("PAYGRADE_", "STRIPE_"))]:
        monkeypatch.delenv(name)


@pytest.fixture
def ports() -> tuple[int, int]:
    return free_port(), free_port()


@contextmanager
def running(state_dir: Path, ports: tuple[int, int], **more: Any) -> Iterator[LocalStack]:
    stack = LocalStack(options(state_dir, *ports, **more), prepare=keys, app_loader=load_toy_app)
    stack.start()
    try:
        yield stack
    finally:
        stack.stop()


@contextmanager
def program(state_dir: Path, ports: tuple[int, int]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.integration.local.toy_stack", str(state_dir)]
        + [str(port) for port in ports],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


def test_start_makes_everything_work_and_stop_leaves_nothing(
    tmp_path: Path, ports: tuple[int, int]
) -> None:
    threads, variables = set(threading.enumerate()), dict(os.environ)
    with running(tmp_path, ports) as stack:
        info = json.loads((tmp_path / "dev.json").read_text())
        assert info == {
            "api_url": f"http://127.0.0.1:{ports[0]}",
            "api_key": f"pg_sk_{ports[0]}",
            "publishable_key": "pg_pk",
            "stripe_url": f"http://127.0.0.1:{ports[1]}",
            "stripe_webhook_secret": info["stripe_webhook_secret"],
            "environment": "local",
        }
        assert info["stripe_webhook_secret"].startswith("whsec_")
        assert (tmp_path / "dev.json").stat().st_mode & 0o777 == 0o600

        seen = httpx.get(f"{stack.api_url}/seen").json()["variables"]
        assert len(seen.pop("PAYGRADE_TOKEN_SECRETS")) == 64
        assert "http://localhost:5173" in seen.pop("PAYGRADE_BROWSER_ORIGINS").split(",")
        assert seen == {
            "PAYGRADE_TEST_CLOCK": "on",
            "PAYGRADE_WEBHOOK_TARGETS": "local",
            "PAYGRADE_STAGE": "local",
            "PAYGRADE_MODE": "test",
            "PAYGRADE_PUBLIC_URL": info["api_url"],
            "STRIPE_API_BASE": info["stripe_url"],
            "STRIPE_SECRET_KEY": "sk_test_paygrade_local",
            "STRIPE_WEBHOOK_SECRETS": info["stripe_webhook_secret"],
            "STRIPE_CONNECT_CLIENT_ID": "ca_StandIn",
            "PAYGRADE_STRIPE_CONNECT": "optional",
        }
        assert httpx.get(f"{info['stripe_url']}/_stand_in/requests").status_code == 200

        HANDLED.clear()
        sqs = connect(stack.aws_url).sqs
        url = sqs.get_queue_url(QueueName="paygrade-local-sync.fifo")["QueueUrl"]
        sqs.send_message(
            QueueUrl=url, MessageBody="work", MessageGroupId="g", MessageDeduplicationId="1"
        )
        deadline = time.monotonic() + 60
        while HANDLED != ["work"]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        started = time.monotonic()
    assert time.monotonic() - started < 30

    assert not (tmp_path / "dev.json").exists()
    chalice_own = "AWS_EXECUTION_ENV"
    after = dict(os.environ)
    assert after | {chalice_own: ""} == variables | {chalice_own: ""}
    assert set(threading.enumerate()) <= threads
    for port in ports:
        require_free(port, "--port")


def test_start_tells_of_each_part_as_it_becomes_ready(
    tmp_path: Path, ports: tuple[int, int]
) -> None:
    told: list[str] = []
    stack = LocalStack(options(tmp_path, *ports), app_loader=load_toy_app, on_part=told.append)
    stack.start()
    stack.stop()
    assert told == [
        "AWS emulator",
        "tables and queues",
        "Stripe stand-in",
        "API",
        "queue workers",
        "schedules",
    ]


def test_second_stack_on_one_folder_is_refused_by_name(
    tmp_path: Path, ports: tuple[int, int]
) -> None:
    other = LocalStack(options(tmp_path, free_port(), free_port()), app_loader=load_toy_app)
    with running(tmp_path, ports):
        with pytest.raises(StateDirInUseError, match=rf"process {os.getpid()}.*--state-dir"):
            other.start()
        assert (tmp_path / "dev.json").exists()


@pytest.mark.parametrize(("taken", "option"), [(0, "--port"), (1, "--stripe-port")])
def test_busy_port_is_refused_with_its_option_and_leaves_nothing(
    tmp_path: Path, ports: tuple[int, int], taken: int, option: str
) -> None:
    wanted = [free_port(), free_port()]
    wanted[taken] = ports[0]
    threads = set(threading.enumerate())
    with (
        running(tmp_path / "one", ports),
        pytest.raises(PortBusyError, match=f"Port {ports[0]} is in use.*{option}"),
        running(tmp_path / "two", (wanted[0], wanted[1])),
    ):
        pass
    assert set(threading.enumerate()) <= threads


def test_failure_in_the_preparation_stops_everything(
    tmp_path: Path, ports: tuple[int, int]
) -> None:
    def fail(_: LocalStack) -> Any:
        raise LocalStackError("no seed")

    stack = LocalStack(options(tmp_path, *ports), prepare=fail, app_loader=load_toy_app)
    with pytest.raises(LocalStackError, match="no seed"):
        stack.start()
    for port in ports:
        require_free(port, "--port")
    assert not (tmp_path / "dev.json").exists()


def test_data_survives_a_restart_and_not_a_fresh_start(
    tmp_path: Path, ports: tuple[int, int]
) -> None:
    (tmp_path / "mine.txt").write_text("kept")
    with running(tmp_path, ports) as stack:
        connect(stack.aws_url).dynamodb.put_item(TableName=TABLE, Item=ITEM)
        secret = stack.billing.webhook_secret
    with running(tmp_path, ports) as stack:
        assert connect(stack.aws_url).dynamodb.scan(TableName=TABLE)["Items"] == [ITEM]
        assert stack.billing.webhook_secret == secret
    with running(tmp_path, ports, fresh=True) as stack:
        assert connect(stack.aws_url).dynamodb.scan(TableName=TABLE)["Items"] == []
        assert stack.billing.webhook_secret != secret
    assert (tmp_path / "mine.txt").read_text() == "kept"


def test_another_port_takes_the_webhook_with_it(tmp_path: Path, ports: tuple[int, int]) -> None:
    with running(tmp_path, ports):
        pass
    moved = (free_port(), ports[1])
    with running(tmp_path, moved) as stack:
        answer = httpx.get(
            f"{stack.billing.url}/v1/webhook_endpoints", auth=("sk_test_paygrade_local", "")
        )
    # One for its own account, one for those that are connected.
    urls = [endpoint["url"] for endpoint in answer.json()["data"]]
    assert urls == [f"http://127.0.0.1:{moved[0]}/v1/webhooks/stripe"] * 2


def test_key_of_the_user_means_stripes_test_mode(
    tmp_path: Path, ports: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRIPE_SECRET_KEY", "sk_test_mine")
    monkeypatch.delenv("STRIPE_API_BASE", raising=False)
    with running(tmp_path, ports) as stack:
        assert stack.info()["stripe_url"] == "https://api.stripe.com"
        seen = httpx.get(f"{stack.api_url}/seen").json()["variables"]
        assert seen["STRIPE_SECRET_KEY"] == "sk_test_mine"
        assert "STRIPE_API_BASE" not in seen
        require_free(ports[1], "--stripe-port")


def test_live_key_is_refused_before_anything_starts(
    tmp_path: Path, ports: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRIPE_SECRET_KEY", "sk_live_mine")
    with pytest.raises(LiveKeyError) as caught, running(tmp_path / "none", ports):
        pass
    assert "sk_live_mine" not in str(caught.value)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_stops_the_program_cleanly(
    tmp_path: Path, ports: tuple[int, int], number: signal.Signals
) -> None:
    with program(tmp_path, ports) as process:
        wait_ready(process)
        assert (tmp_path / "dev.json").exists()
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors) == (0, "", "")
    assert not (tmp_path / "dev.json").exists()
    for port in ports:
        require_free(port, "--port")


def test_kill_of_the_program_leaves_no_process_and_a_folder_to_start_from(
    tmp_path: Path, ports: tuple[int, int]
) -> None:
    with program(tmp_path, ports) as process:
        wait_ready(process)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        emulators = children.read_text().split() if children.exists() else []
        process.kill()
    with running(tmp_path, ports) as stack:
        assert httpx.get(f"{stack.api_url}/seen").status_code == 200
    deadline = time.monotonic() + 60
    while [pid for pid in emulators if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_refusal_ends_the_program_with_one_readable_line(
    tmp_path: Path, ports: tuple[int, int]
) -> None:
    with running(tmp_path, ports), program(tmp_path / "two", ports) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors == (
        f"Port {ports[0]} is in use by another program: stop it, or choose another with --port.\n"
    )
