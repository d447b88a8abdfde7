"""Does the exporter tell the truth about itself, and forget what is gone?"""

from __future__ import annotations

import platform

import pytest
from prometheus_client.metrics_core import Metric

from exporter import __version__
from exporter.telemetry import Telemetry


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


def families(telemetry: Telemetry) -> dict[str, Metric]:
    return {metric.name: metric for metric in telemetry.registry.collect()}


def value(telemetry: Telemetry, name: str, **labels: str) -> float | None:
    """The value of a series, None where there is none."""
    return next(
        (
            sample.value
            for metric in telemetry.registry.collect()
            for sample in metric.samples
            if sample.name == name and sample.labels == labels
        ),
        None,
    )


def everything(telemetry: Telemetry, cluster: str) -> None:
    telemetry.fetched(cluster, "rest", "ok", 0.02)
    telemetry.cycled(cluster, 1.5)
    telemetry.signal(cluster, "heap", True)
    telemetry.published(cluster, series=120, dropped=3, duplicates=2)
    telemetry.targets(cluster, "static", {"up": 2})


def test_the_metrics_are_those_of_the_contract(telemetry: Telemetry) -> None:
    """METRICS.md, last section."""
    everything(telemetry, "prod")
    expected = {
        "flink_exporter_build_info": ("gauge", {"version", "python_version"}),
        "flink_exporter_config_last_reload_successful": ("gauge", set()),
        "flink_exporter_config_last_reload_success_timestamp_seconds": ("gauge", set()),
        "flink_exporter_cycle_duration_seconds": ("histogram", {"cluster"}),
        "flink_exporter_fetch_duration_seconds": ("histogram", {"cluster", "source"}),
        "flink_exporter_fetches": ("counter", {"cluster", "source", "outcome"}),
        "flink_exporter_signal_success": ("gauge", {"cluster", "signal"}),
        "flink_exporter_series": ("gauge", {"cluster"}),
        "flink_exporter_series_dropped": ("counter", {"cluster"}),
        "flink_exporter_targets": ("gauge", {"cluster", "source", "state"}),
    }
    found = {
        name: (metric.type, {label for sample in metric.samples for label in sample.labels} - {"le"})
        for name, metric in families(telemetry).items()
        if name.startswith("flink_exporter_")
    }
    assert found == expected


def test_every_help_is_one_sentence(telemetry: Telemetry) -> None:
    for name, metric in families(telemetry).items():
        if name.startswith("flink_exporter_"):
            assert metric.documentation.endswith(".")
            assert ". " not in metric.documentation


def test_process_and_python_are_there_and_created_series_are_not(telemetry: Telemetry) -> None:
    everything(telemetry, "prod")
    names = {sample.name for metric in telemetry.registry.collect() for sample in metric.samples}
    assert {"process_cpu_seconds_total", "python_info", "python_gc_collections_total"} <= names
    assert [name for name in names if name.endswith("_created")] == []


def test_build_info(telemetry: Telemetry) -> None:
    labels = {"version": __version__, "python_version": platform.python_version()}
    assert value(telemetry, "flink_exporter_build_info", **labels) == 1


def test_fetches_are_counted_by_outcome_and_timed_whatever_it_was(telemetry: Telemetry) -> None:
    telemetry.fetched("prod", "rest", "ok", 0.02)
    telemetry.fetched("prod", "rest", "ok", 0.2)
    telemetry.fetched("prod", "rest", "timeout", 10.5)
    fetches = "flink_exporter_fetches_total"
    assert value(telemetry, fetches, cluster="prod", source="rest", outcome="ok") == 2
    assert value(telemetry, fetches, cluster="prod", source="rest", outcome="timeout") == 1
    bucket = "flink_exporter_fetch_duration_seconds_bucket"
    # 0.02 s | 0.2 s | 10.5 s is beyond the last bucket
    assert value(telemetry, bucket, cluster="prod", source="rest", le="0.025") == 1
    assert value(telemetry, bucket, cluster="prod", source="rest", le="0.25") == 2
    assert value(telemetry, bucket, cluster="prod", source="rest", le="10.0") == 2
    assert value(telemetry, bucket, cluster="prod", source="rest", le="+Inf") == 3


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("flink_exporter_fetch_duration_seconds", "0.005", "10.0"),
        ("flink_exporter_cycle_duration_seconds", "0.05", "60.0"),
    ],
)
def test_buckets(telemetry: Telemetry, name: str, first: str, last: str) -> None:
    everything(telemetry, "prod")
    bounds = [sample.labels["le"] for sample in families(telemetry)[name].samples if "le" in sample.labels]
    assert (bounds[0], bounds[-2:]) == (first, [last, "+Inf"])


def test_a_signal_is_well_again_after_it_failed(telemetry: Telemetry) -> None:
    for ok in (True, False, True):
        telemetry.signal("prod", "heap", ok)
        assert value(telemetry, "flink_exporter_signal_success", cluster="prod", signal="heap") == int(ok)


def test_series_is_the_last_count_and_dropped_the_sum(telemetry: Telemetry) -> None:
    telemetry.published("prod", series=100)
    assert value(telemetry, "flink_exporter_series_dropped_total", cluster="prod") == 0  # there from the start
    telemetry.published("prod", series=90, dropped=7, duplicates=1)
    telemetry.published("prod", series=80, dropped=0, duplicates=2)
    assert value(telemetry, "flink_exporter_series", cluster="prod") == 80
    assert value(telemetry, "flink_exporter_series_dropped_total", cluster="prod") == 10  # 7 + 1 + 2


def test_targets_of_a_state_that_nobody_is_in_vanish(telemetry: Telemetry) -> None:
    name = "flink_exporter_targets"
    telemetry.targets("prod", "dns", {"up": 3, "down": 1})
    telemetry.targets("prod", "static", {"down": 5})
    telemetry.targets("other", "dns", {"down": 7})
    telemetry.targets("prod", "dns", {"up": 4})
    assert value(telemetry, name, cluster="prod", source="dns", state="up") == 4
    assert value(telemetry, name, cluster="prod", source="dns", state="down") is None
    assert value(telemetry, name, cluster="prod", source="static", state="down") == 5
    assert value(telemetry, name, cluster="other", source="dns", state="down") == 7
    telemetry.targets("prod", "dns", {})
    assert value(telemetry, name, cluster="prod", source="dns", state="up") is None


def test_a_failed_reload_keeps_the_time_of_the_last_success(telemetry: Telemetry) -> None:
    telemetry.reloaded(True, now=1000.0)
    telemetry.reloaded(False, now=2000.0)
    assert value(telemetry, "flink_exporter_config_last_reload_successful") == 0
    assert value(telemetry, "flink_exporter_config_last_reload_success_timestamp_seconds") == 1000
    telemetry.reloaded(True, now=3000.0)
    assert value(telemetry, "flink_exporter_config_last_reload_successful") == 1
    assert value(telemetry, "flink_exporter_config_last_reload_success_timestamp_seconds") == 3000


def test_a_forgotten_cluster_leaves_nothing_and_the_others_stay(telemetry: Telemetry) -> None:
    def clusters() -> dict[str, int]:
        names = [
            sample.labels["cluster"]
            for metric in telemetry.registry.collect()
            for sample in metric.samples
            if "cluster" in sample.labels
        ]
        return {name: names.count(name) for name in set(names)}

    everything(telemetry, "prod")
    alone = clusters()
    everything(telemetry, "gone")
    assert set(clusters()) == {"prod", "gone"}
    telemetry.forget("gone")
    telemetry.forget("never heard of")
    assert clusters() == alone


def test_a_cluster_that_comes_back_starts_anew(telemetry: Telemetry) -> None:
    telemetry.targets("prod", "static", {"down": 1})
    telemetry.forget("prod")
    assert telemetry._states == {}
    telemetry.published("prod", series=1, dropped=1)
    assert value(telemetry, "flink_exporter_series_dropped_total", cluster="prod") == 1


def test_two_of_them_do_not_share_anything(telemetry: Telemetry) -> None:
    other = Telemetry()
    telemetry.cycled("prod", 1.0)
    assert value(other, "flink_exporter_cycle_duration_seconds_count", cluster="prod") is None
