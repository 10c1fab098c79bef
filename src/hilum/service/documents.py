"""The page that says what can be asked, made from the OpenAPI document: no script, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from hilum.service.problems import REASONS

STYLE = "/documents.css"
EXAMPLES = {
    "/v1/predictions": (
        "curl $HILUM/v1/predictions -H 'Content-Type: application/dicom' --data-binary @film.dcm\n"
        "curl $HILUM/v1/predictions -F film=@one.png -F film=@two.dcm\n"
        "curl '$HILUM/v1/predictions?operating_point=sensitive&overlay=true' -F film=@film.dcm -o film.mixed"
    ),
    "/v1/model": "curl $HILUM/v1/model",
}


def documents_page(document: Mapping[str, Any]) -> str:
    """A page for people who write a client."""
    info = document["info"]
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>hilum: what can be asked</title>',
        '<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="documents.css"></head><body>',
        f"<main><h1>hilum {escape(info['version'])}</h1><p>{escape(info['description'])}</p>",
        '<p>For programs: <a href="openapi.json">openapi.json</a>. Where the service wants a token, add ',
        "<code>-H 'Authorization: Bearer TOKEN'</code>.</p>",
    ]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts += _operation(path, method, operation)
    parts += _problems()
    return "".join([*parts, "</main></body></html>"])


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f"<section><h2><code>{method.upper()} {escape(path)}</code> {escape(operation['summary'])}</h2>"
    for paragraph in operation.get("description", "").split("\n\n"):
        yield f"<p>{_with_code(paragraph)}</p>"
    if path in EXAMPLES:
        yield f"<pre>{escape(EXAMPLES[path].replace('$HILUM', 'http://127.0.0.1:8000'))}</pre>"
    if body := operation.get("requestBody"):
        yield f"<p>Body: {', '.join(f'<code>{escape(kind)}</code>' for kind in body['content'])}</p>"
    if parameters := operation.get("parameters"):
        rows = [(f"<code>{escape(one['name'])}</code>", _with_code(_meaning(one))) for one in parameters]
        yield _table(("in the query", ""), rows)
    rows = [(escape(status), _with_code(answer["description"])) for status, answer in operation["responses"].items()]
    yield _table(("answer", ""), rows)
    yield "</section>"


def _meaning(parameter: Mapping[str, Any]) -> str:
    schema = parameter["schema"]
    default = f" `{str(schema['default']).lower()}` if left out." if schema.get("default") is not None else ""
    choices = next((part["enum"] for part in schema.get("anyOf", ()) if "enum" in part), ())
    listed = f" One of {', '.join(f'`{choice}`' for choice in choices)}." if choices else ""
    return str(parameter.get("description") or schema.get("description", "")) + listed + default


def _problems() -> Iterator[str]:
    yield "<section><h2>Problems</h2>"
    yield "<p>Errors are problem details (RFC 9457), with one of these as <code>reason</code>.</p>"
    rows = [
        (f'<code id="{reason}">{reason}</code>', str(kind.status), escape(kind.meaning))
        for reason, kind in REASONS.items()
    ]
    yield _table(("reason", "status", "meaning"), rows)
    yield "</section>"


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    head = "".join(f'<th scope="col">{name}</th>' for name in header)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _with_code(text: str) -> str:
    """Text in which backticks mark code, as docstrings have it."""
    pieces = escape(text).split("`")
    return "".join(f"<code>{piece}</code>" if number % 2 else piece for number, piece in enumerate(pieces))
