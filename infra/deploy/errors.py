"""What a deployment may fail with: always something to say to the person who deploys."""


class DeployError(Exception):
    """It can't go on; the message says why and what to do. Repeating the command goes on from here."""

    def __init__(self, message: str, *, code: str = "deploy_failed") -> None:
        super().__init__(message)
        self.code = code
