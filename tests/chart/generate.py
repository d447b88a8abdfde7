"""What of the chart, and of what stands beside it, follows from something else. `python -m tests.chart.generate`.

The rules and dashboards are copies, because Helm packs nothing from outside the chart's folder. The schema of `config`
is the exporter's own. The README's table is values.yaml's. The inhibitions are the symptoms' causes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from exporter.config import Settings
from exporter.symptoms.base import Symptom
from exporter.symptoms.declarations import SYMPTOMS
from tests.chart.tools import run, tool

ROOT = Path(__file__).parent.parent.parent
CHART = ROOT / "charts/flink-health-exporter"

# Not native.yml: it is for those without the exporter.
RULES = ("alerts", "exporter", "recording")

_BEGIN = "  # Generated from the symptoms' causes by `python -m tests.chart.generate`; do not edit below.\n"

Schema = dict[str, Any]


class NotCurrent(Exception):
    """A generated file that is missing, not current, or one too many. The text is one line."""


def write() -> None:
    """Renews all of it."""
    for path, due in _due():
        if due is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(due)


def check() -> None:
    """Raises NotCurrent if something is not as it should be."""
    for path, due in _due():
        present = path.read_text() if path.is_file() else None
        if present != due:
            raise NotCurrent(f"{path.relative_to(ROOT)}: not current; run: python -m tests.chart.generate")


def _due() -> Iterator[tuple[Path, str | None]]:
    """Each file and what it should hold; None where it should not be."""
    for name in RULES:
        yield CHART / f"files/{name}.yml", (ROOT / f"config/rules/{name}.yml").read_text()
    yield from _dashboards()
    yield CHART / "values.schema.json", _schema(json.loads((CHART / "values.schema.json").read_text()))
    yield CHART / "README.md", _readme()
    alertmanager = ROOT / "config/alertmanager.yml"
    yield alertmanager, _alertmanager(alertmanager.read_text())


def _dashboards() -> Iterator[tuple[Path, str | None]]:
    made = {path.name: path.read_text() for path in sorted((ROOT / "grafana").glob("*.json"))}
    packed = CHART / "files/dashboards"
    for name in sorted({*made, *(path.name for path in packed.glob("*.json"))}):
        yield packed / name, made.get(name)


# ---- values.schema.json


def _schema(present: Schema) -> str:
    """The schema with the exporter's own as that of `config`; the rest is kept by hand."""
    config = _readable(Settings.model_json_schema())
    definitions = config.pop("$defs")
    # Told in _config.tpl, with what to do instead.
    config["properties"]["clusters"].pop("minItems", None)
    by_hand = present["properties"]["config"]["description"]
    present["properties"]["config"] = {**config, "description": by_hand}
    present["$defs"] = {**{key: value for key, value in present["$defs"].items() if key[0].islower()}, **definitions}
    return json.dumps(present, indent=2, ensure_ascii=False) + "\n"


def _readable(schema: Any) -> Any:
    """Without what says nothing to a reader of values: titles, defaults, and words that only pydantic knows."""
    if isinstance(schema, list):
        return [_readable(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {
        key: _readable(part) for key, part in schema.items() if key not in ("title", "default", "writeOnly", "format")
    }
    if isinstance(schema.get("properties"), dict):
        kept["properties"] = {name: _readable(part) for name, part in schema["properties"].items()}
    return kept


# ---- README.md


def _readme() -> str:
    # Not its strict mode, which wants every mapping explained and not only what is in it, and fails without a word.
    options = ("--dry-run", "--sort-values-order=file", "--log-level=warning")
    text = run(tool("helm-docs"), "--chart-search-root", str(CHART), *options)
    if "## Values" not in text:
        raise NotCurrent(f"{CHART.name}/README.md: expected helm-docs to make a table of the values")
    return text.rstrip("\n") + "\n"


# ---- alertmanager.yml


def _alertmanager(present: str) -> str:
    by_hand, begin, _ = present.partition(_BEGIN)
    if not begin:
        raise NotCurrent(f"config/alertmanager.yml: expected the line {_BEGIN.strip()}")
    return by_hand + begin + "".join(_inhibition(*rule) for rule in _causes())


def _causes() -> Iterator[tuple[Symptom, list[str], list[str]]]:
    """An effect that has a warning, the names of its causes, and the labels that both must share."""
    by_name = {symptom.name: symptom for symptom in SYMPTOMS}
    for effect in (symptom for symptom in SYMPTOMS if symptom.warning is not None):
        shared: dict[tuple[str, ...], list[str]] = {}
        for cause in (by_name[name] for name in effect.explained_by):
            # A TaskManager's alert does not say whose tasks it runs: it might silence a job on another one.
            if cause.entity in ("cluster", effect.entity):
                labels = [label for label in effect.labels if label in cause.labels]
                shared.setdefault(tuple(labels), []).append(cause.name)
        for equal, names in shared.items():
            yield effect, names, list(equal)


def _inhibition(effect: Symptom, causes: list[str], equal: list[str]) -> str:
    return (
        f'  - source_matchers: [symptom=~"{"|".join(causes)}"]\n'
        f'    target_matchers: [symptom="{effect.name}", severity="warning"]\n'
        f"    equal: [{', '.join(equal)}]\n"
    )


if __name__ == "__main__":
    write()
