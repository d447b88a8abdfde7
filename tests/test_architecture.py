"""Does the house stand as it was drawn: one way, pure inside, each family once, nothing read that is not needed?"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from exporter import reference
from exporter.families import IDENTITY, Family
from exporter.model import Cluster, Job, JobManager, Source, TaskManager, Vertex
from exporter.signals import SIGNALS
from exporter.signals.base import Signal
from exporter.symptoms import verdict

ROOT = Path(__file__).parent.parent
MOST_LINES = 400
# The symptoms are a table, and stand in one file so that a threshold is found in one place.
TABLES = {"exporter.symptoms.declarations": 600}

# ---- Imports

CORE = {"exporter.families", "exporter.model", "exporter.history"}

# What each room may import of the others, the most particular name deciding. A room may always import itself; a module
# that is in none is a mistake.
ROOMS: dict[str, set[str]] = {
    "exporter.families": set(),
    "exporter.durations": set(),
    "exporter.suggestion": set(),
    "exporter.columns": set(),
    "exporter.model": set(),
    "exporter.history": set(),
    "exporter.derive": {*CORE, "exporter.signals"},
    "exporter.flink": {"exporter.model"},
    "exporter.discovery": {"exporter.model"},
    "exporter.publish": {"exporter.families", "exporter.symptoms", "exporter.columns"},
    "exporter.telemetry": {"exporter.publish"},
    "exporter.symptoms": {*CORE, "exporter.signals", "exporter.durations"},
    "exporter.watch": {*CORE, "exporter.signals", "exporter.derive", "exporter.flink", "exporter.symptoms"},
    "exporter.config": {
        *("exporter.config_document", "exporter.config_section", "exporter.config_symptoms"),
        *("exporter.config_values", "exporter.config_wording"),
    },
    "exporter.config_document": set(),
    "exporter.config_section": set(),
    "exporter.config_symptoms": {"exporter.config_document", "exporter.config_section", "exporter.config_values"},
    "exporter.config_wording": {"exporter.config_document", "exporter.suggestion"},
    "exporter.config_values": {"exporter.config_wording", "exporter.durations", "exporter.suggestion"},
    "exporter.config_reference": {"exporter.config", "exporter.config_wording"},
    "exporter.log": set(),
    "exporter.rules": {"exporter.symptoms"},
    "exporter.reference": {
        *(CORE | {"exporter.signals", "exporter.symptoms", "exporter.config", "exporter.config_reference"}),
        *("exporter.reference_symptoms", "exporter.rules"),
    },
    "exporter.reference_symptoms": {*CORE, "exporter.symptoms", "exporter.durations"},
    "exporter.app": {
        *(CORE | {"exporter.signals", "exporter.watch", "exporter.flink", "exporter.discovery", "exporter.symptoms"}),
        *("exporter.config", "exporter.config_values", "exporter.publish", "exporter.telemetry"),
    },
    "exporter.diagnose": {
        *(
            "exporter.app",
            "exporter.columns",
            "exporter.config",
            "exporter.publish",
            "exporter.report",
            "exporter.suggestion",
        ),
        *("exporter.symptoms", "exporter.terminal", "exporter.watch"),
    },
    "exporter.report": {"exporter.symptoms", "exporter.terminal", "exporter.columns", "exporter.publish.spelling"},
    "exporter.terminal": {"exporter.columns"},
    "exporter.cli": {"exporter"},
    "exporter.demo": {*CORE, "exporter.signals", "exporter.symptoms", "exporter.watch", "exporter.config"},
    "exporter.__main__": {"exporter.cli"},
    "exporter": set(),
}
# What only some may import. The composition root opens the one session and runs the server.
ONLY = {
    "aiohttp": {"exporter.flink", "exporter.discovery", "exporter.publish", "exporter.app"},
    "prometheus_client": {"exporter.publish", "exporter.telemetry", "exporter.flink.reporter"},
}
# What signals and `derive` may import of Python: nothing that reads a clock, a file, the network or chance.
PURE = {
    *("__future__", "abc", "array", "bisect", "collections", "dataclasses", "enum", "functools", "heapq", "itertools"),
    *("math", "operator", "re", "statistics", "typing"),
}
IMPURE = {"open", "print", "input", "exec", "eval", "__import__"}

MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "exporter").rglob("*.py"))
}
# What signals share: their base, and modules whose names begin with an underscore.
SHARED = {"exporter.signals.base"} | {name for name in MODULES if name.startswith("exporter.signals._")}
SIGNAL_MODULES = {name for name in MODULES if name.startswith("exporter.signals.")} - SHARED
ROOMS |= {name: CORE if name == "exporter.signals.base" else CORE | SHARED for name in SHARED}
ROOMS |= dict.fromkeys(SIGNAL_MODULES, CORE | SHARED)
ROOMS["exporter.signals"] = {"exporter.signals.base", *SIGNAL_MODULES}


def within(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.")


def room_of(module: str) -> str | None:
    """The most particular room; the package itself is a room of one module."""
    rooms = [room for room in ROOMS if within(module, room) and (room != "exporter" or module == "exporter")]
    return max(rooms, key=len, default=None)


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text())


def imports(module: str) -> set[str]:
    """Every module that a module imports, wherever in its text; of a package its modules, where those are meant."""
    found = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}: an import that does not say where from"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else str(node.module) for name in names}
    return found


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_one_way(module: str) -> None:
    room = room_of(module)
    assert room is not None, "a module that is in no room: give it one in ROOMS"
    ours = {name for name in imports(module) if within(name, "exporter")}
    # A room that stands inside another is not that other: signals do not import their list, nor each other.
    allowed = {name for name in ours if any(within(name, may) for may in ROOMS[room]) or room_of(name) == room}
    allowed |= {"exporter"}  # its version
    assert ours - allowed == set()


@pytest.mark.parametrize("library", ONLY)
def test_a_library_is_known_to_few(library: str) -> None:
    known = {name for name in MODULES if any(within(imported, library) for imported in imports(name))}
    assert known, "nobody imports it: strike it from the list"
    assert {name for name in known if not any(within(name, room) for room in ONLY[library])} == set()


@pytest.mark.parametrize("module", sorted(CORE))
def test_the_core_needs_nothing_but_python(module: str) -> None:
    assert {name.partition(".")[0] for name in imports(module)} <= sys.stdlib_module_names


@pytest.mark.parametrize(
    "module", sorted({"exporter.derive", *CORE, *(m for m in MODULES if within(m, "exporter.signals"))})
)
def test_the_core_is_pure(module: str) -> None:
    assert {name.partition(".")[0] for name in imports(module)} - {"exporter"} <= PURE
    nodes = list(ast.walk(tree(module)))
    assert {node.id for node in nodes if isinstance(node, ast.Name)} & IMPURE == set()
    assert not [node for node in nodes if isinstance(node, ast.Global)]


@pytest.mark.parametrize("module", MODULES)
def test_no_module_is_too_long(module: str) -> None:
    assert len(MODULES[module].read_text().splitlines()) <= TABLES.get(module, MOST_LINES)


# ---- Declarations


def test_every_signal_is_listed_once_under_the_name_of_its_file() -> None:
    listed = {signal.name: signal.derive.__module__ for signal in SIGNALS}
    assert len(listed) == len(SIGNALS)
    assert listed == {module.rpartition(".")[2]: module for module in SIGNAL_MODULES}


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.name)
def test_a_signal_asks_a_question(signal: Signal) -> None:
    """The reference and the README's table begin with it."""
    assert reference.question(signal).endswith("?")


FAMILIES = [*(family for signal in SIGNALS for family in signal.families), *verdict.FAMILIES]
_BUSY = ("busy_max", "busy_mean", "backpressured_max", "backpressured_mean", "idle_mean")

# The contract: what may be published, by entity, and with which labels of its own. METRICS.md also has
# cluster_slots_total, which its own grammar keeps for counters: it is published as cluster_slots.
CONTRACT: dict[str, dict[str, tuple[str, ...]]] = {
    "cluster": {
        **dict.fromkeys(("up", "taskmanagers", "slots", "slots_free", "taskmanager_losses_total"), ()),
        **dict.fromkeys(("taskmanager_loss_tolerance", "snapshot_timestamp_seconds", "rest_metrics_age_seconds"), ()),
        "taskmanager_losses_recent": (),
        **dict.fromkeys(("state", "jobs"), ("state",)),
        "info": ("flink_version", "flink_commit"),
        "symptom": ("symptom", "severity"),
    },
    "job": {
        "state": ("state",),
        **dict.fromkeys(("uptime_seconds", "availability_ratio", "restarts_total", "restarts_recent"), ()),
        **dict.fromkeys(("restart_budget_remaining", "restart_backoff_seconds"), ()),
        "restart_strategy_info": ("strategy",),
        **dict.fromkeys(("failures_total", "failures_recent", "failure_last_timestamp_seconds"), ("scenario",)),
        **dict.fromkeys(("coverage_ratio", "tasks_running_ratio", "tasks_waiting"), ()),
        "config_issue": ("check",),
        **dict.fromkeys(
            (f"checkpoint_duration_{what}" for what in ("seconds", "baseline_seconds", "ratio")),
            (),
        ),
        **dict.fromkeys(("checkpoint_timeout_ratio", "checkpoint_age_seconds", "checkpoint_overdue_ratio"), ()),
        "checkpoint_failures_total": ("reason",),
        **dict.fromkeys(("checkpoint_failures_recent", "checkpoint_consecutive_failures"), ()),
        **dict.fromkeys(("checkpoint_size_bytes", "checkpoint_state_size_bytes"), ()),
        **dict.fromkeys(("checkpoint_state_growth_bytes_per_second", "checkpoint_state_hourly_growth_ratio"), ()),
        "checkpoint_slowest_phase": ("task_id", "task_name", "phase"),
        **dict.fromkeys(("watermark_lag_seconds", "watermark_stalled_seconds"), ()),
        "symptom": ("symptom", "severity"),
        "score_ratio": (),
        "score_deduction_ratio": ("symptom",),
    },
    "task": {
        "coverage_ratio": (),
        **dict.fromkeys((f"{what}_ratio" for what in _BUSY), ()),
        **dict.fromkeys(("skew_ratio", "skew_deviation_ratio", "skew_hottest_subtask"), ("signal",)),
        **dict.fromkeys(("records_in_per_second", "records_out_per_second", "selectivity_ratio"), ()),
        **dict.fromkeys(("throughput_baseline_per_second", "throughput_ratio"), ()),
        **dict.fromkeys(("capacity_records_per_second", "headroom_ratio", "latency_p99_seconds"), ()),
        "bottleneck": ("reason",),
        **dict.fromkeys((f"watermark_{what}_seconds" for what in ("lag", "stalled", "spread")), ()),
        **dict.fromkeys(("watermark_lag_growth_ratio", "watermark_missing_subtasks"), ()),
        "late_records_dropped_per_second": (),
    },
    "source": {
        **dict.fromkeys(("lag_records", "lag_growth_records_per_second", "lag_seconds", "catch_up_seconds"), ()),
        "lag_status": ("status",),
        **dict.fromkeys(("uncommitted_records", "errors_per_second"), ()),
        **dict.fromkeys(("emit_lag_seconds", "fetch_lag_seconds", "idle_seconds"), ()),
    },
    "taskmanager": {
        **dict.fromkeys(("heap_used_ratio", "heap_floor_ratio", "gc_time_ratio", "heartbeat_age_seconds"), ()),
        **dict.fromkeys((f"{what}_used_ratio" for what in ("metaspace", "managed", "network", "fds")), ()),
        "cpu_load_ratio": (),
        "symptom": ("symptom", "severity"),
    },
    "jobmanager": dict.fromkeys(("heap_used_ratio", "heap_floor_ratio", "gc_time_ratio"), ()),
}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_family_is_in_the_contract(family: Family) -> None:
    what = family.name.removeprefix(f"flink_health_{family.entity}_")
    assert what in CONTRACT[family.entity], "not a name of the contract"
    assert family.all_labels == (*IDENTITY[family.entity], *CONTRACT[family.entity][what])


def test_every_family_is_declared_once() -> None:
    assert [name for name, count in Counter(family.name for family in FAMILIES).items() if count > 1] == []


def test_no_two_families_are_one_in_openmetrics() -> None:
    """There `x_total` and `x_info` are samples of a family `x`, which may not stand beside a gauge `x`."""
    names = Counter(family.name.removesuffix("_total").removesuffix("_info") for family in FAMILIES)
    assert [name for name, count in names.items() if count > 1] == []


# The entities that a signal may speak of, by what it is asked about: that, or something inside it.
SPEAKS_OF = {
    Cluster: set(IDENTITY),
    JobManager: {"jobmanager"},
    TaskManager: {"taskmanager"},
    Job: {"job", "task", "source"},
    Vertex: {"task", "source"},
    Source: {"source"},
}


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.name)
def test_a_signal_speaks_of_what_it_is_asked_about(signal: Signal) -> None:
    rolled = {rollup.family for rollup in signal.rollups}
    entities = set().union(*(SPEAKS_OF[each] for each in signal.each))
    assert {family.entity for family in set(signal.families) - rolled} <= entities
    for family, of, _ in signal.rollups:
        assert (family.entity, of.entity) == ("job", "task")
        assert {family, of} <= set(signal.families)


# ---- What is generated


def test_what_is_generated_is_current() -> None:
    """`flink-health-exporter reference --write` renews it."""
    reference.check(ROOT)
