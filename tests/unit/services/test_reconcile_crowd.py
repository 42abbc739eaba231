"""Reconciliation of very many customers; `python -m tests.benchmarks.reconcile` takes 100,000."""

from tests.benchmarks.reconcile.measure import measure


def test_reconcile_of_many_customers_goes_in_slices_that_do_not_grow() -> None:
    few, many = measure(400), measure(2_000)
    assert many["invocations"] > few["invocations"]
    assert many["provider_calls_per_linked_customer"] < 2.1
    assert many["peak_bytes_of_an_invocation"] < 1.5 * few["peak_bytes_of_an_invocation"] + 100_000
    assert many["calls_of_an_invocation_at_most"] < 500
