"""Checks, consumption and orders by more and more clients at once, then by few again; and what must hold after it."""

import itertools
import statistics
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from tests.benchmarks.load.client import Client

CUSTOMERS: Final = 8
FEATURE: Final = "api-calls"
PLAN: Final = "free"
# Of twenty operations one is an order, four consume and fifteen check.
CYCLE: Final = 20
CONSUMING: Final = (3, 8, 13, 18)
ORDERING: Final = 19
RECOVERY_SECONDS: Final = 20.0
RECOVERY_REQUESTS: Final = 10
SERVER_ERROR: Final = 500
UNAVAILABLE: Final = 503


@dataclass(frozen=True, slots=True)
class Step:
    """So many clients for so long, and what they saw. Times are in milliseconds."""

    clients: int
    seconds: float
    requests: int
    per_second: float
    p50_ms: float
    p95_ms: float
    max_ms: float
    statuses: dict[str, int]


@dataclass(slots=True)
class Outcome:
    """The whole run."""

    steps: list[Step] = field(default_factory=list)
    recovered_seconds: float | None = None
    accepted: Counter[str] = field(default_factory=Counter)
    counted: dict[str, int] = field(default_factory=dict)
    ordered: set[str] = field(default_factory=set)
    subscriptions: dict[str, int] = field(default_factory=dict)
    undecided: list[str] = field(default_factory=list)
    without_retry_after: list[str] = field(default_factory=list)

    def faults(self) -> list[str]:
        """What must not be; empty if the run was as it must be."""
        found = [
            f"{count} answers with {status} to {step.clients} clients"
            for step in self.steps
            for status, count in step.statuses.items()
            if int(status) >= SERVER_ERROR and int(status) != UNAVAILABLE
        ]
        if self.recovered_seconds is None:
            found.append(f"still not well {RECOVERY_SECONDS:.0f} s after the load")
        found += [f"no definite answer: {one}" for one in self.undecided]
        found += [f"no Retry-After: {one}" for one in self.without_retry_after]
        found += [
            f"{customer} has {self.counted.get(customer)} of {accepted} accepted units"
            for customer, accepted in self.accepted.items()
            if self.counted.get(customer) != accepted
        ]
        found += [
            f"{customer} has {count} subscriptions for one order"
            for customer, count in self.subscriptions.items()
            if count != 1
        ]
        return found

    def shown(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "steps": [asdict(step) for step in self.steps],
            "recovered_seconds": self.recovered_seconds,
            "units_accepted": sum(self.accepted.values()),
            "units_counted": sum(self.counted.values()),
            "orders": len(self.ordered),
            "subscriptions": sum(self.subscriptions.values()),
            "faults": self.faults(),
        }


class Load:
    """The load on one running stack."""

    def __init__(self, api_url: str, api_key: str) -> None:
        """No request is made."""
        parts = urlsplit(api_url)
        assert parts.hostname is not None
        assert parts.port is not None
        self._host, self._port, self._key = parts.hostname, parts.port, api_key
        self._customers = [f"load-{number}" for number in range(CUSTOMERS)]
        self._number = itertools.count()
        self._lock = threading.Lock()
        self.outcome = Outcome()

    def run(self, steps: Sequence[tuple[int, float]]) -> Outcome:
        """The steps were taken one after the other, each of so many clients for so many seconds."""
        with closing(self._client()) as one:
            for customer in self._customers:
                self._order(one, customer)
        for clients, seconds in steps:
            self.outcome.steps.append(self._step(clients, seconds))
        with closing(self._client()) as one:
            self.outcome.recovered_seconds = self._recovery(one)
            self._count(one)
        return self.outcome

    def _client(self) -> Client:
        return Client(self._host, self._port, self._key)

    def _step(self, clients: int, seconds: float) -> Step:
        made = [self._client() for _ in range(clients)]
        began = time.monotonic()
        threads = [threading.Thread(target=self._work, args=(one, began + seconds)) for one in made]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.monotonic() - began
        for one in made:
            one.close()
            self.outcome.without_retry_after += one.without_retry_after
        times = sorted(second * 1000 for one in made for second in one.seconds)
        statuses = Counter(str(status) for one in made for status in one.statuses)
        return Step(
            clients=clients,
            seconds=round(took, 1),
            requests=len(times),
            per_second=round(len(times) / took, 1),
            p50_ms=round(statistics.median(times), 1),
            p95_ms=round(times[int(len(times) * 0.95)], 1),
            max_ms=round(times[-1], 1),
            statuses=dict(sorted(statuses.items())),
        )

    def _work(self, client: Client, until: float) -> None:
        while time.monotonic() < until:
            number = next(self._number)
            customer = self._customers[number // CYCLE % CUSTOMERS]
            turn = number % CYCLE
            if turn == ORDERING:
                self._order(client, f"order-{number}")
            elif turn in CONSUMING:
                self._consume(client, customer, number)
            else:
                client.ask("GET", f"/customers/{customer}/entitlements/{FEATURE}")

    def _consume(self, client: Client, customer: str, number: int) -> None:
        path = f"/customers/{customer}/entitlements/{FEATURE}/consume"
        body = {"amount": 1, "idempotency_key": f"load-{number}"}
        answer = client.settled("POST", path, body)
        with self._lock:
            if answer is None:
                self.outcome.undecided.append(f"consume {number}")
            elif answer.body.get("has_access"):
                self.outcome.accepted[customer] += 1

    def _order(self, client: Client, customer: str) -> None:
        made = client.settled("POST", "/customers", {"id": customer}, key=f"{customer}-customer")
        order = {"customer_id": customer, "plan_id": PLAN}
        answer = made and client.settled("POST", "/subscriptions", order, key=f"{customer}-order")
        with self._lock:
            if answer is None or answer.body.get("status") != "provisioned":
                self.outcome.undecided.append(f"order of {customer}: {answer}")
            else:
                self.outcome.ordered.add(customer)

    def _recovery(self, client: Client) -> float | None:
        """How long after the load one client's requests were all answered, one after the other."""
        began = time.monotonic()
        path = f"/customers/{self._customers[0]}/entitlements/{FEATURE}"
        in_a_row = 0
        while time.monotonic() - began < RECOVERY_SECONDS:
            answered = client.ask("GET", path).status == 200
            in_a_row = in_a_row + 1 if answered else 0
            if in_a_row == RECOVERY_REQUESTS:
                return round(time.monotonic() - began, 2)
            time.sleep(0 if answered else 0.2)
        return None

    def _count(self, client: Client) -> None:
        """What the API says is there, now that all is quiet."""
        for customer in self._customers:
            path = f"/customers/{customer}/entitlements/{FEATURE}?requested_usage=0&consistent=true"
            answer = client.settled("GET", path)
            if answer is not None:
                self.outcome.counted[customer] = answer.body["current_usage"]
        for customer in sorted(self.outcome.ordered):
            answer = client.settled("GET", f"/subscriptions?customer_id={customer}")
            if answer is not None:
                self.outcome.subscriptions[customer] = len(answer.body["data"])
