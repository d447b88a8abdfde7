"""How is a mistake in the configuration said: in our words, on one line, without a secret?"""

from __future__ import annotations

import re
from typing import get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from exporter.config_document import Loc
from exporter.suggestion import suggestion

# What pydantic finds by itself; everything else is a ValueError of `config_values`.
_EXPECTED = {
    "dict_type": "expected a mapping",
    "mapping_type": "expected a mapping",
    "model_type": "expected a mapping",
    "string_type": "expected text",
    "tuple_type": "expected a list",
}
_SECRET = {"password", "bearer_token", "headers"}
_UNQUOTED = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?|true|false")


def described(detail: ErrorDetails, root: type[BaseModel]) -> tuple[Loc, str]:
    """Where a mistake is and what it is. Pydantic's own words would show values, secrets among them."""
    loc, kind, value = detail["loc"], detail["type"], detail["input"]
    if loc[-1:] == ("[key]",):
        loc = loc[:-1]
    if kind == "extra_forbidden":
        return loc, f"unknown key; {suggestion(str(loc[-1]), _keys(loc[:-1], root), 'keys here')}"
    if kind == "value_error":
        text = str(detail["ctx"]["error"])
    elif kind == "literal_error":
        text = f"expected {detail['ctx']['expected'].replace(chr(39), '')}"
    else:
        text = _EXPECTED.get(kind, "is not valid")
    # Where there is an @ there may be a password before it.
    if not text.startswith("expected") or (isinstance(value, str) and "@" in value):
        return loc, text
    if kind in _EXPECTED or not isinstance(value, str) or _SECRET.intersection(loc):
        return loc, f"{text}, got {kind_of(value)}"
    return loc, f"{text}, got {value if _UNQUOTED.fullmatch(value) else quoted(value)}"


def kind_of(value: object) -> str:
    """What a value of the file is, without the value."""
    words = {type(None): "nothing", dict: "a mapping", list: "a list", tuple: "a list", str: "text"}
    return words.get(type(value), "a number")


def quoted(text: str) -> str:
    """The text in quotes, cut where it is long."""
    return repr(text if len(text) <= 60 else f"{text[:59]}…")


def dotted(loc: Loc) -> str:
    """`clusters[0].tls.ca_file`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    return "".join(parts).removeprefix(".")


def one_line(text: str) -> str:
    """The text with all that would break or hide a line escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def section_of(annotation: object) -> type[BaseModel] | None:
    """The model inside an annotation such as `tuple[ClusterSettings, ...]` or `BasicAuth | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arg in get_args(annotation) if (found := section_of(arg))), None)


def _keys(loc: Loc, root: type[BaseModel]) -> list[str]:
    section = root
    for part in loc:
        # What is no key of a section is one of a mapping whose keys are names.
        if isinstance(part, str) and part in section.model_fields:
            section = section_of(section.model_fields[part].annotation) or section
    return list(section.model_fields)
