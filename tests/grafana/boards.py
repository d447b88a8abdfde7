"""The dashboards as they are committed, and every query of theirs as Prometheus would be asked it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from grafana.build import BOARDS, FOLDER

# How a description says that a panel may have no data.
MAY_BE_EMPTY = "Empty when "

Json = dict[str, Any]


class Query(NamedTuple):
    """A query of a panel, with Grafana's variables still in it."""

    board: str
    panel: str
    letter: str
    expr: str
    instant: bool
    may_be_empty: bool

    @property
    def name(self) -> str:
        return f"{self.board}: {self.panel} {self.letter}"


@cache
def board(name: str) -> Json:
    """A dashboard by the name of its file."""
    found: Json = json.loads((FOLDER / name).read_text())
    return found


def panels(name: str) -> list[Json]:
    """Its panels, without the rows that head them."""
    return [panel for panel in board(name)["panels"] if panel["type"] != "row"]


def queries() -> Iterator[Query]:
    """Every query of every panel."""
    for name in BOARDS:
        for panel in panels(name):
            empty = MAY_BE_EMPTY in panel["description"]
            for target in panel["targets"]:
                yield Query(name, panel["title"], target["refId"], target["expr"], bool(target.get("instant")), empty)


def asked(expr: str, values: Mapping[str, str] | None = None) -> str:
    """A query with its variables replaced, as Grafana does: all that there is, unless something is picked."""
    known = {"cluster": ".+", "job": ".+", "tm": ".+", "__rate_interval": "1m", "__range": "1h", **(values or {})}
    # A variable of which only one can be picked is compared with `=`, and cannot be all.
    if values is None:
        expr = re.sub(r'(\w)="\$(\w+)"', r'\1=~"$\2"', expr)
    return re.sub(r"\$(\w+)", lambda match: known[match[1]] if not match[1].isdigit() else match[0], expr)
