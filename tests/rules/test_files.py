"""Does Prometheus take the hand-written rules, do they name only what there is, and has each alert all it needs?"""

from __future__ import annotations

import json
import re
from functools import cache

import pytest
import yaml

from exporter.signals import SIGNALS
from exporter.symptoms import verdict
from exporter.symptoms.declarations import SYMPTOMS
from exporter.telemetry import Telemetry
from tests.promtool import promtool
from tests.rules.files import (
    FILES,
    OWN_PAGES,
    ROOT,
    RUNBOOK,
    Alert,
    alerts,
    groups,
    named,
    path,
    recorded,
    rules,
)

RECORDINGS = ROOT / "tests/flink/recordings"
VERSIONS = ("1.15", "1.17", "1.18", "1.20", "2.0", "2.2", "2.3")
LONGEST_LINE = 120

# What native.yml names that not every version has, and from which on, or until which. It says so at the rule.
NOT_EVERYWHERE = {
    "flink_jobmanager_job_numRestarts": {"1.17", "1.18", "1.20", "2.0", "2.2", "2.3"},
    "flink_jobmanager_job_fullRestarts": {"1.15", "1.17", "1.18", "1.20"},
    "flink_jobmanager_job_allSubTasksRunningOrFinishedTime": {"2.2", "2.3"},
    # Kafka was recorded on one version.
    "flink_taskmanager_job_task_operator_pendingRecords": {"2.3"},
    "flink_taskmanager_job_task_operator_KafkaSourceReader_KafkaConsumer_records_lag_max": {"2.3"},
}

# Of counters these and no others ask, and nothing else may be asked of by them.
_OF_COUNTERS = re.compile(r"\b(?:rate|increase|irate)\(\s*([\w:]+)")

ALERTS = [(file, alert) for file in FILES for alert in alerts(file)]
each_alert = pytest.mark.parametrize(
    ("file", "alert"), ALERTS, ids=[f"{alert.name}-{alert.severity}" for _, alert in ALERTS]
)


@cache
def own() -> set[str]:
    """What the exporter publishes of Flink and of itself."""
    families = {family.name for signal in SIGNALS for family in signal.families}
    telemetry = {
        f"{each.name}_total" if each.type == "counter" else each.name for each in Telemetry().registry.collect()
    }
    return families | {family.name for family in verdict.FAMILIES} | telemetry


@cache
def native(version: str) -> set[str]:
    """What the reporters of a version write: TaskManagers as recorded; the JobManager by the rule that turns what REST
    calls a metric into what the reporter does, which the next test but one holds to."""
    names: set[str] = set()
    for page in RECORDINGS.glob(f"{version}/look-*/taskmanager-*.txt"):
        names |= set(re.findall(r"^# TYPE (\S+)", page.read_text(), re.MULTILINE))
    replies = json.loads((RECORDINGS / version / "look-1/metrics.json").read_text())
    for asked, metrics in replies.items():
        if asked == "/jobmanager/metrics":
            names |= {spelled("jobmanager", metric) for metric in metrics}
        elif re.fullmatch(r"/jobs/\w+/metrics", asked):
            names |= {spelled("jobmanager_job", metric) for metric in metrics}
    if version == "2.3":
        kafka = (RECORDINGS / "kafka-metrics-2.3.txt").read_text()
        names |= set(re.findall(r"^(flink_\w+)", kafka, re.MULTILINE))
    return names


def spelled(scope: str, metric: str) -> str:
    """As the reporter writes a metric of REST."""
    return f"flink_{scope}_{re.sub('[^a-zA-Z0-9_:]', '_', metric)}"


# ---- The files


@pytest.mark.parametrize("file", FILES)
def test_prometheus_takes_it(file: str) -> None:
    promtool("check", "rules", path(file))


@pytest.mark.parametrize("file", FILES)
def test_lines_fit(file: str) -> None:
    # Annotations are one line each, as in alerts.yml.
    texts = re.compile(r"\s+(summary|description|runbook_url): ")
    assert not [
        line for line in path(file).read_text().splitlines() if len(line) > LONGEST_LINE and not texts.match(line)
    ]


def test_no_group_and_no_recording_is_there_twice() -> None:
    names = [group["name"] for file in (*FILES, "alerts") for group in groups(file)]
    records = [record for file in FILES for record in recorded(file)]
    assert len(names) == len(set(names))
    assert len(records) == len(set(records))


def test_prometheus_loads_those_that_go_together() -> None:
    loaded = yaml.safe_load((ROOT / "config/prometheus.yml").read_text())["rule_files"]
    # native.yml is for those without the exporter: its alerts have the names of alerts.yml.
    assert loaded == ["rules/alerts.yml", "rules/exporter.yml", "rules/recording.yml"]


@pytest.mark.parametrize("file", FILES)
def test_a_group_is_evaluated_before_its_records_are_too_old_to_be_seen(file: str) -> None:
    intervals = {group.get("interval", "1m") for group in groups(file)}
    assert intervals <= {"1m", "2m"}  # Prometheus looks back 5 minutes


# ---- Names


@pytest.mark.parametrize("file", FILES)
def test_expressions_name_what_there_is(file: str) -> None:
    known = set(recorded(file))
    known |= set().union(*map(native, VERSIONS)) if file == "native" else own() | {"up"}
    for rule in rules(file):
        asked = named(rule["expr"])
        assert asked.metrics | asked.patterns or rule["expr"] == "vector(0.999)"
        assert asked.metrics <= known, rule
        for pattern in asked.patterns:
            for version in VERSIONS:
                assert any(re.fullmatch(pattern, name) for name in native(version))


@pytest.mark.parametrize("file", FILES)
def test_what_is_recorded_has_a_name_by_the_convention(file: str) -> None:
    for record in recorded(file):
        assert re.fullmatch(r"(slo|job|task|taskmanager|cluster):flink_[a-zA-Z_]+:[a-z0-9_]+", record)


def test_native_names_are_there_from_the_version_on_that_is_said() -> None:
    asked = set().union(*(named(rule["expr"]).metrics for rule in rules("native"))) - set(recorded("native"))
    found = {name: {version for version in VERSIONS if name in native(version)} for name in asked}
    assert {name: versions for name, versions in found.items() if versions != set(VERSIONS)} == NOT_EVERYWHERE


@pytest.mark.parametrize("version", VERSIONS)
def test_the_reporter_spells_what_rest_says(version: str) -> None:
    """Held to where both were recorded: what REST says of a TaskManager and of its tasks."""
    replies = json.loads((RECORDINGS / version / "look-1/metrics.json").read_text())
    metrics = {metric for asked, said in replies.items() if asked.startswith("/taskmanagers/") for metric in said}
    assert len(metrics) > 20
    assert {spelled("taskmanager", metric) for metric in metrics} - native(version) == set()


def test_only_counters_have_rates_and_counters_nothing_else() -> None:
    for file in FILES:
        for rule in rules(file):
            rated = set(_OF_COUNTERS.findall(rule["expr"]))
            assert rated == {name for name in named(rule["expr"]).metrics if name.endswith("_total")}


def test_no_sentinel_is_compared_or_aggregated() -> None:
    """Each of them comes with what keeps the sentinel out, wherever it is named."""
    kept_out = {
        "Watermark": r" > -9\.2e18 < 9\.2e18",
        "lastCheckpointDuration": r" >= 0",
        "Memory_(?:Heap|Metaspace)_Max": r" > 0",
        "pendingRecords|records_lag_max": r" >= 0",
        "numRecords(?:In|Out)PerSecond": r" >= 0",
    }
    for sentinel, condition in kept_out.items():
        found = [rule["expr"] for rule in rules("native") if re.search(sentinel, rule["expr"])]
        assert found
        for expr in found:
            assert not re.search(rf"(?:{sentinel})\b(?!{condition})", expr), expr


# ---- What an alert needs


@each_alert
def test_alert_has_what_it_needs(file: str, alert: Alert) -> None:
    assert alert.name.startswith("Flink")
    assert alert.severity in ("warning", "critical")
    # What holds for a moment is no news. Of restarts and stalled watermarks the window is in the number itself.
    assert alert.lasting or (file == "native" and alert.severity == "warning")
    assert set(alert.annotations) == {"summary", "description", "runbook_url"}
    assert alert.annotations["runbook_url"] == f"{RUNBOOK}{alert.page}.md"
    assert (ROOT / f"docs/runbook/{alert.page}.md").is_file()


@each_alert
def test_alert_is_one_for_each_job_and_none_for_each_subtask(file: str, alert: Alert) -> None:
    assert not re.search(r"\bby \([^)]*(subtask|attempt)", alert.expr)
    labels = set(re.findall(r"\$labels\.(\w+)", alert.annotations["summary"]))
    assert labels <= {"cluster", "job_name", "tm_id", "instance", "signal", "source"}
    assert labels or alert.name == "FlinkExporterAbsent"


@pytest.mark.parametrize("alert", alerts("native"), ids=lambda alert: f"{alert.name}-{alert.severity}")
def test_a_native_alert_is_that_of_the_symptom(alert: Alert) -> None:
    """So routes, silences, inhibitions and the runbook fit both."""
    symptom = {symptom.name: symptom for symptom in SYMPTOMS}[alert.labels["symptom"]]
    assert alert.page == symptom.runbook
    # Why a job is gone the metrics do not say: it may not be called failed.
    assert alert.name == ("FlinkJobGone" if symptom.name == "job_failed" else symptom.alert)


@pytest.mark.parametrize("file", OWN_PAGES)
def test_other_alerts_have_names_of_their_own(file: str) -> None:
    assert not {alert.name for alert in alerts(file)} & {symptom.alert for symptom in SYMPTOMS}


def test_docs_list_every_alert() -> None:
    text = (ROOT / "docs/rules.md").read_text()
    told = set(re.findall(r"`(Flink\w+)`", text))
    expected = {alert.name for file in OWN_PAGES for alert in alerts(file)} | {"FlinkJobGone"}
    assert told == expected


def test_a_metric_that_is_not_there_would_be_found() -> None:
    expr = 'sum by (a) (rate(x_total{b="c(d)"}[5m])) / on (a) job:y:z offset 1d > 0 and scalar(slo:w:v)'
    assert named(expr).metrics == {"x_total", "job:y:z", "slo:w:v"}
    assert named('{__name__=~"a_.+"}').patterns == {"a_.+"}
