"""What .chalice/config.json says of a stage, and the same filled in for one account."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from chalicelib.settings import SettingsError, reconcile_every_minutes
from infra.deploy.errors import DeployError
from infra.deploy.firewall import PARAMETER, requests_per_address

PUBLIC_URL: Final = "PAYGRADE_PUBLIC_URL"


@dataclass(frozen=True, slots=True)
class StageConfig:
    """One stage of a checkout's configuration."""

    stage: str
    document: Mapping[str, Any]

    @classmethod
    def read(cls, root: Path, stage: str) -> "StageConfig":
        """Raises `DeployError` for a stage that the configuration does not have."""
        document: dict[str, Any] = json.loads((root / ".chalice" / "config.json").read_text())
        if stage not in document.get("stages", {}):
            known = ", ".join(document.get("stages", {}))
            raise DeployError(
                f".chalice/config.json has no stage {stage!r}, only {known}: copy one of them and give it the new"
                " name throughout.",
                code="unknown_stage",
            )
        return cls(stage, document)

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables of the stage's functions."""
        own = self.document["stages"][self.stage].get("environment_variables", {})
        return {**self.document.get("environment_variables", {}), **own}

    @property
    def architecture(self) -> str:
        """The processor of the functions."""
        own = self.document["stages"][self.stage].get("lambda_architecture")
        return str(own or self.document.get("lambda_architecture", "x86_64"))

    @property
    def stack_parameters(self) -> dict[str, str]:
        """What the stage's configuration says to infra/template.yaml; raises `DeployError` for what is no number."""
        try:
            minutes = reconcile_every_minutes(self.variables)
        except SettingsError as error:
            raise DeployError(f".chalice/config.json: {error}", code="bad_setting") from error
        # Three runs that did not succeed, or did not come; a week is the longest that an alarm can look back.
        hours = min(max(3, math.ceil(3 * minutes / 60)), 168)
        return {
            PARAMETER: str(requests_per_address(self.variables)),
            "ReconcileHours": str(hours),
        }

    @property
    def gateway_stage(self) -> str:
        """What API Gateway calls the stage."""
        own = self.document["stages"][self.stage].get("api_gateway_stage")
        return str(own or self.document.get("api_gateway_stage", "api"))

    @property
    def xray(self) -> bool:
        """Whether the functions are traced."""
        own = self.document["stages"][self.stage].get("xray", self.document.get("xray", False))
        return bool(own)

    @property
    def live(self) -> bool:
        """Whether it is Stripe's live mode that the stage works with."""
        return self.variables.get("PAYGRADE_MODE") == "live"

    @property
    def has_stripe(self) -> bool:
        """Whether Stripe is among the stage's billing providers."""
        named = self.variables.get("PAYGRADE_BILLING_PROVIDERS")
        return "STRIPE_SECRET_KEY" in self.variables and (named is None or "stripe" in named)

    @property
    def connects_accounts(self) -> bool:
        """Whether its Stripe key is a platform's, which works on behalf of an account that somebody connects."""
        return "STRIPE_CONNECT_CLIENT_ID" in self.variables

    def write_address(self, project: Path, url: str) -> None:
        """The project's configuration gives the functions of this stage their address."""
        path = project / ".chalice" / "config.json"
        document: dict[str, Any] = json.loads(path.read_text())
        stage = document["stages"][self.stage]
        stage.setdefault("environment_variables", {})[PUBLIC_URL] = url
        path.write_text(json.dumps(document, indent=2) + "\n")
