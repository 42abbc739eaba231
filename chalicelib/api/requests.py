"""Reading requests: bytes to a validated model, or an error that says what is wrong. Nothing is guessed."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar, get_origin
from urllib.parse import unquote

from chalice.app import Request
from pydantic import BaseModel, ValidationError

from chalicelib.api.problems import (
    BadHeaderError,
    MalformedJsonError,
    TooLargeError,
    UnsupportedMediaTypeError,
    from_pydantic,
)
from chalicelib.domain.errors import InvalidError, NotFoundError, Violation
from chalicelib.domain.ids import is_chosen_id

M = TypeVar("M", bound=BaseModel)

MAX_BODY_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 32
MAX_IDEMPOTENCY_KEY_LENGTH: Final = 255

# A whole string (or an unclosed one, to the end), or a bracket. Possessive, so linear on any input.
_TOKEN: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)


def body_bytes(request: Request) -> bytes:
    """The body exactly as it was sent."""
    try:
        raw = request.raw_body
        data = raw.encode() if isinstance(raw, str) else raw
    except ValueError as error:  # declared to be base64 and is not, or half of a surrogate pair
        raise MalformedJsonError("The body can't be decoded.") from error
    if len(data) > MAX_BODY_BYTES:
        raise TooLargeError(f"A request body has at most {MAX_BODY_BYTES} bytes.")
    return data


def require_json(headers: Mapping[str, str]) -> None:
    """The body is declared to be JSON, or not declared at all."""
    declared = headers.get("content-type")
    if declared is None:
        return
    media_type, *parameters = (part.strip().lower() for part in declared.split(";"))
    charset = next((p.removeprefix("charset=") for p in parameters if p.startswith("charset=")), "")
    if media_type != "application/json" or charset.strip('"') not in ("", "utf-8", "utf8"):
        raise UnsupportedMediaTypeError("Send application/json in UTF-8.")


def parse_body(model: type[M], data: bytes) -> M:
    """The body as the model; no body at all counts as an empty object.

    Raises:
        MalformedJsonError: It is not one JSON object in UTF-8 without repeated names.
        InvalidError: It is, but not one that the model allows.
    """
    document = data if data.strip(b" \t\r\n") else b"{}"
    _require_strict_object(document)
    try:
        # Parsed from text again, because strict JSON has no enums, tuples or datetimes and pydantic knows it.
        return model.model_validate_json(document)
    except ValidationError as error:
        raise from_pydantic(error, within=getattr(model, "faults_within", None)) from error


def _require_strict_object(data: bytes) -> None:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedJsonError("The body is not UTF-8.") from error
    _require_bounded_depth(text)
    try:
        document = json.loads(
            text, object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant
        )
        if "\\u" in text:  # half a surrogate pair is no character
            json.dumps(document, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise MalformedJsonError("The body holds half of a surrogate pair.") from error
    except ValueError as error:
        raise MalformedJsonError(f"The body is not JSON: {str(error)[:200]}.") from error
    if not isinstance(document, dict):
        raise MalformedJsonError("The body is not a JSON object.")


def _require_bounded_depth(text: str) -> None:
    depth = 0
    for token in _TOKEN.finditer(text):
        bracket = token[0]
        if bracket in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise MalformedJsonError(f"The body is nested more than {MAX_DEPTH} deep.")
        elif bracket in "]}":
            depth -= 1


def _without_duplicates(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("an object names a field twice")  # reported as malformed JSON
    return document


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def parse_query(model: type[M], request: Request) -> M:
    """The query parameters as the model.

    Raises:
        InvalidError: A name is unknown or given too often, or a value does not spell the field's type.
    """
    values: dict[str, Any] = {}
    repeated: list[Violation] = []
    given = query_values(request)
    for name, texts in given.items():
        field = model.model_fields.get(name)
        if field is not None and get_origin(field.annotation) is tuple:
            values[name] = tuple(texts)
        else:
            values[name] = texts[-1]
            if len(texts) > 1:
                detail = "The parameter is given more than once."
                repeated.append(Violation(param=name, code="repeated", detail=detail))
    if repeated:
        raise InvalidError(repeated)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise from_pydantic(error) from error


def query_values(request: Request) -> dict[str, list[str]]:
    """All values of each query parameter, decoded, in the order in which they were sent."""
    params = request.query_params
    return {} if params is None else {name: params.getlist(name) for name in params}


def path_values(raw: Mapping[str, str]) -> dict[str, str]:
    """The path's parameters, decoded once; `+` stays `+`.

    Gateways differ in whether they decoded them already. No id holds a `%`, so decoding a decoded one
    changes nothing; whatever is no id afterwards names nothing that exists.
    """
    values = {name: unquote(text, errors="replace") for name, text in raw.items()}
    for text in values.values():
        if not is_chosen_id(text):
            raise NotFoundError("object", text[:128])
    return values


def idempotency_key(headers: Mapping[str, str]) -> str | None:
    """The request's idempotency key, if it has one."""
    key = headers.get("idempotency-key")
    if key is None:
        return None
    if not 1 <= len(key) <= MAX_IDEMPOTENCY_KEY_LENGTH or not (key.isascii() and key.isprintable()):
        raise BadHeaderError(
            "An Idempotency-Key is 1 to 255 printable ASCII characters.", param="Idempotency-Key"
        )
    return key
