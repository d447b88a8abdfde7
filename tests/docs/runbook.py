"""The pages of the runbook: where they are, and the commands on them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs/runbook"
SHARED = ("README", "savepoints")  # pages that are no symptom's

_FENCE = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"<!-- run: ([a-z]+) -->\s*\Z")


@dataclass(frozen=True)
class Block:
    """Commands that stand together. needs: what they need besides Flink and the exporter, by the mark above them:

    `alertmanager`; `changes`, a cluster that may be changed; `nothing`, which is none.
    """

    page: str
    line: int
    commands: str
    needs: str


def pages() -> list[Path]:
    """All pages, those of symptoms and the others."""
    return sorted(FOLDER.glob("*.md"))


def blocks(page: Path) -> list[Block]:
    """The blocks of commands on a page, in order."""
    text = page.read_text()
    found = []
    for fence in _FENCE.finditer(text):
        mark = _MARK.search(text[: fence.start()])
        line = text.count("\n", 0, fence.start()) + 2
        found.append(Block(page.stem, line, fence[1], mark[1] if mark else "nothing"))
    return found
