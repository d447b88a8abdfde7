"""How does the exporter itself do: how long do its cycles take, what fails, how much does it publish?"""

from __future__ import annotations

import platform
from collections.abc import Mapping

from prometheus_client import (
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from exporter import __version__
from exporter.publish.exposition import Registry

_FETCH_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_CYCLE_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Telemetry:
    """The exporter's own metrics, on a registry of their own. Every method may be called from any thread."""

    def __init__(self) -> None:
        # Nobody reads `_created`, and it doubles the counters. The switch is the whole process's.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = Registry()
        self._build_info = Gauge(
            "flink_exporter_build_info",
            "Always 1; the labels say which exporter runs on which Python.",
            ["version", "python_version"],
            registry=registry,
        )
        self._reload_successful = Gauge(
            "flink_exporter_config_last_reload_successful",
            "Whether the last attempt to load the configuration succeeded.",
            registry=registry,
        )
        self._reload_success_timestamp = Gauge(
            "flink_exporter_config_last_reload_success_timestamp_seconds",
            "When the configuration that is in force was loaded.",
            registry=registry,
        )
        self._cycle_duration = Histogram(
            "flink_exporter_cycle_duration_seconds",
            "Time from the start of a cluster's cycle until its samples were published.",
            ["cluster"],
            buckets=_CYCLE_SECONDS,
            registry=registry,
        )
        self._fetch_duration = Histogram(
            "flink_exporter_fetch_duration_seconds",
            "Time that a request took, whatever its outcome.",
            ["cluster", "source"],
            buckets=_FETCH_SECONDS,
            registry=registry,
        )
        self._fetches = Counter(
            "flink_exporter_fetches_total",
            "Requests by outcome.",
            ["cluster", "source", "outcome"],
            registry=registry,
        )
        self._signal_success = Gauge(
            "flink_exporter_signal_success",
            "Whether the signal was derived in the last cycle without a failure.",
            ["cluster", "signal"],
            registry=registry,
        )
        self._series = Gauge(
            "flink_exporter_series",
            "Series that the cluster has on the page.",
            ["cluster"],
            registry=registry,
        )
        self._series_dropped = Counter(
            "flink_exporter_series_dropped_total",
            "Series left off the page: above the limit, twice the same, or not fitting their family.",
            ["cluster"],
            registry=registry,
        )
        self._targets = Gauge(
            "flink_exporter_targets",
            "Targets that the source has, by state.",
            ["cluster", "source", "state"],
            registry=registry,
        )
        self._of_a_cluster = (
            self._cycle_duration,
            self._fetch_duration,
            self._fetches,
            self._signal_success,
            self._series,
            self._series_dropped,
            self._targets,
        )
        self._states: dict[tuple[str, str], set[str]] = {}
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        self._build_info.labels(__version__, platform.python_version()).set(1)

    def fetched(self, cluster: str, source: str, outcome: str, seconds: float) -> None:
        """A request came to an end. `outcome` is `ok` or the label of an error's class: a bounded set."""
        self._fetches.labels(cluster, source, outcome).inc()
        self._fetch_duration.labels(cluster, source).observe(seconds)

    def cycled(self, cluster: str, seconds: float) -> None:
        """A cluster's cycle came to an end."""
        self._cycle_duration.labels(cluster).observe(seconds)

    def signal(self, cluster: str, name: str, ok: bool) -> None:
        """A signal was derived, or failed to be."""
        self._signal_success.labels(cluster, name).set(ok)

    def published(self, cluster: str, series: int, dropped: int = 0, duplicates: int = 0) -> None:
        """A cluster's section was rendered: how many series it has, and how many rows were left out."""
        self._series.labels(cluster).set(series)
        self._series_dropped.labels(cluster).inc(dropped + duplicates)

    def targets(self, cluster: str, source: str, counts: Mapping[str, int]) -> None:
        """How many targets a source has in each state; states that are not in `counts` vanish."""
        for state, count in counts.items():
            self._targets.labels(cluster, source, state).set(count)
        for state in self._states.get((cluster, source), set()) - counts.keys():
            self._targets.remove(cluster, source, state)
        self._states[cluster, source] = set(counts)

    def reloaded(self, ok: bool, now: float) -> None:
        """The configuration was loaded, or the attempt failed and the old one stays."""
        self._reload_successful.set(ok)
        if ok:
            self._reload_success_timestamp.set(now)

    def forget(self, cluster: str) -> None:
        """Remove every series of a cluster that is no longer watched."""
        for metric in self._of_a_cluster:
            metric.remove_by_labels({"cluster": cluster})
        for key in [key for key in self._states if key[0] == cluster]:
            del self._states[key]
