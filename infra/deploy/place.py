"""Where an environment lives in AWS: account, region, and what everything of it is called."""

from dataclasses import dataclass
from typing import Final

APP_NAME: Final = "paygrade"
API_FUNCTION: Final = "api_handler"


@dataclass(frozen=True, slots=True)
class Place:
    """One stage in one account and region."""

    stage: str
    account: str
    region: str
    partition: str = "aws"

    def __str__(self) -> str:
        """As people are told where something happens."""
        return f"{self.stage} (account {self.account}, {self.region})"

    @property
    def stack_name(self) -> str:
        """The CloudFormation stack of tables, queues and alarms."""
        return f"{APP_NAME}-{self.stage}"

    @property
    def bucket(self) -> str:
        """Where the record of deployments is, as infra/template.yaml calls it."""
        return f"{APP_NAME}-{self.stage}-deployments-{self.account}"

    def function_name(self, function: str) -> str:
        """What Chalice calls the function in Lambda."""
        if function == API_FUNCTION:
            return f"{APP_NAME}-{self.stage}"
        return f"{APP_NAME}-{self.stage}-{function}"

    @property
    def suffix(self) -> str:
        """What the names of AWS's hosts end in there."""
        return "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"

    def arn(self, service: str, resource: str) -> str:
        """The ARN of a resource of this environment."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"
