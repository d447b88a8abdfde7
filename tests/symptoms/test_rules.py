"""Are the alert rules what Prometheus loads, do they follow the settings, and do they say what the exporter says?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.config_symptoms import Symptoms
from exporter.rules import GROUPS, alert_rules
from exporter.symptoms import promql
from exporter.symptoms.base import Severity, SymptomError
from exporter.symptoms.declarations import SYMPTOMS
from exporter.symptoms.tuning import tuned
from exporter.symptoms.wording import Value
from tests.promtool import promtool

COMMITTED = Path(__file__).parents[2] / "config" / "rules" / "alerts.yml"
RUNBOOK = "https://wiki.example.com/{name}"


def text(**said: object) -> str:
    return alert_rules(tuned(SYMPTOMS, Symptoms.model_validate(said)), RUNBOOK)


def groups(**said: object) -> dict[str, list[dict[str, Any]]]:
    return {group["name"]: group["rules"] for group in yaml.safe_load(text(**said))["groups"]}


def rule(name: str, severity: Severity = Severity.WARNING, **said: object) -> dict[str, Any]:
    (found,) = (
        each
        for rules in groups(**said).values()
        for each in rules
        if each["labels"] == {"severity": severity.value, "symptom": name}
    )
    return found


# ---- The file


def test_prometheus_takes_the_committed_rules() -> None:
    promtool("check", "rules", COMMITTED)


def test_prometheus_takes_rules_with_other_thresholds(tmp_path: Path) -> None:
    path = tmp_path / "alerts.yml"
    path.write_text(
        text(
            patience=0.01,  # 0.3 s of 30 s: milliseconds
            overrides={"checkpoint_slow": {"warning": {"threshold": -0.000001}, "critical": "off", "calm": "90s"}},
        )
    )
    promtool("check", "rules", path)


def test_prometheus_takes_no_rules_at_all(tmp_path: Path) -> None:
    path = tmp_path / "alerts.yml"
    path.write_text(text(disabled=[symptom.name for symptom in SYMPTOMS]))
    promtool("check", "rules", path)


def test_every_level_has_its_rule_in_the_group_of_its_kind() -> None:
    found = {
        (name, each["labels"]["symptom"], each["labels"]["severity"])
        for name, rules in groups().items()
        for each in rules
    }
    assert found == {
        (GROUPS[symptom.entity], symptom.name, severity.value) for symptom in SYMPTOMS for severity in symptom.levels
    }
    assert list(groups()) == ["flink-health-cluster", "flink-health-jobs", "flink-health-taskmanagers"]


def test_an_expression_is_written_as_it_is_read() -> None:
    assert "\\n" not in text()
    lines = [
        "        expr: |-",
        "          max by (cluster, job_id, job_name) (flink_health_job_checkpoint_duration_ratio) > 3",
        "          and (max by (cluster, job_id, job_name) (flink_health_job_checkpoint_timeout_ratio) > 0.01)",
        "        for: 10m",
    ]
    settings = {"checkpoint_slow": {"warning": {"threshold": 3, "lasting": "10m"}}}
    assert "\n".join(lines) in text(overrides=settings)


def test_the_head_names_the_labels_that_tell_alerts_apart() -> None:
    assert "#       equal: [symptom, cluster, job_id, job_name, tm_id, host]\n" in text()


# ---- One rule


def test_a_rule_whole() -> None:
    summary = 'Checkpoints take {{ $value | printf "%.1f" }} times as long as is normal for this job'
    assert rule("checkpoint_slow", overrides={"checkpoint_slow": {"warning": {"threshold": 3, "lasting": "90s"}}}) == {
        "alert": "FlinkCheckpointSlow",
        "expr": "max by (cluster, job_id, job_name) (flink_health_job_checkpoint_duration_ratio) > 3\n"
        "and (max by (cluster, job_id, job_name) (flink_health_job_checkpoint_timeout_ratio) > 0.01)",
        "for": "1m30s",
        "keep_firing_for": "2m",
        "labels": {"severity": "warning", "symptom": "checkpoint_slow"},
        "annotations": {
            "summary": f"{{{{ $labels.job_name }}}} ({{{{ $labels.cluster }}}}): {summary}",
            "description": next(symptom.action for symptom in SYMPTOMS if symptom.name == "checkpoint_slow"),
            "runbook_url": "https://wiki.example.com/checkpoint-slow",
        },
    }


@pytest.mark.parametrize(
    ("name", "expression"),
    [
        pytest.param("cluster_unreachable", "min by (cluster) (flink_health_cluster_up) < 1", id="too low: the least"),
        pytest.param(
            "throughput_drop",
            "max by (cluster, job_id, job_name) (flink_health_task_throughput_ratio) < 0.5",
            id="every task too low: the greatest",
        ),
        pytest.param(
            "source_stalled",
            'max by (cluster, job_id, job_name) (flink_health_source_lag_status{status="stalled"}) > 0',
            id="one label",
        ),
    ],
)
def test_an_expression(name: str, expression: str) -> None:
    # Said here, so that the test is of the form and not of the number that is declared.
    thresholds = {"cluster_unreachable": 1, "throughput_drop": 0.5, "source_stalled": 0}
    said = {name: {"warning": {"threshold": thresholds[name]}}}
    assert rule(name, overrides=said)["expr"] == expression


def test_a_condition_on_other_labels_and_one_of_several_values() -> None:
    assert rule("job_failed", Severity.CRITICAL)["expr"].splitlines()[1] == (
        "unless on (cluster, job_name) (max by (cluster, job_name) (flink_health_job_state"
        '{state=~"INITIALIZING|CREATED|FAILING|CANCELLING|RESTARTING|RECONCILING|RUNNING"}) > 0)'
    )


def test_what_need_not_last_is_not_said() -> None:
    at_once = {"skew": {"warning": {"lasting": "0s"}, "calm": "0s"}}
    assert not {"for", "keep_firing_for"} & rule("skew", overrides=at_once).keys()


def test_patience_is_that_of_the_rules_too() -> None:
    said = {"skew": {"warning": {"lasting": "10m"}, "calm": "2m"}}
    assert rule("skew", patience=0.1, overrides=said)["for"] == "1m"  # 600 s * 0.1
    assert rule("skew", patience=0.1, overrides=said)["keep_firing_for"] == "12s"  # 120 s * 0.1


# ---- What an alert says


def test_a_format_without_a_template_is_refused() -> None:
    for wrong in (".1%", ",.0f", "d", ""):
        with pytest.raises(SymptomError) as caught:
            promql.annotation(f"about {{value:{wrong}}}")
        assert str(caught.value) == f"no template of Prometheus for {{value:{wrong}}}"


# 56.78 % is 57 %, 28.5 % a little less and so 28 %: to cut off, or to write four digits, would be seen.
VALUES = (0.0, 0.004, 0.014, 0.285, 0.5678, 0.565, 0.575, 0.9951, 0.999, 1.0, 1.25, 2.349, 8.0, 12.3456, 99.99, 1234.5)


def rendered() -> Iterator[tuple[str, float, str]]:
    """Templates, values, and what must be made of them: as Python has it, but for durations."""
    summaries = {symptom.summary for symptom in SYMPTOMS if "{value:duration}" not in symptom.summary}
    for summary in sorted({*summaries, "{value:.1f} and {value:.0%}"}):
        for value in VALUES:
            if "%" not in summary or value < 100:  # four digits of a percentage are all that Prometheus writes
                yield promql.annotation(summary), value, summary.format(value=Value(value))
    for value, expected in ((45.2, "45.2s"), (125.0, "2m 5s"), (7384.0, "2h 3m 4s")):
        yield promql.annotation("for {value:duration}"), value, f"for {expected}"


def test_prometheus_says_what_python_says(tmp_path: Path) -> None:
    rules, tests = [], []
    for number, (template, value, expected) in enumerate(rendered()):
        rules.append({"alert": f"A{number}", "expr": f"vector({value})", "annotations": {"summary": template}})
        alerts = [{"exp_annotations": {"summary": expected}}]
        tests.append({"alertname": f"A{number}", "eval_time": "1m", "exp_alerts": alerts})
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}))
    test = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [{"alert_rule_test": tests}]}
    (tmp_path / "test.yml").write_text(yaml.safe_dump(test))
    promtool("test", "rules", tmp_path / "test.yml")


JOB = {"cluster": "prod", "job_id": "j1", "job_name": "orders {{ 1 }}"}
TASKMANAGER = {"cluster": "prod", "tm_id": "10.0.0.1:6122-a", "host": "worker-1"}


def series(name: str, labels: dict[str, str], value: float) -> dict[str, str]:
    inner = ",".join(f'{label}="{said}"' for label, said in (labels | {"instance": "exporter:9449"}).items())
    return {"series": f"{name}{{{inner}}}", "values": f"{value}x20"}


def fires(alert: str, severity: str, symptom: str, labels: dict[str, str], summary: str) -> dict[str, object]:
    declared = next(each for each in SYMPTOMS if each.name == symptom)
    expected = {
        "exp_labels": {"severity": severity, "symptom": symptom, **labels},
        "exp_annotations": {
            "summary": summary,
            "description": declared.action,
            "runbook_url": f"https://wiki.example.com/{declared.runbook}",
        },
    }
    return {"alertname": alert, "eval_time": "15m", "exp_alerts": [expected]}


def test_an_alert_begins_with_what_it_is_about(tmp_path: Path) -> None:
    said = {
        "metrics_stale": {"warning": {"threshold": 100, "lasting": "2m"}},
        "checkpoint_failing": {"warning": {"threshold": 1, "lasting": "2m"}, "critical": "off"},
        "gc_pressure": {"warning": "off", "critical": {"threshold": 0.4, "lasting": "2m"}},
    }
    (tmp_path / "alerts.yml").write_text(text(overrides=said))
    test = {
        "interval": "1m",
        "input_series": [
            series("flink_health_cluster_rest_metrics_age_seconds", {"cluster": "prod"}, 300),
            series("flink_health_job_checkpoint_consecutive_failures", JOB, 2),
            series("flink_health_taskmanager_gc_time_ratio", TASKMANAGER, 0.5678),
        ],
        "alert_rule_test": [
            fires(
                "FlinkMetricsStale",
                "warning",
                "metrics_stale",
                {"cluster": "prod"},
                "prod: The JobManager's metrics are 5m 0s old: a TaskManager that hangs holds up all of them",
            ),
            fires(
                "FlinkCheckpointFailing",
                "warning",
                "checkpoint_failing",
                JOB,
                "orders {{ 1 }} (prod): Checkpoints fail; one after the other: 2",
            ),
            fires(
                "FlinkGcPressure",
                "critical",
                "gc_pressure",
                TASKMANAGER,
                "TaskManager 10.0.0.1:6122-a (prod): Garbage collection takes 57% of the time",
            ),
        ],
    }
    (tmp_path / "test.yml").write_text(
        yaml.safe_dump({"rule_files": ["alerts.yml"], "evaluation_interval": "1m", "tests": [test]})
    )
    promtool("test", "rules", tmp_path / "test.yml")
