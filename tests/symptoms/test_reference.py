"""Does docs/symptoms.md lead somewhere, add up, and say a declaration in words that a reader can check?"""

from __future__ import annotations

import re
from pathlib import Path

from exporter.reference_symptoms import symptoms_md
from exporter.symptoms.declarations import SYMPTOMS

DOCS = Path(__file__).parents[2] / "docs"
TEXT = symptoms_md(SYMPTOMS)


def headings(text: str) -> set[str]:
    return set(re.findall(r"(?m)^### `(\w+)`$", text))


def section(name: str) -> str:
    return TEXT.partition(f"### `{name}`\n\n")[2].partition("\n### ")[0]


def test_every_symptom_has_a_row_and_a_section() -> None:
    names = [symptom.name for symptom in SYMPTOMS]
    assert re.findall(r"(?m)^\| \[`(\w+)`\]\(#\1\) \|", TEXT) == names
    assert headings(TEXT) == set(names)


def test_every_link_leads_to_a_heading() -> None:
    assert set(re.findall(r"\]\(#(\w+)\)", TEXT)) <= headings(TEXT)
    assert set(re.findall(r"\]\(metrics\.md#(\w+)\)", TEXT)) <= headings((DOCS / "metrics.md").read_text())


def test_the_example_adds_up() -> None:
    sums = re.findall(r": 1((?: − [0-9.]+ \(`\w+`\))+) = \*\*([0-9.]+)\*\*", TEXT)
    assert len(sums) == 2
    for parts, left in sums:
        assert round(1 - sum(map(float, re.findall(r"− ([0-9.]+)", parts))), 9) == float(left)
    assert sums[-1][1] == "0"  # the one that shows what is cut off


def test_what_a_section_says() -> None:
    said = section("slots_exhausted")
    metric = "[`flink_health_{0}`](metrics.md#flink_health_{0})".format
    assert "No slot is free, and tasks wait for one.\n" in said
    assert f"- compared: {metric('cluster_slots_free')}; warning < 1" in said
    assert f"- only while {metric('job_tasks_waiting')} of any job > 0\n" in said
    assert "- may be caused by: [`taskmanager_lost`](#taskmanager_lost)\n" in said
    assert "- alert: `FlinkSlotsExhausted`, [runbook](runbook/slots-exhausted.md)\n" in said
    said = section("watermark_stalled")
    assert f"- not while {metric('task_records_out_per_second')} of every task < 0.1\n" in said
    assert "Event time has stood still for *n*: windows do not close.\n" in said
    assert " s for " in said  # seconds have their unit
    assert " > 5 MiB\n" in section("state_growing")
    assert "- only while" not in section("skew")
    assert "by `cluster`, `job_name`\n" in section("job_failed")
    assert "{" not in re.sub(r"`\{.*?\}`", "", TEXT)  # no placeholder is left
