"""Has each symptom a page that helps, and does what is written there exist?"""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path

import pytest

from exporter.signals import SIGNALS
from exporter.symptoms.base import Symptom
from exporter.symptoms.declarations import SYMPTOMS
from exporter.symptoms.verdict import FAMILIES as VERDICTS
from tests.docs.runbook import FOLDER, ROOT, SHARED, blocks, pages
from tests.rules.files import FILES, OWN_PAGES, Alert, alerts

SECTIONS = [
    "## What it means",
    "## Confirm",
    "### In Flink's web UI",
    "### With curl",
    "### With diagnose",
    "## Likely causes",
    "## Do first",
    "## Savepoint",
    "## Escalate",
    "## Silence",
]
LONGEST_LINE = 120
DOCUMENTS = [*pages(), ROOT / "docs/flink-config.md", ROOT / "docs/rules.md"]

METRICS = {family.name for family in chain(VERDICTS, *(signal.families for signal in SIGNALS))}
# Those with a page that is no symptom's, by name: a rule for each severity.
OTHERS: dict[str, list[Alert]] = {}
for _alert in (alert for file in OWN_PAGES for alert in alerts(file)):
    OTHERS.setdefault(_alert.name, []).append(_alert)
ALERTS = {symptom.alert for symptom in SYMPTOMS} | {alert.name for file in FILES for alert in alerts(file)}

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
# What a command greps for, `flink_health_job_\(uptime\|state\)`, is the start of several names. After a colon it is a
# part of what a rule records.
_METRIC = re.compile(r"(?<![\w:])flink_health_[a-z0-9_]+[a-z0-9](?![a-z0-9_\\])")
_CHOICES = re.compile(r"\b(flink_health_[a-z_]*)\\\(([a-z_\\|]+)\\\)")
_ALERT = re.compile(r"\bFlink[A-Z][A-Za-z]+\b")
# What `diagnose` says is to be done, and the page that it names behind it.
_ADVICE = re.compile(r"^ +→ ([^→\[]*)\[([a-z-]+)\]$", re.MULTILINE)
_ADVISED = {symptom.runbook: {symptom.action, *symptom.actions.values()} for symptom in SYMPTOMS}


def _prose(text: str) -> str:
    """The text without blocks of code."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def _anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", _prose(page.read_text()), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("symptom", SYMPTOMS, ids=lambda symptom: symptom.name)
def test_symptom_has_its_page(symptom: Symptom) -> None:
    text = (FOLDER / f"{symptom.runbook}.md").read_text()
    assert text.startswith(f"# {symptom.alert}\n")
    assert re.findall(r"^##+ .*$", _prose(text), flags=re.MULTILINE) == SECTIONS
    assert f"; {' and '.join(symptom.levels)}. From which value on" in text.replace("\n", " ")
    assert f"](../symptoms.md#{symptom.name})" in text
    assert f"alertname={symptom.alert} " in text
    assert "flink-health-exporter diagnose" in text
    assert symptom.measure.family.name in _stretched(text)


def _stretched(text: str) -> str:
    """The text, with the names that a grep for several of them looks for each written out."""
    found = [text]
    for start, choices in _CHOICES.findall(text):
        found += [name for choice in choices.split("\\|") for name in METRICS if name.startswith(start + choice)]
    for start in re.findall(r"flink_health_[a-z_]+", text):
        found += [name for name in METRICS if name.startswith(start)]
    return "\n".join(found)


def test_page_has_its_symptom() -> None:
    others = {alert.page for rules in OTHERS.values() for alert in rules}
    assert {page.stem for page in pages()} - set(SHARED) == {symptom.runbook for symptom in SYMPTOMS} | others


@pytest.mark.parametrize("name", OTHERS)
def test_other_alert_has_its_page(name: str) -> None:
    (page,) = {alert.page for alert in OTHERS[name]}
    text = (FOLDER / f"{page}.md").read_text()
    assert text.startswith(f"# {name}\n")
    assert re.findall(r"^##+ .*$", _prose(text), flags=re.MULTILINE) == SECTIONS
    severities = sorted((alert.severity for alert in OTHERS[name]), reverse=True)
    assert f"; {' and '.join(severities)}. From which value on" in text.replace("\n", " ")
    assert re.search(rf"alertname={name}\b", text)
    assert "flink-health-exporter diagnose" in text


def test_index_lists_the_other_alerts() -> None:
    index = (FOLDER / "README.md").read_text()
    rows = re.findall(r"^\| \[(Flink\w+)\]\(([\w-]+)\.md\) \| ([\w, ]+) \| .+ \|$", index, re.MULTILINE)
    expected = [(name, rules[0].page, ", ".join(rule.severity for rule in rules)) for name, rules in OTHERS.items()]
    assert rows == expected


def test_index_lists_each_symptom_with_its_severities() -> None:
    index = (FOLDER / "README.md").read_text()
    rows = re.findall(r"^\| \[`(\w+)`\]\(([\w-]+)\.md\) \| (\w+) \| (\w+) \| ([\w, ]+) \| .+ \|$", index, re.MULTILINE)
    assert rows == [
        (
            symptom.name,
            symptom.runbook,
            symptom.alert,
            "TaskManager" if symptom.entity == "taskmanager" else symptom.entity,
            ", ".join(symptom.levels),
        )
        for symptom in SYMPTOMS
    ]


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.stem)
def test_links_resolve(page: Path) -> None:
    for link in _LINK.findall(_prose(page.read_text())):
        if link.startswith(("http://", "https://")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.is_file(), link
        assert not anchor or anchor in _anchors(target), link


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.stem)
def test_metrics_and_alerts_that_are_named_exist(page: Path) -> None:
    text = page.read_text()
    named = set(_METRIC.findall(text))
    unknown = {name for name in named if name not in METRICS and not _begins_some(name, text)}
    assert not unknown
    assert set(_ALERT.findall(_prose(text))) <= ALERTS


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_what_a_grep_looks_for_exists(page: Path) -> None:
    for start, choices in _CHOICES.findall(page.read_text()):
        for choice in choices.split("\\|"):
            assert any(name.startswith(start + choice) for name in METRICS), start + choice


def _begins_some(name: str, text: str) -> bool:
    """Whether it is what a grep of the page looks for, and is the start of a metric's name."""
    return f"^{name}" in text and any(metric.startswith(name) for metric in METRICS)


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.stem)
def test_lines_fit(page: Path) -> None:
    tables = ("|",)
    long = [line for line in page.read_text().splitlines() if len(line) > LONGEST_LINE and not line.startswith(tables)]
    assert not long


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_commands_have_their_output_and_a_known_mark(page: Path) -> None:
    text = page.read_text()
    found = blocks(page)
    assert found
    assert {block.needs for block in found} <= {"nothing", "alertmanager", "changes"}
    if page.stem != "README":
        assert len(re.findall(r"^```sh\n.*?^```\n```text\n", text, re.MULTILINE | re.DOTALL)) == len(found)
    # What changes a cluster or silences an alert is not run by accident.
    for block in found:
        if "amtool" in block.commands:
            assert block.needs == "alertmanager"
        if re.search(r"-X (POST|PATCH|DELETE)|\bflink (run|stop|cancel|savepoint|checkpoint)\b", block.commands):
            assert block.needs == "changes"


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.stem)
def test_nothing_of_a_machine_is_told(page: Path) -> None:
    assert not re.findall(r"/(?:tmp|root|home|Users)/", page.read_text())


@pytest.mark.parametrize("page", [*pages(), ROOT / "README.md"], ids=lambda page: page.stem)
def test_what_diagnose_was_seen_to_advise_it_still_does(page: Path) -> None:
    for advice, name in _ADVICE.findall(page.read_text()):
        assert " ".join(advice.split()) in _ADVISED[name]


def test_advice_is_found_on_the_pages() -> None:
    assert sum(len(_ADVICE.findall(page.read_text())) for page in pages()) > 10
