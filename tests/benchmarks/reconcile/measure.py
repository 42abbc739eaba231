"""One whole reconciliation, invocation by invocation, with what each may cost at most."""

import time
import tracemalloc
from typing import Final

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.reconciliations import ReconciliationStatus
from chalicelib.services.reconcile import continue_reconciliation
from chalicelib.services.start_reconciliation import start_reconciliation
from tests.fakes.crowd import CrowdedWorld

CAUSE: Final = Cause(actor="bench", request_id="bench", operation_id="bench")
LAMBDA_SECONDS: Final = 60.0
# What any invocation may hold beyond what it found, whether it is the first or the last.
PEAK_BYTES: Final = 4_000_000


def measure(customers: int) -> dict[str, int | float]:
    """The figures of a run over so many customers; AssertionError where a slice is not bounded."""
    world = CrowdedWorld(customers)
    run = start_reconciliation(world.ports, "bench")
    began, began_cpu = world.clock.now(), time.process_time()
    peaks: list[int] = []
    longest = 0.0
    calls_at_most = 0
    tracemalloc.start()
    for deadline in world.lambdas(LAMBDA_SECONDS):
        before = sum(world.billing.asked.values())
        tracemalloc.reset_peak()
        held = tracemalloc.get_traced_memory()[0]
        run = continue_reconciliation(world.ports, CAUSE, run.id, deadline)
        peaks.append(tracemalloc.get_traced_memory()[1] - held)
        longest = max(longest, (world.clock.now() - deadline.began).total_seconds())
        calls_at_most = max(calls_at_most, sum(world.billing.asked.values()) - before)
        world.queue.messages.clear()
        if run.status is not ReconciliationStatus.RUNNING:
            break
    tracemalloc.stop()
    calls = sum(world.billing.asked.values())
    linked = customers - customers // 10
    assert run.status is ReconciliationStatus.SUCCEEDED, run.error
    assert (run.drifts, run.standing) == ((), ())
    assert run.counts["customers"] == linked
    assert world.billing.asked["list_subscriptions"] == linked
    assert world.billing.asked["get_customer"] == linked
    assert longest <= LAMBDA_SECONDS, f"an invocation took {longest} s"
    assert max(peaks) < PEAK_BYTES, f"an invocation held {max(peaks)} bytes"
    return {
        "customers": customers,
        "linked": linked,
        "provider_calls": calls,
        "provider_calls_per_linked_customer": calls / linked,
        "store_reads_per_customer": sum(world.store.reads.values()) / customers,
        "invocations": len(peaks),
        "longest_invocation_seconds": longest,
        "calls_of_an_invocation_at_most": calls_at_most,
        "peak_bytes_of_an_invocation": max(peaks),
        "hours_at_its_share_of_the_limit": (world.clock.now() - began).total_seconds() / 3600,
        "cpu_seconds": time.process_time() - began_cpu,
    }
