"""Does the fleet's dashboard tell the ill from the well, and both from the unknown? Prometheus itself answers."""

from __future__ import annotations

import json
from pathlib import Path

from tests.grafana.boards import asked, queries
from tests.promtool import promtool

# Series as an exporter would publish them, of a cluster that answers and one that does not.
UP = ['flink_health_cluster_up{cluster="a"} 1', 'flink_health_cluster_up{cluster="b"} 0']
STATE = "flink_health_job_state"
SCORE = "flink_health_job_score_ratio"
SYMPTOM = "flink_health_job_symptom"
DEDUCTION = "flink_health_job_score_deduction_ratio"
HEALTH = {"critical": 3, "warning": 2, "unknown": 1, "well": 0}


def job(name: str, state: str = "RUNNING", score: float | None = 1.0, **symptoms: str) -> list[str]:
    """The series of a job. symptoms: the severity of each."""
    who = f'cluster="a",job_id="{name}",job_name="{name}"'
    found = [f'{STATE}{{{who},state="{state}"}} 1']
    if score is not None:
        found.append(f"{SCORE}{{{who}}} {score}")
    for symptom, severity in symptoms.items():
        found.append(f'{SYMPTOM}{{{who},symptom="{symptom}",severity="{severity}"}} 1')
        found.append(f'{DEDUCTION}{{{who},symptom="{symptom}"}} {0.4 if severity == "critical" else 0.2}')
    return found


JOBS = [
    *job("well"),
    *job("broken", score=0.4, checkpoint_failing="critical", skew="warning"),
    *job("skewed", score=0.8, skew="warning"),
    # Its TaskManager is ill, it has no symptom of its own.
    *job("housed", score=0.85),
    *job("unread", score=None),
    *job("failed", state="FAILED", score=None, job_failed="critical"),
    # Another of its name runs.
    *job("replaced", state="FAILED", score=None),
    *job("done", state="FINISHED", score=None),
]


def answers(tmp_path: Path, series: list[str], panel: str, letter: str, expected: dict[str, float]) -> None:
    """Asserts what a panel's query gives, by the labels of each sample."""
    expr = next(query.expr for query in queries() if (query.panel, query.letter) == (panel, letter))
    test = {
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {"series": name, "values": f"{value}x5"} for name, value in (line.rsplit(" ", 1) for line in series)
                ],
                "promql_expr_test": [
                    {
                        "expr": asked(expr),
                        "eval_time": "5m",
                        "exp_samples": [{"labels": labels, "value": value} for labels, value in expected.items()],
                    }
                ],
            }
        ],
    }
    (tmp_path / "test.yml").write_text(json.dumps(test))
    promtool("test", "rules", tmp_path / "test.yml")


def named(job: str, more: str = "") -> str:
    return f'{{cluster="a", job_id="{job}", job_name="{job}"{more}}}'


def test_the_health_of_each_job(tmp_path: Path) -> None:
    expected = {
        "broken": "critical",
        "failed": "critical",
        "skewed": "warning",
        "housed": "warning",
        "unread": "unknown",
        "well": "well",
    }
    samples = {named(job): float(HEALTH[health]) for job, health in expected.items()}
    answers(tmp_path, UP + JOBS, "Jobs", "A", samples)


def test_the_states_of_the_same_jobs(tmp_path: Path) -> None:
    running = ("broken", "skewed", "housed", "unread", "well")
    samples = {named(job, ', state="RUNNING"'): 1.0 for job in running}
    answers(tmp_path, UP + JOBS, "Jobs", "E", {**samples, named("failed", ', state="FAILED"'): 1.0})


def test_the_worst_symptom_and_its_runbook(tmp_path: Path) -> None:
    samples = {
        named("broken", ', runbook="checkpoint-failing", symptom="checkpoint_failing"'): 0.4,
        named("skewed", ', runbook="skew", symptom="skew"'): 0.2,
        named("failed", ', runbook="job-failed", symptom="job_failed"'): 0.4,
    }
    answers(tmp_path, UP + JOBS, "Jobs", "C", samples)


def test_the_counts(tmp_path: Path) -> None:
    counts = {"Critical jobs": 2, "Jobs with a warning": 2, "Jobs that are well": 1, "Unknown jobs": 1}
    for panel, count in counts.items():
        answers(tmp_path, UP + JOBS, panel, "A", {"{}": count})
    answers(tmp_path, UP + JOBS, "Clusters that do not answer", "A", {"{}": 1})


def test_without_jobs_the_counts_are_zero(tmp_path: Path) -> None:
    for panel in ("Critical jobs", "Jobs with a warning", "Jobs that are well", "Unknown jobs"):
        answers(tmp_path, UP, panel, "A", {"{}": 0})
    answers(tmp_path, UP[:1], "Clusters that do not answer", "A", {"{}": 0})


def test_without_a_cluster_that_answers_nothing_is_zero(tmp_path: Path) -> None:
    for panel in ("Critical jobs", "Jobs with a warning", "Jobs that are well", "Unknown jobs"):
        answers(tmp_path, UP[1:], panel, "A", {})


def test_two_exporters_of_one_cluster_are_one(tmp_path: Path) -> None:
    twice = [line.replace("{", f'{{instance="{number}",') for line in UP + JOBS for number in (1, 2)]
    answers(tmp_path, twice, "Critical jobs", "A", {"{}": 2})
    answers(tmp_path, twice, "Unknown jobs", "A", {"{}": 1})


def test_the_symptoms_of_a_job_may_be_of_all_lengths(tmp_path: Path) -> None:
    series = [*UP, *job("slow", score=0.7, watermark_lag_growing="warning")]
    label = ', runbook="watermark-lag-growing", symptom="watermark_lag_growing"'
    answers(tmp_path, series, "Jobs", "C", {named("slow", label): 0.2})
