"""Where customer tokens are good. Apart from issuing them: every request asks for this, and none for customers."""

from chalicelib.domain.customer_tokens import Realm
from chalicelib.ports import Ports


def realm(ports: Ports) -> Realm:
    """Where this environment's tokens are good."""
    return Realm(issuer=ports.environment.public_url, environment=ports.environment.name)
