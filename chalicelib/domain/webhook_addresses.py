"""Which addresses events may be sent to: public ones only, so that nobody uses us to reach what we can reach.

Said of a URL before anything is asked, and of every address that its name stands for, each time it is used.
"""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

MAX_URL_LENGTH: Final = 2048
# Whatever some readers of URLs take for something else than we do.
_UNFIT: Final = frozenset('\\\x7f"<>^`{|}')
_PORTS: Final = {443, 8443}
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
# Addresses of IPv6 that carry one of IPv4 in their last 32 bits; 6to4 and Teredo have it elsewhere.
_TRANSLATED: Final = tuple(map(IPv6Network, ("64:ff9b::/96", "::ffff:0:0/96", "::/96")))
# Translation prefixes of one's own network: whatever is behind them is not for us to know.
_LOCAL_TRANSLATION: Final = IPv6Network("64:ff9b:1::/48")
# Names that clouds and containers give to themselves.
_INNER_NAMES: Final = (
    "localhost",
    "internal",
    "local",
    "localdomain",
    "lan",
    "home.arpa",
    "intranet",
)

Address = IPv4Address | IPv6Address


def url_refusal(url: str, *, local: bool) -> str | None:
    """Why events can't be sent there, for all that the text tells; None if nothing is wrong with it.

    `local`: the environment is one on a developer's machine, which may send to itself, by http too, on any port.
    """
    unfit = len(url) > MAX_URL_LENGTH or not url.isascii()
    if unfit or any(char <= " " or char in _UNFIT for char in url):
        return "The URL is too long or has characters that belong in no URL."
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "The URL is malformed."
    if parts.scheme != "https" and not (local and parts.scheme == "http"):
        return "The URL has to begin with https://."
    if not local and (port if port is not None else _DEFAULT_PORTS[parts.scheme]) not in _PORTS:
        return "The port has to be 443 or 8443."
    if "@" in parts.netloc or "#" in url:
        return "The URL must have neither a user name or password nor a fragment."
    return _host_refusal(parts, local=local)


def _host_refusal(parts: SplitResult, *, local: bool) -> str | None:
    host = (parts.hostname or "").removesuffix(".").lower()
    if not host or "%" in host or any(not label for label in host.split(".")):
        return "The URL has no valid host."
    try:
        address = ip_address(host)
    except ValueError:
        last = host.rsplit(".", 1)[-1]
        # `2130706433`, `0x7f.1` and the like: resolvers read them as addresses, people do not.
        if last.isdecimal() or last.startswith("0x"):
            return "The host is neither a name nor a plain address."
        inner = any(host == name or host.endswith(f".{name}") for name in _INNER_NAMES)
        if (inner or "." not in host) and not (local and host == "localhost"):
            return "The host is a name of some inner network."
        return None
    return address_refusal(address, local=local)


def address_refusal(address: Address, *, local: bool) -> str | None:
    """Why this address is none to send to; None if it is public, or our own machine where that is allowed."""
    if local and address.is_loopback:
        return None
    carried = _carried(address)
    if carried is not None:
        return address_refusal(carried, local=False)
    public = address.is_global and not (
        address.is_multicast
        or address.is_reserved
        or address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_unspecified
        or (isinstance(address, IPv6Address) and address.is_site_local)
        or address in _LOCAL_TRANSLATION
    )
    return None if public else "The address is not a public one."


def is_allowed_plainly(address: Address) -> bool:
    """Whether http will do: nobody else listens on the way to oneself."""
    return address.is_loopback


def _carried(address: Address) -> IPv4Address | None:
    """The IPv4 address that packets to this one of IPv6 would end up at."""
    if isinstance(address, IPv4Address) or address.is_loopback or address.is_unspecified:
        return None
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if any(address in network for network in _TRANSLATED):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def endpoint_of(url: str) -> tuple[str, str, int, str]:
    """Scheme, host, port and target (path with query) of a URL that was not refused."""
    parts = urlsplit(url)
    port = parts.port if parts.port is not None else _DEFAULT_PORTS[parts.scheme]
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return parts.scheme, parts.hostname or "", port, target
