"""Nobody makes us speak to what we can reach and they can't."""

from ipaddress import ip_address
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.webhook_addresses import address_refusal, endpoint_of, url_refusal

# Refused for their text alone, before any name is looked up.
HOSTILE: Final = [
    # not https
    "http://hooks.example.com/",
    "HTTP://hooks.example.com/",
    "ftp://hooks.example.com/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_INFO",
    "javascript:alert(1)",
    "//hooks.example.com/",
    "hooks.example.com",
    "https:hooks.example.com",
    "https:/hooks.example.com",
    "",
    # ourselves
    "https://localhost/",
    "https://localhost./",
    "https://LOCALHOST/",
    "https://api.localhost/",
    "https://127.0.0.1/",
    "https://127.1/",
    "https://127.0.0.1./",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0177.0.0.1/",
    "https://017700000001/",
    "https://0/",
    "https://0.0.0.0/",
    "https://[::1]/",
    "https://[::]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[::127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[64:ff9b:1::7f00:1]/",
    "https://[2002:7f00:1::]/",
    # metadata of clouds
    "https://169.254.169.254/latest/meta-data/",
    "https://[::ffff:169.254.169.254]/",
    "https://[64:ff9b::a9fe:a9fe]/",
    "https://[2002:a9fe:a9fe::]/",
    "https://[fd00:ec2::254]/",
    "https://metadata.google.internal/",
    "https://169.254.170.2/v2/credentials",
    # inner networks
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://192.168.1.1/",
    "https://100.64.0.1/",
    "https://198.18.0.1/",
    "https://192.0.2.1/",
    "https://[fe80::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[fc00::1]/",
    "https://[fec0::1]/",
    "https://intranet/",
    "https://db.internal/",
    "https://printer.local/",
    "https://router.lan/",
    "https://nas.home.arpa/",
    # nobody's, or everybody's
    "https://224.0.0.1/",
    "https://224.0.1.1/",
    "https://[ff02::1]/",
    "https://[ff0e::1]/",
    "https://255.255.255.255/",
    "https://240.0.0.1/",
    # other ports
    "https://hooks.example.com:22/",
    "https://hooks.example.com:80/",
    "https://hooks.example.com:6379/",
    "https://hooks.example.com:0/",
    "https://hooks.example.com:65536/",
    "https://hooks.example.com:-1/",
    "https://hooks.example.com:x/",
    # said in two ways
    "https://hooks.example.com@127.0.0.1/",
    "https://127.0.0.1@hooks.example.com/",
    "https://user:pass@hooks.example.com/",
    "https://hooks.example.com\\@127.0.0.1/",
    "https://127.0.0.1\\.hooks.example.com/",
    "https://hooks.example.com#@127.0.0.1/",
    "https://hooks.example.com/#fragment",
    "https://hooks.example.com /",
    "https://hooks.example.com/\r\nHost: internal",
    "https://hooks.example.com/\tpath",
    "https://hooks.example.com/\x00",
    "https://ⓛocalhost/",
    "https://127。0。0。1/",
    "https://hooks..example.com/",
    "https://.example.com/",
    "https:///path",
    "https://%6cocalhost/",
    "https://[::1/",
    "https://hooks.example.com/" + "a" * 2048,
]
FINE: Final = [
    "https://hooks.example.com",
    "https://hooks.example.com/",
    "https://hooks.example.com:443/a/b?c=d&e=%20f",
    "https://hooks.example.com:8443/",
    "https://xn--bcher-kva.example/hook",
    "https://93.184.216.34/",
    "https://[2606:2800:220:1:248:1893:25c8:1946]/",
    "HTTPS://Hooks.Example.COM/Path",
]


@pytest.mark.parametrize("url", HOSTILE)
def test_hostile_url_is_refused(url: str) -> None:
    assert url_refusal(url, local=False)


@pytest.mark.parametrize("url", FINE)
def test_public_url_is_taken(url: str) -> None:
    assert url_refusal(url, local=False) is None


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:5000/hook", "http://localhost:3000/", "http://[::1]:99/", *FINE],
)
def test_local_environment_may_send_to_itself(url: str) -> None:
    assert url_refusal(url, local=True) is None


@pytest.mark.parametrize(
    "url", [url for url in HOSTILE if "169.254" in url or "10.0" in url or "192.168" in url]
)
def test_local_environment_may_send_to_nobody_elses_inner_network(url: str) -> None:
    assert url_refusal(url, local=True)


@given(st.ip_addresses())
def test_refused_are_at_least_all_that_the_registries_call_not_global(found: object) -> None:
    address = ip_address(str(found))
    if not address.is_global or address.is_multicast:
        assert address_refusal(address, local=False)


@given(st.ip_addresses(v=4))
def test_address_inside_another_is_judged_like_itself(found: object) -> None:
    plain = ip_address(str(found))
    number = int(plain)
    expected = address_refusal(plain, local=False)
    for carried in (
        f"::ffff:{plain}",
        f"64:ff9b::{number >> 16:x}:{number & 0xFFFF:x}",
        f"2002:{number >> 16:x}:{number & 0xFFFF:x}::1",
    ):
        assert (address_refusal(ip_address(carried), local=False) is None) == (expected is None)


def test_endpoint_of_a_url_is_what_a_request_needs() -> None:
    assert endpoint_of("https://Hooks.example.com/a?b=c") == (
        "https",
        "hooks.example.com",
        443,
        "/a?b=c",
    )
    assert endpoint_of("http://[::1]:99") == ("http", "::1", 99, "/")
