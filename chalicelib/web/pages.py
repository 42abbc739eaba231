"""Pages of one sentence: around a checkout, for applications that have none, and after connecting Stripe."""

from html import escape
from typing import Final, Literal

Outcome = Literal["paid", "processing", "canceled"]

_TEXTS: Final[dict[Outcome, tuple[str, str]]] = {
    "paid": ("Thank you", "Your payment was received and your subscription is active."),
    "processing": (
        "One moment",
        "We have not heard of the payment yet. Your access begins as soon as it is confirmed.",
    ),
    "canceled": (
        "Nothing was charged",
        "You left the checkout. You can start it again at any time.",
    ),
}

_STYLE: Final = """
:root{color-scheme:light dark}
body{font:1.125rem/1.6 system-ui,sans-serif;display:grid;place-items:center;min-height:100vh;margin:0;padding:1.5rem;
box-sizing:border-box}
main{max-width:32rem}
h1{font-size:2rem;margin:0 0 .5rem}
p{margin:0}
"""


# The style stands in the page itself; nothing else is loaded, run or sent from it.
PAGE_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
HTML: Final = "text/html; charset=utf-8"


def checkout_page(outcome: Outcome) -> str:
    """A whole HTML page that says what happened."""
    return sentence_page(*_TEXTS[outcome])


def sentence_page(title: str, text: str) -> str:
    """A whole HTML page with a title and a sentence."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1><p>{escape(text)}</p></main></body></html>\n"
    )
