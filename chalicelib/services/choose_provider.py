"""Which billing provider does what: chosen by what it is able to do, never by its name."""

from collections.abc import Iterator

from chalicelib.domain.billing import CheckoutMode
from chalicelib.domain.errors import (
    BillingNotConfiguredError,
    BillingNotConnectedError,
    InvalidError,
    invalid,
)
from chalicelib.ports import (
    BillingProvider,
    CheckoutProvider,
    DirectProvider,
    EmbeddedCheckout,
    Ports,
)


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


def choose_checkout(ports: Ports, wished: str | None, mode: CheckoutMode) -> CheckoutProvider:
    """The provider whose checkout is used: the wished one, or the first that has one of this mode."""
    if wished is None:
        sellers = map(ports.providers.get, ports.providers.names())
        able = tuple(one for one in sellers if isinstance(one, CheckoutProvider))
        for provider in able:
            if _offers(provider, mode):
                return provider
        if able:
            raise _mode_refusal(able[0], mode)
        raise BillingNotConfiguredError("The environment has no billing provider with a checkout.")
    require_known(ports, wished)
    chosen = ports.providers.get(wished)
    if not isinstance(chosen, CheckoutProvider):
        raise invalid(
            "billing_provider", "no_checkout", f"The billing provider {wished!r} takes no payments."
        )
    if not _offers(chosen, mode):
        raise _mode_refusal(chosen, mode)
    return chosen


def _offers(provider: CheckoutProvider, mode: CheckoutMode) -> bool:
    return mode is CheckoutMode.HOSTED or isinstance(provider, EmbeddedCheckout)


def _mode_refusal(provider: CheckoutProvider, mode: CheckoutMode) -> InvalidError:
    detail = f"The billing provider {provider.name!r} has no checkout of the mode {mode.value!r}."
    return invalid("ui_mode", "unsupported", detail)


def reached(ports: Ports) -> tuple[dict[str, BillingProvider], tuple[str, ...]]:
    """The providers by name; and those of which nothing is known, as nobody has connected an account."""
    found = dict(_each(ports))
    able = {name: provider for name, provider in found.items() if provider is not None}
    return able, tuple(name for name in found if name not in able)


def within_reach(ports: Ports) -> Iterator[BillingProvider]:
    """The environment's providers but those that somebody has to connect first: for looking, not for selling."""
    return (provider for _, provider in _each(ports) if provider is not None)


def _each(ports: Ports) -> Iterator[tuple[str, BillingProvider | None]]:
    """Every provider, made when it is come to; None where an account, or a key, has to be there first."""
    for name in ports.providers.names():
        try:
            yield name, ports.providers.get(name)
        except (BillingNotConnectedError, BillingNotConfiguredError):
            yield name, None


def require_known(ports: Ports, wished: str | None) -> None:
    """Nothing, if the environment has that provider, or none is wished for."""
    if wished is not None and wished not in ports.providers.names():
        raise invalid(
            "billing_provider",
            "unknown_provider",
            f"The environment has no billing provider {wished!r}.",
        )
