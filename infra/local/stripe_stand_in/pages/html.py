"""The frame of every page: one style sheet, no script, a strict policy."""

from __future__ import annotations

import base64
import hashlib
from html import escape

from infra.local.stripe_stand_in.wire import Response

_NO_MINOR_UNITS = frozenset({"jpy", "krw", "vnd", "clp", "pyg", "ugx", "xaf", "xof", "xpf"})

_STYLE = """
:root{color-scheme:light dark;--ink:#1a1f36;--soft:#5b6478;--line:#d8dde6;--paper:#fff;
--ground:#f5f6fa;--accent:#3f46c8;--accent-ink:#fff;--bad:#a8201a;--bad-ground:#fdecea}
@media (prefers-color-scheme:dark){:root{--ink:#eef0f7;--soft:#aab2c5;--line:#3a4258;
--paper:#1d2233;--ground:#141826;--accent:#a9afff;--accent-ink:#11142a;--bad:#ffb4ab;
--bad-ground:#43201d}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);line-height:1.5;
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
.note{margin:0;background:var(--ink);color:var(--ground);text-align:center;padding:.4rem 1rem;
font-size:.85rem}
main{max-width:58rem;margin:2.5rem auto;padding:0 1rem;display:grid;gap:1.5rem}
@media (min-width:48rem){main.two{grid-template-columns:1fr 1fr}}
section{background:var(--paper);border:1px solid var(--line);border-radius:14px;padding:1.5rem}
h1{font-size:1.35rem;margin:0 0 1rem}h2{font-size:1.05rem;margin:0 0 .75rem}
.total{font-size:2rem;font-weight:650;letter-spacing:-.02em;margin:0}
section>p:first-child{margin-top:0}
.soft{color:var(--soft)}
table{width:100%;border-collapse:collapse;margin-top:1rem}
th,td{padding:.5rem 0;text-align:left;border-top:1px solid var(--line);font-weight:400}
td:last-child{text-align:right;font-variant-numeric:tabular-nums}
tfoot th,tfoot td{font-weight:650}
label{display:block;font-weight:550;margin:.9rem 0 .25rem}
input,select{width:100%;padding:.65rem .75rem;font:inherit;color:inherit;background:transparent;
border:1px solid var(--soft);border-radius:8px}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:1rem}
button,.button{display:block;width:100%;margin-top:1.25rem;padding:.8rem 1rem;font:inherit;
font-weight:600;text-align:center;text-decoration:none;cursor:pointer;border:0;border-radius:8px;
background:var(--accent);color:var(--accent-ink)}
button.plain{background:transparent;color:inherit;border:1px solid var(--soft)}
a{color:var(--accent)}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
.alert{background:var(--bad-ground);color:var(--bad);border-radius:8px;padding:.75rem 1rem;
margin:0 0 1rem}
code{font-size:.9em}dl{display:grid;grid-template-columns:auto 1fr;gap:.2rem 1rem;margin:0}
dt{font-variant-numeric:tabular-nums}dd{margin:0;color:var(--soft)}
details{margin-top:1.25rem}
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()


def page(title: str, body: str, *, status: int = 200, form_targets: str = "") -> Response:
    """A whole page; `body` must already be escaped."""
    # A browser applies form-action to the redirect after a form too, so its target is named.
    policy = (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self' {form_targets};"
        " base-uri 'none'; frame-ancestors 'none'"
    )
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        '<p class="note" role="note">Stripe stand-in: a test page, no money moves.</p>'
        f"{body}</body></html>"
    )
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(status, headers, text.encode())


def redirect(target: str) -> Response:
    """On to another page."""
    return Response(303, {"Location": target, "Cache-Control": "no-store"}, b"")


def money(amount: int, currency: str) -> str:
    """An amount for people: `$12.00`, `EUR 5.00`, `JPY 500`."""
    if currency in _NO_MINOR_UNITS:
        return f"{currency.upper()} {amount:,}"
    sign = "-" if amount < 0 else ""
    whole, cents = divmod(abs(amount), 100)
    unit = "$" if currency == "usd" else f"{currency.upper()} "
    return f"{sign}{unit}{whole:,}.{cents:02d}"
