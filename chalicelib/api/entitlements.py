"""Checks: may this customer use this feature?"""

from typing import TYPE_CHECKING

from chalice.app import Blueprint

from chalicelib.api.check_models import (
    BatchItem,
    CheckFailedOut,
    CheckOut,
    CheckQuery,
    ChecksIn,
    ListChecksQuery,
    explained_from_domain,
    failed_from_domain,
    from_domain,
)
from chalicelib.api.http import Call, endpoint
from chalicelib.api.whose import IN_PATH
from chalicelib.api.wire import (
    ListOut,
    NoBody,
    NoQuery,
    listed,
)
from chalicelib.domain.api_keys import Scope
from chalicelib.domain.decisions import Question
from chalicelib.domain.errors import DomainError, NotFoundError
from chalicelib.domain.ids import CustomerId
from chalicelib.ports import HotRead, Ports
from chalicelib.services.check_access import (
    FeatureTypes,
    answer_from,
    check_access,
    check_all,
    states_in,
)
from chalicelib.services.check_many import Check, check_many
from chalicelib.services.known_features import feature_types

if TYPE_CHECKING:
    from chalicelib.services.explain_access import Explainer

bp = Blueprint(__name__)


@endpoint(
    bp,
    "GET",
    "/customers/{customer_id}/entitlements/{feature_id}",
    scope=Scope.CHECK,
    whose=IN_PATH,
    summary="May the customer use the feature?",
    query=CheckQuery,
    answer=CheckOut,
)
def check_entitlement(call: Call[NoBody, CheckQuery]) -> CheckOut:
    """A yes, or a no with its reason, in one database read. Nothing is counted."""
    ports, query = call.ports, call.query
    customer_id, feature_id = CustomerId(call.path["customer_id"]), call.path["feature_id"]
    question = Question(query.requested_usage, query.requested_values, query.resource_id)
    if query.explain:
        check = Check(customer_id=customer_id, feature_id=feature_id, question=question)
        hot = ports.snapshots.read(customer_id, consistent=query.consistent)
        explained = _explainer(ports).explained(hot, check)
        return explained_from_domain(check, explained)
    checked = check_access(
        ports.snapshots,
        _types_of(ports),
        customer_id,
        feature_id,
        question,
        ports.clock.now(),
        consistent=query.consistent,
    )
    return from_domain(customer_id, feature_id, checked)


@endpoint(
    bp,
    "GET",
    "/customers/{customer_id}/entitlements",
    scope=Scope.CHECK,
    whose=IN_PATH,
    summary="Everything the customer is entitled to",
    query=ListChecksQuery,
    answer=ListOut[CheckOut],
    etag=True,
)
def list_entitlements(call: Call[NoBody, ListChecksQuery]) -> ListOut[CheckOut]:
    """The state of each feature that a plan, add-on or grant of the customer names, by feature id."""
    ports, query = call.ports, call.query
    customer_id = CustomerId(call.path["customer_id"])
    if query.explain:
        return _explained_all(ports, customer_id, query)
    answers = check_all(
        ports.snapshots,
        customer_id,
        ports.clock.now(),
        resource_id=query.resource_id,
        consistent=query.consistent,
    )
    if answers is None:
        raise NotFoundError("customer", customer_id)
    return listed(
        (from_domain(customer_id, name, checked) for name, checked in answers.items()), None
    )


def _explained_all(
    ports: Ports, customer_id: CustomerId, query: ListChecksQuery
) -> ListOut[CheckOut]:
    hot = ports.snapshots.read(customer_id, consistent=query.consistent)
    if hot is None:
        raise NotFoundError("customer", customer_id)
    explainer = _explainer(ports)
    checks = (
        Check(customer_id=customer_id, feature_id=feature_id, question=question)
        for feature_id, question in states_in(hot, query.resource_id)
    )
    shown = (explained_from_domain(one, explainer.explained(hot, one)) for one in checks)
    return listed(shown, None)


@endpoint(
    bp,
    "POST",
    "/entitlements/check",
    scope=Scope.CHECK,
    summary="Check up to 100 pairs of customer and feature",
    body=ChecksIn,
    answer=ListOut[BatchItem],
)
def check_entitlements(call: Call[ChecksIn, NoQuery]) -> ListOut[CheckOut | CheckFailedOut]:
    """Each is answered in its place, or has its own error. One database read for each customer; nothing is counted."""
    ports, body = call.ports, call.body
    checks = [one.to_domain() for one in body.checks]
    explainer = _explainer(ports) if body.explain else None
    now = ports.clock.now()

    def answer(hot: HotRead | None, check: Check) -> CheckOut:
        if explainer is not None:
            return explained_from_domain(check, explainer.explained(hot, check))
        checked = answer_from(hot, _types_of(ports), check.feature_id, check.question, now)
        return from_domain(check.customer_id, check.feature_id, checked)

    found = check_many(ports.snapshots, checks, answer, consistent=body.consistent)
    return listed(
        (
            failed_from_domain(check, answer) if isinstance(answer, DomainError) else answer
            for check, answer in zip(checks, found, strict=True)
        ),
        None,
    )


def _explainer(ports: Ports) -> "Explainer":
    # Knows the catalog: a quarter of what a cold check imports, and hardly one needs it.
    from chalicelib.services.explain_access import Explainer  # noqa: PLC0415

    return Explainer(ports, _types_of(ports))


def _types_of(ports: Ports) -> FeatureTypes:
    return lambda wanted: feature_types(ports).get(wanted)
