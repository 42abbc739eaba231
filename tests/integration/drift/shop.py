"""A small catalog carried over to Stripe, and somebody at Stripe's dashboard."""

from typing import Any, Final

from chalicelib.domain.audit_log import Cause
from chalicelib.ports import QueueName
from chalicelib.services.reconcile import continue_reconciliation
from chalicelib.services.run_sync_task import run_sync_task
from tests.fakes.system import AmpleTime
from tests.integration.drift.stock import PRODUCT, STOCK
from tests.integration.world import StripeDeployment

CAUSE: Final = Cause(actor="test", request_id="req_1", operation_id="op_1")


class Shop:
    """One plan by month, year and usage, and a coupon with a code; at rest, both sides agree."""

    def __init__(self, world: StripeDeployment) -> None:
        self.world = world
        for path, body in STOCK:
            answer = world.send("POST", f"/v1/{path}", body)
            assert answer.status < 300, answer.body
        self.carry_over()
        world.clock.advance(minutes=30)
        prices = {
            price["recurring"]["interval"]: price
            for price in self.all("prices")
            if price["product"] == PRODUCT
        }
        self.month, self.year = prices["month"], prices["year"]
        [self.meter] = self.all("billing/meters")
        [self.coupon] = self.all("coupons")
        [self.code] = self.all("promotion_codes")

    def carry_over(self) -> None:
        """Stripe has been told of every change of ours."""
        self.world.work_off(
            QueueName.SYNC, lambda body: run_sync_task(self.world.ports, body["task_id"])
        )

    def all(self, what: str) -> list[dict[str, Any]]:
        """Every object of the kind, as Stripe shows it."""
        data: list[dict[str, Any]] = self.world.person("GET", f"/v1/{what}")["data"]
        return data

    def edit(self, what: str, **fields: Any) -> Any:
        """Somebody changes, or makes, this at the dashboard."""
        return self.world.person("POST", f"/v1/{what}", **fields)

    def delete(self, what: str) -> None:
        """Somebody deletes this at the dashboard."""
        self.world.person("DELETE", f"/v1/{what}")

    def extra_price(self, product: str = PRODUCT, **fields: Any) -> Any:
        """Somebody makes a price of 5 dollars a month."""
        money = {"currency": "usd", "unit_amount": 500, "recurring[interval]": "month"}
        return self.edit("prices", product=product, **money, **fields)

    def everything(self) -> dict[str, Any]:
        """All that Stripe holds, to the letter."""
        kinds = ("products", "prices", "billing/meters", "coupons", "promotion_codes")
        return {kind: self.all(kind) for kind in kinds}

    def offered(self) -> dict[str, Any]:
        """What of ours can be bought there, in words that outlive a price's being made anew."""
        prices = {price["id"]: price for price in self.all("prices")}
        return {
            "products": {
                product["id"]: (
                    product["name"],
                    product["description"],
                    product["metadata"],
                    prices[product["default_price"]]["lookup_key"],
                )
                for product in self.all("products")
                if product["active"] and product["id"].startswith("pg")
            },
            "prices": sorted(
                (
                    price["product"],
                    price["lookup_key"],
                    price["unit_amount"],
                    price["recurring"]["interval"],
                    sorted(price["metadata"].items()),
                )
                for price in prices.values()
                if price["active"] and price["product"].startswith("pg")
            ),
            "meters": [(one["display_name"], one["status"]) for one in self.all("billing/meters")],
            "coupons": [
                (one["id"], one["name"], one["percent_off"], one["metadata"])
                for one in self.all("coupons")
            ],
            "codes": [
                (one["code"], one["promotion"]["coupon"])
                for one in self.all("promotion_codes")
                if one["active"]
            ],
        }

    def reconcile(self, body: Any = None) -> dict[str, Any]:
        """The finished report of a run that was asked for over the API."""
        started = self.world.send("POST", "/v1/reconciliations", body)
        assert started.status == 202, started.body
        run_id = started.json["id"]
        self.world.work_off(
            QueueName.RECONCILE,
            lambda message: continue_reconciliation(
                self.world.ports, CAUSE, message["reconciliation_id"], AmpleTime()
            ),
        )
        done: dict[str, Any] = self.world.send("GET", f"/v1/reconciliations/{run_id}").json
        assert done["status"] == "succeeded", done
        self.world.clock.advance(seconds=1)
        return done
