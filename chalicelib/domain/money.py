"""Money: integer minor units of a lower-case ISO 4217 currency, sub-unit prices as decimals. Never a float."""

from decimal import Decimal
from typing import Final

# https://docs.stripe.com/currencies#presentment-currencies, lower case.
CURRENCIES: Final = frozenset(
    """usd aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp byn bzd
    cad cdf chf clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq gyd
    hkd hnl htg huf idr ils inr isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl mad
    mdl mga mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr pln
    pyg qar ron rsd rub rwf sar sbd scr sek sgd shp sle sos srd std szl thb tjs tnd top try ttd twd tzs
    uah ugx uyu uzs vnd vuv wst xaf xcd xcg xof xpf yer zar zmw""".split()
)

# The provider's ceiling for an amount of 8 digits (https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts).
MAX_AMOUNT_MINOR: Final = 99_999_999
MAX_DECIMAL_PLACES: Final = 12


def canonical_decimal(value: Decimal) -> str:
    """The one spelling of a decimal: no exponent, no trailing zeros, so that equal prices compare equal."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
