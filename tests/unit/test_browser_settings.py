"""What settings say about browsers: secrets of their tokens, and where their pages are."""

import pytest

from chalicelib import settings, wiring
from chalicelib.domain.customer_tokens import TokenSecret
from chalicelib.settings import SettingsError

BASE = {"PAYGRADE_PUBLIC_URL": "https://api.example.test"}
ONE = "0123456789abcdef0123456789abcdef"
TWO = "fedcba9876543210fedcba9876543210"


def test_environment_without_secrets_signs_no_tokens() -> None:
    assert wiring.build(settings.load(BASE)).token_secrets() == ()


def test_first_of_several_secrets_signs_and_none_shows() -> None:
    loaded = settings.load({**BASE, "PAYGRADE_TOKEN_SECRETS": f"{TWO}, {ONE}"})
    ports = wiring.build(loaded)
    assert ports.token_secrets() == (TokenSecret(TWO.encode()), TokenSecret(ONE.encode()))
    for shown in (repr(loaded), repr(ports.token_secrets())):
        assert ONE not in shown
        assert TWO not in shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ",",
        f"{ONE},",
        f",{ONE}",
        "secret",
        "x" * 64,
        "changeme" * 8,
        ONE[:31],
        f"{ONE},{ONE}",
    ],
)
def test_secret_that_is_blank_weak_or_doubled_refuses_the_start(text: str) -> None:
    with pytest.raises(SettingsError, match="PAYGRADE_TOKEN_SECRETS") as refused:
        settings.load({**BASE, "PAYGRADE_TOKEN_SECRETS": text})
    assert ONE not in str(refused.value)


def test_browser_origins_are_taken_as_browsers_send_them() -> None:
    listed = "https://app.example.com, http://localhost:5173"
    loaded = settings.load({**BASE, "PAYGRADE_BROWSER_ORIGINS": listed})
    assert wiring.build(loaded).environment.browser_origins == (
        "https://app.example.com",
        "http://localhost:5173",
    )


@pytest.mark.parametrize(
    "text",
    ["*", "null", "app.example.com", "https://app.example.com/", "https://App.example.com"],
)
def test_browser_origin_that_no_browser_sends_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="PAYGRADE_BROWSER_ORIGINS"):
        settings.load({**BASE, "PAYGRADE_BROWSER_ORIGINS": text})


KEY = "11111111-2222-3333-4444-555555555555"
ARN = f"arn:aws:kms:eu-central-1:111122223333:key/{KEY}"


def test_signing_keys_are_ids_or_arns_of_kms_and_none_by_default() -> None:
    assert wiring.build(settings.load(BASE)).signer is None
    loaded = settings.load({**BASE, "PAYGRADE_SIGNING_KEYS": f"{KEY}, {ARN}"})
    assert loaded.signing_keys == (KEY, ARN)
    assert wiring.build(loaded).signer is not None


@pytest.mark.parametrize("text", ["", ",", "alias/paygrade", f"{KEY},", "*", f"{ARN}/*"])
def test_signing_key_that_is_no_key_of_kms_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="PAYGRADE_SIGNING_KEYS"):
        settings.load({**BASE, "PAYGRADE_SIGNING_KEYS": text})


def test_token_secrets_may_be_kept_elsewhere() -> None:
    loaded = settings.load({**BASE, "PAYGRADE_TOKEN_SECRETS": "ssm:/paygrade/prod/token_secrets"})
    assert loaded.token_secrets == ("ssm:/paygrade/prod/token_secrets",)
