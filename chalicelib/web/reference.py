"""The API reference as HTML: a pure function of the OpenAPI document."""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any, Final

Schema = Mapping[str, Any]

_STYLE: Final = Path(__file__).with_name("reference.css").read_text(encoding="utf-8")
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
CONTENT_SECURITY_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def api_page(document: Schema) -> str:
    """Every operation and every schema of the document."""
    by_tag: dict[str, list[tuple[str, str, Schema]]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            by_tag.setdefault(operation["tags"][0], []).append((method, path, operation))
    links = "".join(f'<li><a href="#{_id(tag)}">{_words(tag)}</a></li>' for tag in by_tag)
    sections = "".join(
        f'<section aria-labelledby="{_id(tag)}"><h2 id="{_id(tag)}">{_words(tag)}</h2>'
        + "".join(_operation(*one) for one in operations)
        + "</section>"
        for tag, operations in by_tag.items()
    )
    schemas = "".join(
        f'<article><h3 id="{_schema_id(name)}"><code>{escape(name)}</code></h3>{_schema(schema)}'
        "</article>"
        for name, schema in sorted(document["components"]["schemas"].items())
    )
    info = document["info"]
    return _page(
        f"{info['title']} API",
        f"{_paragraphs(info['description'])}"
        '<p><a href="openapi.json">OpenAPI document</a> · <a href="docs/problems">Problems</a></p>'
        f'<nav aria-label="Contents"><ul>{links}<li><a href="#schemas">Schemas</a></li></ul></nav>',
        f'{sections}<section aria-labelledby="schemas"><h2 id="schemas">Schemas</h2>{schemas}'
        "</section>",
    )


def problems_page(problems: Iterable[tuple[str, int, str, str]]) -> str:
    """Every problem: its code, status, title and meaning."""
    rows = (
        (
            f'<code id="{escape(code)}">{escape(code)}</code>',
            str(status),
            escape(title),
            escape(text),
        )
        for code, status, title, text in problems
    )
    return _page(
        "Problems",
        "<p>Errors are <code>application/problem+json</code> (RFC 9457). <code>code</code> is stable; "
        "<code>detail</code> is for people. "
        '<a href="../docs">Back to the API</a></p>',
        _table(("Code", "Status", "Title", "Meaning"), rows),
    )


def _page(title: str, head: str, main: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)} · Paygrade</title><style>{_STYLE}</style></head><body>"
        '<a class="skip" href="#main">Skip to the content</a>'
        f'<header><h1>{escape(title)}</h1>{head}</header><main id="main">{main}</main></body></html>'
    )


def _operation(method: str, path: str, operation: Schema) -> str:
    name = _id(operation["operationId"])
    parts = [
        f'<article aria-labelledby="{name}"><h3 id="{name}">{escape(operation["summary"])}</h3>',
        f'<p><code class="method">{method.upper()}</code><code>{escape(path)}</code></p>',
        _paragraphs(operation["description"]),
    ]
    scopes = [scope for one in operation["security"] for scope in one.get("api_key", ())]
    needs = f"scope <code>{escape(scopes[0])}</code>" if scopes else "no API key"
    if any("customer_token" in one for one in operation["security"]):
        needs += ", or a customer token"
    parts.append(f"<p>Needs {needs}.</p>")
    if operation["parameters"]:
        rows = (
            (
                f"<code>{escape(one['name'])}</code>",
                escape(one["in"]) + (", required" if one["required"] else ""),
                _type(one["schema"]),
                _inline(one.get("description", "")),
            )
            for one in operation["parameters"]
        )
        parts.append("<h4>Parameters</h4>" + _table(("Name", "In", "Type", ""), rows))
    if "requestBody" in operation:
        parts.append(f"<h4>Body</h4><p>{_content(operation['requestBody']['content'])}</p>")
    answers = "".join(
        f"<li><code>{escape(status)}</code> {_inline(answer['description'])} "
        f"{_content(answer.get('content', {}))}</li>"
        if "description" in answer
        else f'<li><code>{escape(status)}</code> <a href="docs/problems">problem</a></li>'
        for status, answer in operation["responses"].items()
    )
    parts.append(f"<h4>Answers</h4><ul>{answers}</ul></article>")
    return "".join(parts)


def _content(content: Schema) -> str:
    return " ".join(
        f"<code>{escape(media_type)}</code> {_type(body['schema']) if 'schema' in body else ''}"
        for media_type, body in content.items()
    )


def _schema(schema: Schema) -> str:
    text = _paragraphs(schema.get("description", ""))
    if "properties" not in schema:
        return f"{text}<p>{_type(schema)}</p>"
    required = schema.get("required", ())
    rows = (
        (
            f"<code>{escape(name)}</code>",
            _type(field),
            "required" if name in required else "",
            _inline(field.get("description", "")),
        )
        for name, field in schema["properties"].items()
    )
    return text + _table(("Field", "Type", "", ""), rows)


def _type(schema: Schema) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#{_schema_id(name)}"><code>{escape(name)}</code></a>'
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if "const" in schema or "enum" in schema:
        values = schema.get("enum") or [schema["const"]]
        return " or ".join(f"<code>{escape(str(value))}</code>" for value in values)
    if "items" in schema:
        return f"list of {_type(schema['items'])}"
    if isinstance(schema.get("additionalProperties"), Mapping):
        return f"map of {_type(schema['additionalProperties'])}"
    return _plain_type(schema)


def _plain_type(schema: Schema) -> str:
    kind = escape(str(schema.get("type", "any")))
    bounds = ", ".join(
        f"{label} {escape(str(schema[name]))}".strip()
        for name, label in _BOUNDS.items()
        if name in schema
    )
    return f"{kind} ({bounds})" if bounds else kind


_BOUNDS: Final = {
    "format": "",
    "pattern": "",
    "minimum": "≥",
    "maximum": "≤",
    "minLength": "length ≥",
    "maxLength": "length ≤",
}


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    titles = "".join(f'<th scope="col">{title}</th>' for title in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        '<div class="scroll" tabindex="0" role="group" aria-label="Table">'
        f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{_inline(part)}</p>" for part in text.split("\n\n") if part.strip())


def _inline(text: str) -> str:
    """Escaped, with what stands between backticks as code."""
    pieces = text.split("`")
    return "".join(
        f"<code>{escape(piece)}</code>" if index % 2 else escape(piece)
        for index, piece in enumerate(pieces)
    )


def _words(name: str) -> str:
    return escape(name.replace("_", " ").capitalize())


def _id(name: str) -> str:
    return escape(name.replace("_", "-"))


def _schema_id(name: str) -> str:
    return "schema-" + escape(name)
