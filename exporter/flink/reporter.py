"""The native Prometheus reporter of a TaskManager: its text, read as it streams.

Only wanted families are asked for, blocks of others are skipped unsplit where they come all the same, and a line's
label block is parsed once: in the next scrape its bytes are known. A line that is not in the plain form that Flink
writes goes to prometheus_client's parser; one that this refuses too is counted and left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import quote

from prometheus_client.parser import text_string_to_metric_families

from exporter.flink.fetch import Gate
from exporter.flink.readings import Address, Cells, plain, reading
from exporter.model import Raw, Scope

_PREFIX = {
    Scope.JOBMANAGER: "flink_jobmanager_",
    Scope.TASKMANAGER: "flink_taskmanager_",
    Scope.JOB: "flink_jobmanager_job_",
    Scope.TASK: "flink_taskmanager_job_task_",
    Scope.OPERATOR: "flink_taskmanager_job_task_operator_",
    Scope.PARTITION: "flink_taskmanager_job_task_operator_KafkaSourceReader_topic_partition_",
    Scope.LATENCY: "flink_taskmanager_job_task_latency_",
}

# The scopes that live in a TaskManager's process, and so in its reporter.
IN_TASKMANAGERS = frozenset({Scope.TASKMANAGER, Scope.TASK, Scope.OPERATOR, Scope.PARTITION, Scope.LATENCY})

# The labels that tell the owner, by scope; `subtask_index` tells the cell.
_OWNER_LABELS = {
    Scope.TASKMANAGER: ("tm_id",),
    Scope.TASK: ("job_id", "task_id"),
    Scope.OPERATOR: ("job_id", "task_id", "operator_name"),
    Scope.PARTITION: ("job_id", "task_id", "operator_name", "topic", "partition"),
    Scope.LATENCY: ("job_id", "task_id"),
}

# How REST's names of a histogram's quantiles end; the reporter has a label for them.
_QUANTILE = re.compile(r"_p(\d+)$")

_SERIES = re.compile(rb'([a-zA-Z_:][a-zA-Z0-9_:]*)\{((?:[a-zA-Z_][a-zA-Z0-9_]*="[^"\\]*",?)*)\}')
_LABEL = re.compile(rb'([a-zA-Z_][a-zA-Z0-9_]*)="([^"\\]*)"')


def family_name(raw: Raw) -> str:
    """The reporter's name for a raw metric."""
    return _PREFIX[raw.scope] + re.sub(r"[^a-zA-Z0-9_:]", "_", _QUANTILE.sub("", raw.name))


class Slot(NamedTuple):
    """Where the value of a series goes, and which TaskManager said it (None where Flink leaves the label out).

    shared: other series go there as well, and the greatest value stays.
    """

    address: Address
    cell: int
    taskmanager: str | None
    shared: bool


class Page(NamedTuple):
    """One scrape of one TaskManager. taskmanager: its id as the reporter spells it, made plain."""

    taskmanager: str | None
    cells: Cells
    bad_lines: int


class Lines:
    """Turns the text of one endpoint into cells, scrape after scrape, remembering the series it has seen."""

    def __init__(self, raws: Iterable[Raw]) -> None:
        self._wanted = {family_name(raw).encode(): raw for raw in raws if raw.scope in IN_TASKMANAGERS}
        self._slots: dict[bytes, Slot | None] = {}
        self._begin()

    def _begin(self) -> None:
        self._cells: Cells = {}
        self._taskmanager: str | None = None
        self._tail = b"\n"  # so that a `#` at the very start begins a line too
        self._inside = False  # whether the block that the next chunk goes on with is a wanted one
        self._count = 0
        self._bad = 0

    @property
    def families(self) -> tuple[str, ...]:
        """The families to ask for."""
        return tuple(name.decode() for name in self._wanted)

    def feed(self, chunk: bytes) -> None:
        """Takes the next piece of the page; it may end anywhere."""
        text = self._tail + chunk
        end = text.rfind(b"\n")
        self._tail = text[end:]
        # A comment line begins a block. What stands before the first one goes on with the block of the last chunk.
        for block in text[:end].split(b"\n#"):
            if block.startswith(b" TYPE "):
                self._inside = block[6:].split(b" ", 1)[0] in self._wanted
            elif block.startswith(b" "):
                self._inside = False
            if self._inside:
                self._take(block)

    def _take(self, block: bytes) -> None:
        slots, cells = self._slots, self._cells
        for line in block.split(b"\n"):
            cut = line.rfind(b" ")
            series = line[:cut]
            try:
                slot = slots[series]
            except KeyError:
                if not line or line[0] == 32:  # nothing, or the rest of the comment that began the block
                    continue
                if not self._learn(line, series):
                    continue
                slot = slots[series]
            self._count += 1
            if slot is None:
                continue
            try:
                value = reading(slot.address.raw, float(line[cut + 1 :]))
            except ValueError:
                self._bad += 1
                continue
            self._taskmanager = slot.taskmanager
            if value is not None:
                found = cells.setdefault(slot.address, {})
                found[slot.cell] = max(value, found.get(slot.cell, value)) if slot.shared else value

    def _learn(self, line: bytes, series: bytes) -> bool:
        """Remembers where a series goes. False if the line was odd: then it was dealt with here, value and all."""
        plain_form = _SERIES.fullmatch(series)
        if plain_form:
            labels = {name.decode(): value.decode("utf-8", "replace") for name, value in _LABEL.findall(plain_form[2])}
            self._slots[series] = self._slot(plain_form[1], labels)
            return True
        try:
            for family in text_string_to_metric_families(line.decode() + "\n"):
                for sample in family.samples:
                    slot = self._slot(sample.name.encode(), sample.labels)
                    value = reading(slot.address.raw, sample.value) if slot else None
                    if slot and value is not None:
                        self._taskmanager = slot.taskmanager
                        found = self._cells.setdefault(slot.address, {})
                        found[slot.cell] = max(value, found.get(slot.cell, value)) if slot.shared else value
        except (ValueError, KeyError, IndexError):
            self._bad += 1
        return False

    def _slot(self, name: bytes, labels: Mapping[str, str]) -> Slot | None:
        raw = self._wanted.get(name)
        if raw is None:
            return None
        quantile = _QUANTILE.search(raw.name)
        if labels.get("quantile") != (f"0.{quantile[1]}" if quantile else None):
            return None
        taskmanager = plain(labels["tm_id"]) if "tm_id" in labels else None
        try:
            # A partition belongs to one subtask at a time, and may move to another.
            cell = 0 if raw.scope in (Scope.TASKMANAGER, Scope.PARTITION) else int(labels["subtask_index"])
            owner = tuple(plain(labels[label]) for label in _OWNER_LABELS[raw.scope])
            if raw.scope is Scope.PARTITION:
                owner = (*owner[:3], "-".join(owner[3:]))
        except (KeyError, ValueError):
            if raw.scope is not Scope.TASKMANAGER:
                return None  # an owner that cannot be told: `metrics.reporter.*.scope.variables.excludes` took it away
            owner = ("",)
        return Slot(Address(raw, owner), cell, taskmanager, raw.scope is Scope.LATENCY)

    def finish(self) -> Page:
        """Ends the scrape: what it read. The next `feed` begins a new one."""
        self.feed(b"\n")
        page = Page(self._taskmanager, self._cells, self._bad)
        if len(self._slots) > 2 * self._count + 100:  # mostly series of tasks that are gone
            self._slots.clear()
        self._begin()
        return page

    def abandon(self) -> None:
        """Ends a scrape that broke off: nothing of it is kept."""
        self._begin()


class Endpoint:
    """The reporter at one address."""

    def __init__(self, host: str, port: int, raws: Iterable[Raw]) -> None:
        self.host = host
        self.port = port
        self._lines = Lines(raws)
        address = f"[{host}]" if ":" in host else host
        asked = "&".join(f"name%5B%5D={quote(name)}" for name in self._lines.families)
        self._url = f"http://{address}:{port}/metrics?{asked}"

    async def read(self, gate: Gate) -> Page:
        """One scrape. Raises FlinkError; then nothing of what came is kept."""
        try:
            await gate.feed(self._url, self._lines.feed)
        except BaseException:
            self._lines.abandon()
            raise
        return self._lines.finish()
