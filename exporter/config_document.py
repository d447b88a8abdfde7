"""What does a YAML file say, on which line, and is it YAML that we read at all?

Scalars stay text, whatever YAML makes of `off`, `0123` or `1:30`; only a plain `null`, `~` or nothing is
None. Tags are refused. Aliases are followed, but what they unfold to is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

# Where a value stands: keys and indices from the top.
Loc = tuple[str | int, ...]
# Its line and column, from 1.
Mark = tuple[int, int]

MOST_NODES = 200_000
MOST_DEPTH = 32

_PLAIN_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map")}
_QUOTED = re.compile(r""" ?(['"])(.*?)\1""")
_HARMLESS = re.compile(r"<[a-z -]+>|\\?.")


class DocumentError(Exception):
    """There is no document to speak of. `where` is `:line:column`, `:line` or nothing."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}")


@dataclass(slots=True)
class Document:
    """A file as plain values, with the mark of each and what is wrong with it as YAML."""

    data: object = field(default_factory=dict)
    marks: dict[Loc, Mark] = field(default_factory=dict)
    problems: list[tuple[Mark, Loc, str]] = field(default_factory=list)

    def mark(self, loc: Loc) -> Mark:
        """The mark of what stands there, or of the closest thing around it."""
        while loc and loc not in self.marks:
            loc = loc[:-1]
        return self.marks.get(loc, (1, 1))


def read_document(path: Path) -> Document:
    """Raises DocumentError where the file cannot be read, is not UTF-8 or is not YAML."""
    node = _compose(_text(path))
    document = Document()
    if node is not None:
        _Walk(document).root(node)
    return document


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DocumentError("", f"cannot be read: {error.strerror}") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DocumentError(f":{line}", "the file is not UTF-8") from None


def _compose(text: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise DocumentError(where, f"not YAML: {_problem(error)}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        column = error.position - text.rfind("\n", 0, error.position)
        raise DocumentError(f":{line}:{column}", "not YAML: a control character") from None
    except RecursionError:
        raise DocumentError("", "nested too deeply") from None


def _problem(error: yaml.MarkedYAMLError) -> str:
    # What PyYAML quotes from the file could be part of a secret, unless it is a token or one character.
    problem = _QUOTED.sub(lambda m: m[0] if _HARMLESS.fullmatch(m[2]) else "", error.problem or "syntax error")
    if "undefined alias" in problem:
        return f"{problem}; a value that begins with * needs quotes"
    if "another document" in problem:
        return "a second document; one file is one document"
    return problem


class _Walk:
    """One pass over the nodes that fills a document."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.left = MOST_NODES

    def root(self, node: yaml.Node) -> None:
        self.document.marks[()] = _mark(node)
        data = self.value(node, ())
        self.document.data = {} if data is None else data

    def value(self, node: yaml.Node, loc: Loc) -> object:
        self.left -= 1
        if self.left < 0:
            raise DocumentError("", f"more than {MOST_NODES} values once aliases are followed")
        if len(loc) > MOST_DEPTH:
            raise DocumentError(f":{node.start_mark.line + 1}", "nested too deeply")
        if node.tag not in _PLAIN_TAGS:
            self.problem(node, loc, "YAML tags are not read; a value that begins with ! needs quotes")
        if isinstance(node, yaml.MappingNode):
            return dict(self.entries(node, loc))
        if isinstance(node, yaml.SequenceNode):
            return [self.item(child, (*loc, i)) for i, child in enumerate(node.value)]
        empty = isinstance(node, yaml.ScalarNode) and not node.style and node.value in ("", "~", "null")
        return None if empty else node.value

    def item(self, node: yaml.Node, loc: Loc) -> object:
        self.document.marks[loc] = _mark(node)
        return self.value(node, loc)

    def entries(self, node: yaml.MappingNode, loc: Loc) -> Iterator[tuple[str, object]]:
        first: dict[str, int] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self.problem(key_node, loc, "a key is one word, not a list or a mapping")
                continue
            key, mark = key_node.value, _mark(key_node)
            if key in first:
                self.problem(key_node, (*loc, key), f"stands twice; the first is on line {first[key]}")
                continue
            first[key] = mark[0]
            self.document.marks[*loc, key] = mark
            yield key, self.value(value_node, (*loc, key))

    def problem(self, node: yaml.Node, loc: Loc, text: str) -> None:
        self.document.problems.append((_mark(node), loc, text))


def _mark(node: yaml.Node) -> Mark:
    return node.start_mark.line + 1, node.start_mark.column + 1
