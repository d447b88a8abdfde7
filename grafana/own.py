"""Exporter: is it well, and how much does it ask of Flink?"""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard, Threshold

from exporter.signals import cluster, coverage
from grafana import frame
from grafana.bounds import GREEN, ORANGE, RED
from grafana.panels import About, Column, Each, Panel, lines, number, rows
from grafana.queries import Scope

SCOPE = Scope(frame.matchers(frame.CLUSTERS))
_UNSCRAPED = "the exporter is not scraped"
# The process's own metrics have no label that tells whose they are; the exporter's build has the same job and instance.
_BUILD = "flink_exporter_build_info"


def build() -> Dashboard:
    """The dashboard."""
    return frame.build(
        frame.EXPORTER,
        "Is the exporter well: does it read every cluster in time, does every signal succeed, what does it cost?",
        [frame.CLUSTERS],
        {
            "": _summary(),
            "Cycles": _cycles(),
            "Requests to Flink": _requests(),
            "What is published": _published(),
            "Process": _process(),
        },
    )


def _about(title: str, note: str, empty: str = _UNSCRAPED, unit: str = "short") -> About:
    return About(title=title, note=note, unit=unit, empty=empty)


def _rate(name: str, *by: str, **where: str) -> str:
    """How fast one of the exporter's own counters grows."""
    return f"sum by ({', '.join(by)}) (rate({SCOPE.own(name, **where)}[$__rate_interval]))"


def _summary() -> list[Panel]:
    successes = SCOPE.own("flink_exporter_signal_success")
    return [
        number(
            _about("Version", "Which exporter runs."),
            f"max by (version) ({SCOPE.own(_BUILD)})",
            legend="{{version}}",
        ),
        number(
            _about("Configuration", "Whether the last attempt to load the configuration succeeded. The old one stays."),
            f"min({SCOPE.own('flink_exporter_config_last_reload_successful')})",
            words={"1": ("loaded", GREEN), "0": ("refused", RED)},
        ),
        number(
            _about("Loaded", "When the configuration that is in force was loaded.", unit="dateTimeFromNow"),
            f"1000 * max({SCOPE.own('flink_exporter_config_last_reload_success_timestamp_seconds')})",
        ),
        number(
            _about("Failing signals", "Signals that could not be derived in the last cycle of some cluster."),
            f"count({successes} == 0) or 0 * count({successes})",
            colours=[Threshold(None, GREEN), Threshold(1, RED)],
        ),
        number(
            _about(
                "Series dropped", "Series left off the page over the whole time: above the limit, or twice the same."
            ),
            f"sum(increase({SCOPE.own('flink_exporter_series_dropped_total')}[$__range]))",
            colours=[Threshold(None, GREEN), Threshold(1, ORANGE)],
        ),
        number(
            About(
                title="Oldest snapshot",
                families=(cluster.SNAPSHOT,),
                note="How long ago the cluster that was read least lately was read.",
                unit="s",
                empty="no cluster answers, or the exporter is not scraped",
            ),
            f"max(time() - {SCOPE.worst(cluster.SNAPSHOT, 'cluster')})",
        ),
    ]


def _cycles() -> list[Panel]:
    cycle = "flink_exporter_cycle_duration_seconds"
    return [
        lines(
            _about(
                "Duration of a cycle",
                "From the start of a cluster's cycle until its samples were published: the mean, and what 99 in 100 "
                "take at most.",
                empty="no cycle ended within the last minutes, or the exporter is not scraped",
                unit="s",
            ),
            {
                "{{cluster}}, mean": f"{_rate(f'{cycle}_sum', 'cluster')} / {_rate(f'{cycle}_count', 'cluster')}",
                "{{cluster}}, 99 %": f"histogram_quantile(0.99, {_rate(f'{cycle}_bucket', 'cluster', 'le')})",
            },
        ),
        lines(
            About(
                title="Age of what is shown",
                families=(cluster.SNAPSHOT,),
                unit="s",
                note="How long ago each cluster was read; about the interval of its cycles is as it should be.",
                empty="no cluster answers, or the exporter is not scraped",
            ),
            {"{{cluster}}": f"time() - {SCOPE.worst(cluster.SNAPSHOT, 'cluster')}"},
        ),
        Each(SCOPE, ("cluster",), "{{cluster}}").lines(
            "Age of the JobManager's metrics",
            cluster.METRICS_AGE,
            "metrics_stale",
            unit="s",
            empty="no job runs, or no cluster answers",
        ),
        rows(
            _about(
                "Signals that fail",
                "Signals that could not be derived in the last cycle; the exporter's log says why.",
                empty="every signal succeeds, or the exporter is not scraped",
            ),
            [f"max by (cluster, signal) ({SCOPE.own('flink_exporter_signal_success')} == 0)"],
            [
                Column(of="cluster", title="Cluster"),
                Column(of="signal", title="Signal"),
                Column(of="A", hidden=True),
            ],
            width=12,
            height=6,
        ),
        lines(
            About(
                title="How much of each job could be read",
                families=(coverage.JOB_COVERAGE,),
                symptoms=("data_stale",),
                unit="percentunit",
                empty="no job runs, or no cluster answers",
            ),
            {"{{job_name}} ({{cluster}})": SCOPE.worst(coverage.JOB_COVERAGE, "cluster", "job_name", how="min")},
            width=12,
            height=6,
            most=1,
        ),
    ]


def _requests() -> list[Panel]:
    fetches = "flink_exporter_fetches_total"
    buckets = _rate("flink_exporter_fetch_duration_seconds_bucket", "cluster", "source", "le")
    return [
        lines(
            _about("Requests", "Requests to Flink by where they go and how they end.", unit="cps"),
            {"{{source}}: {{outcome}}": _rate(fetches, "source", "outcome")},
        ),
        lines(
            _about(
                "Requests that fail",
                "Requests that were not answered as they should be, by how they end.",
                empty="no request has failed since the exporter started, or the exporter is not scraped",
                unit="cps",
            ),
            {"{{cluster}} {{source}}: {{outcome}}": _rate(fetches, "cluster", "source", "outcome", outcome='!="ok"')},
        ),
        lines(
            _about(
                "Duration of a request",
                "What 95 in 100 requests take at most, whatever their outcome.",
                empty="no request was made within the last minutes, or the exporter is not scraped",
                unit="s",
            ),
            {"{{cluster}} {{source}}": f"histogram_quantile(0.95, {buckets})"},
        ),
    ]


def _published() -> list[Panel]:
    return [
        lines(
            _about("Series", "Series that each cluster has on the page."),
            {"{{cluster}}": f"max by (cluster) ({SCOPE.own('flink_exporter_series')})"},
        ),
        lines(
            _about(
                "Series dropped a second", "Series left off the page: above the limit, twice the same, or not fitting."
            ),
            {"{{cluster}}": _rate("flink_exporter_series_dropped_total", "cluster")},
        ),
        lines(
            _about(
                "Targets",
                "What each cluster is read from, by state: `rest` is the JobManager, `reporter` the native reporters.",
            ),
            {
                "{{cluster}} {{source}}: {{state}}": (
                    f"max by (cluster, source, state) ({SCOPE.own('flink_exporter_targets')})"
                )
            },
        ),
    ]


def _process() -> list[Panel]:
    ours = f"* on (job, instance) group_left (version) {_BUILD}"
    return [
        lines(
            _about("Processor", "Processor time that the exporter uses, in seconds a second.", unit="percentunit"),
            {"{{instance}}": f"rate({SCOPE.own('process_cpu_seconds_total')}[$__rate_interval]) {ours}"},
        ),
        lines(
            _about("Memory", "Memory of the exporter that is resident.", unit="bytes"),
            {"{{instance}}": f"{SCOPE.own('process_resident_memory_bytes')} {ours}"},
        ),
        lines(
            _about(
                "File descriptors",
                "File descriptors that the exporter has open, over those that it may open.",
                unit="percentunit",
            ),
            {"{{instance}}": f"{SCOPE.own('process_open_fds')} / {SCOPE.own('process_max_fds')} {ours}"},
            most=1,
        ),
    ]
