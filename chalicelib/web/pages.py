"""The pages around a checkout, for applications that have none of their own."""

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


def checkout_page(outcome: Outcome) -> str:
    """A whole HTML page that says what happened."""
    title, text = _TEXTS[outcome]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{title}</h1><p>{text}</p></main></body></html>\n"
    )
