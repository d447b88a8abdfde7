"""Does every query parse, and ask only for metrics that there are, each in the way that suits it?"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from exporter.families import Family, Kind
from exporter.signals import SIGNALS, cluster, lifecycle, restarts
from exporter.symptoms import verdict
from exporter.symptoms.declarations import SYMPTOMS
from grafana import frame
from grafana.build import BOARDS
from grafana.queries import PROCESS, QueryError, Scope, own_metrics, runbook
from tests.grafana.boards import Query, asked, board, queries
from tests.promtool import promtool

FAMILIES: dict[str, Family] = {
    family.name: family for family in (*(family for signal in SIGNALS for family in signal.families), *verdict.FAMILIES)
}
QUERIES = list(queries())
_ANNOTATIONS = [annotation["expr"] for name in BOARDS for annotation in board(name)["annotations"].get("list", [])]
_WORDS = {"and", "or", "unless", "bool", "by", "on", "group_left"}


def counter(name: str) -> bool:
    """Whether a metric only grows."""
    if name in FAMILIES:
        return FAMILIES[name].kind is Kind.COUNTER
    return name.endswith(("_total", "_bucket", "_sum", "_count"))


def named(expr: str) -> set[str]:
    """The metrics that a query names."""
    bare = re.sub(r'"[^"]*"', "", expr)
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|(?:by|on|group_left) \([^)]*\)", " ", bare)
    return set(re.findall(r"\b[a-z_]\w*\b(?!\s*\()", bare)) - _WORDS


def test_every_query_parses(tmp_path: Path) -> None:
    exprs = [*(query.expr for query in QUERIES), *_ANNOTATIONS]
    rules = [{"record": f"query:{number}", "expr": asked(expr)} for number, expr in enumerate(exprs)]
    # JSON is YAML.
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    promtool("check", "rules", tmp_path / "rules.yml")


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.name)
def test_a_query_names_metrics_that_there_are(query: Query) -> None:
    found = named(asked(query.expr))
    assert found
    assert found <= FAMILIES.keys() | own_metrics().keys()


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.name)
def test_only_counters_have_rates_and_counters_nothing_else(query: Query) -> None:
    rated = set(re.findall(r"\b(?:rate|increase)\((\w+)", query.expr))
    assert {name for name in named(asked(query.expr)) if counter(name)} == rated


def test_variables_list_labels_that_there_are() -> None:
    for name in BOARDS:
        for variable in board(name)["templating"]["list"]:
            if variable["type"] == "query":
                metric, label = re.fullmatch(r"label_values\((\w+)(?:\{.*\})?, (\w+)\)", variable["query"]).groups()  # type: ignore[union-attr]
                assert label in FAMILIES[metric].all_labels
                assert variable["multi"] == variable["includeAll"]


def test_every_family_stands_on_some_dashboard() -> None:
    shown = {name for query in QUERIES for name in named(asked(query.expr))}
    missing = FAMILIES.keys() - shown
    # What is left says again what another says: 1 less busy, the share of a subtask's own task, means beside a maximum,
    # tasks that wait beside those that run.
    assert missing == {
        "flink_health_task_headroom_ratio",
        "flink_health_task_coverage_ratio",
        "flink_health_task_busy_mean_ratio",
        "flink_health_task_backpressured_mean_ratio",
        "flink_health_job_checkpoint_failures_recent",
        "flink_health_job_tasks_waiting",
    }


def test_the_exporters_own_metrics_are_there() -> None:
    assert set(PROCESS) <= own_metrics().keys()
    assert own_metrics()["flink_exporter_fetch_duration_seconds_bucket"] == ("cluster", "source", "le")


def test_what_would_mislead_is_refused() -> None:
    scope = Scope(frame.matchers(frame.CLUSTERS, frame.ONE_JOB))
    with pytest.raises(QueryError, match="is a counter"):
        scope.gauge(restarts.TOTAL)
    with pytest.raises(QueryError, match="is no counter"):
        scope.increase(restarts.RECENT)
    with pytest.raises(QueryError, match="has no label 'state'"):
        scope.gauge(cluster.UP, state='="up"')
    with pytest.raises(QueryError, match="has no label 'task_name'"):
        scope.worst(lifecycle.STATE, "task_name")
    with pytest.raises(QueryError, match="is no metric of the exporter's own"):
        scope.own("flink_exporter_fetch_total")


def test_a_scope_narrows_by_the_labels_that_a_family_has() -> None:
    scope = Scope(frame.matchers(frame.CLUSTERS, frame.ONE_JOB))
    assert scope.gauge(cluster.UP) == 'flink_health_cluster_up{cluster=~"$cluster"}'
    assert scope.gauge(lifecycle.UPTIME) == 'flink_health_job_uptime_seconds{cluster=~"$cluster",job_name="$job"}'
    assert runbook("x").count("label_replace") == 1 + max(symptom.name.count("_") for symptom in SYMPTOMS)
