"""Entitlements as they stand in plans, add-ons and grants."""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field, WrapValidator
from pydantic_core import PydanticCustomError

from chalicelib.api.wire import ChosenId, Count, Wire
from chalicelib.domain.entitlements import Behavior, Entitlement, ResetAnchor, ResetPeriod
from chalicelib.domain.ids import FeatureId


def _one_error(value: Any, handler: Callable[[Any], Any]) -> Any:  # noqa: ANN401
    # A union reports a fault for each of its members, under paths that are no fields.
    try:
        return handler(value)
    except ValueError as error:
        raise PydanticCustomError(
            "bool_or_int_type", "Input should be true, false or a whole number of at least 0"
        ) from error


class EntitlementModel(Wire):
    """What is granted of one feature; which fields apply depends on the feature's type.

    `boolean` and `numeric`: `value`. `enum`: `values`. `metered`: `usage_limit` or `is_unlimited`.
    """

    feature_id: ChosenId
    value: Annotated[bool | Count | None, WrapValidator(_one_error)] = None
    values: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=128)], ...], Field(max_length=100)
    ] = ()
    usage_limit: Count | None = None
    is_unlimited: bool = False
    has_soft_limit: bool = False
    reset_period: ResetPeriod | None = None
    reset_anchor: ResetAnchor = ResetAnchor.SUBSCRIPTION_START
    behavior: Behavior = Behavior.OVERRIDE
    depends_on_feature_id: ChosenId | None = None

    def to_domain(self) -> Entitlement:
        """The same entitlement inside."""
        return Entitlement(
            feature_id=FeatureId(self.feature_id),
            value=self.value,
            values=self.values,
            usage_limit=self.usage_limit,
            is_unlimited=self.is_unlimited,
            has_soft_limit=self.has_soft_limit,
            reset_period=self.reset_period,
            reset_anchor=self.reset_anchor,
            behavior=self.behavior,
            depends_on_feature_id=FeatureId(self.depends_on_feature_id)
            if self.depends_on_feature_id
            else None,
        )

    @classmethod
    def from_domain(cls, entitlement: Entitlement) -> "EntitlementModel":
        """The entitlement as it is shown."""
        return cls(
            feature_id=entitlement.feature_id,
            value=entitlement.value,
            values=entitlement.values,
            usage_limit=entitlement.usage_limit,
            is_unlimited=entitlement.is_unlimited,
            has_soft_limit=entitlement.has_soft_limit,
            reset_period=entitlement.reset_period,
            reset_anchor=entitlement.reset_anchor,
            behavior=entitlement.behavior,
            depends_on_feature_id=entitlement.depends_on_feature_id,
        )
