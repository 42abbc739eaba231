"""Which billing provider does what: chosen by what it is able to do, never by its name."""

from collections.abc import Iterator

from chalicelib.domain.errors import BillingNotConfiguredError, invalid
from chalicelib.ports import CheckoutProvider, DirectProvider, Ports


def choose_seller(ports: Ports, wished: str | None) -> CheckoutProvider | DirectProvider:
    """The provider that a paid subscription begins at: the wished one, or the first that is able to.

    One that can take a payment comes before one that only writes it down: who forgets to choose does not
    give anything away.
    """
    require_known(ports, wished)
    names = ports.providers.names() if wished is None else (wished,)
    direct: DirectProvider | None = None
    for name in names:
        provider = ports.providers.get(name)
        if isinstance(provider, CheckoutProvider):
            return provider
        if direct is None and isinstance(provider, DirectProvider):
            direct = provider
    if direct is None:
        raise BillingNotConfiguredError("The environment has no billing provider that can sell.")
    return direct


def choose_checkout(ports: Ports, wished: str | None) -> CheckoutProvider:
    """The provider whose payment page is used: the wished one, or the first that has one."""
    if wished is None:
        for able in checkout_providers(ports):
            return able
        raise BillingNotConfiguredError("The environment has no billing provider with a checkout.")
    require_known(ports, wished)
    provider = ports.providers.get(wished)
    if isinstance(provider, CheckoutProvider):
        return provider
    raise invalid(
        "billing_provider", "no_checkout", f"The billing provider {wished!r} takes no payments."
    )


def checkout_providers(ports: Ports) -> Iterator[CheckoutProvider]:
    """The environment's providers that have a payment page."""
    for name in ports.providers.names():
        provider = ports.providers.get(name)
        if isinstance(provider, CheckoutProvider):
            yield provider


def require_known(ports: Ports, wished: str | None) -> None:
    """Nothing, if the environment has that provider, or none is wished for."""
    if wished is not None and wished not in ports.providers.names():
        raise invalid(
            "billing_provider",
            "unknown_provider",
            f"The environment has no billing provider {wished!r}.",
        )
