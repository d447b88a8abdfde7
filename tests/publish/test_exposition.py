"""Does the page say what the rows say, in both formats, whatever is in them?"""

from __future__ import annotations

import gzip
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator

import pytest
from prometheus_client import Gauge, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.registry import Collector, CollectorRegistry

from exporter.families import Family, Kind, Row
from exporter.publish import exposition
from exporter.publish.exposition import Format, Registry, Section, Variant, page, render
from exporter.telemetry import Telemetry
from tests.promtool import check_metrics

UPTIME = Family("flink_health_job_uptime_seconds", "Since the job last became RUNNING.", "now - RUNNING")
FAILURES = Family(
    "flink_health_job_failures_total", "Root failures.", "counted", labels=("scenario",), kind=Kind.COUNTER
)
INFO = Family("flink_health_cluster_info", "Which Flink.", "from /config", labels=("flink_version",), kind=Kind.INFO)
UP = Family("flink_health_cluster_up", "Whether REST answered.", "1 when it did")
FREE = Family("flink_health_cluster_slots_free", "Slots free.", "as registered")

TEXT = Variant(Format.TEXT, gzip=False)
OPENMETRICS = Variant(Format.OPENMETRICS, gzip=False)
PARSE: dict[Variant, Callable[[str], Iterable[Metric]]] = {TEXT: parse_text, OPENMETRICS: parse_openmetrics}

LABEL_VALUES = [
    pytest.param("orders", id="a plain word"),
    pytest.param("", id="nothing"),
    pytest.param("a\\b", id="a backslash"),
    pytest.param("a\\", id="a backslash at the end"),
    pytest.param("a\\nb", id="a backslash before an n is no newline"),
    pytest.param('say "x"', id="quotes"),
    pytest.param('"', id="a quote alone"),
    pytest.param("a\nb", id="a newline"),
    pytest.param("\n", id="a newline alone"),
    pytest.param('\\"\n', id="all three in a row"),
    pytest.param("a\rb\tc", id="carriage return and tab"),
    pytest.param("a\x0bb\x0cc\x1cd\x85e\u2028f", id="what str.splitlines would split at"),
    pytest.param("}", id="a closing brace"),
    pytest.param('{a="b"} 1.0', id="what looks like a line"),
    pytest.param("a,b=c", id="comma and equals"),
    pytest.param("# EOF", id="what looks like the end"),
    pytest.param("x0.0", id="what looks like the name and value that label blocks are cut from"),
    pytest.param("  spaces  ", id="spaces around"),
    pytest.param("größe Ω 作业 🦀", id="unicode"),
    pytest.param("e\u0301", id="combining characters stay as they are"),
    pytest.param("%s {0} $x", id="format strings"),
]

VALUES = [
    pytest.param(0.0, "0.0", id="zero"),
    pytest.param(-0.0, "-0.0", id="minus zero"),
    pytest.param(1.0, "1.0", id="one"),
    pytest.param(-17.5, "-17.5", id="negative"),
    pytest.param(0.1 + 0.2, "0.30000000000000004", id="17 digits"),
    pytest.param(999999.0, "999999.0", id="below a million"),
    pytest.param(1e6, "1e+06", id="a million: Go writes an exponent"),
    pytest.param(1234567.0, "1.234567e+06", id="above a million"),
    pytest.param(1700000000.125, "1.700000000125e+09", id="a timestamp"),
    pytest.param(float(2**53), "9.007199254740992e+15", id="a large whole number"),
    pytest.param(1e22, "1e+22", id="1e22"),
    pytest.param(1.5e-7, "1.5e-07", id="very small"),
    pytest.param(5e-324, "5e-324", id="the smallest"),
    pytest.param(1.7976931348623157e308, "1.7976931348623157e+308", id="the greatest"),
    pytest.param(math.inf, "+Inf", id="infinity, though no family allows it"),
    pytest.param(-math.inf, "-Inf", id="minus infinity, likewise"),
    pytest.param(math.nan, "NaN", id="not a number, likewise"),
]


def nothing() -> Registry:
    return Registry()


def written(rows: Iterable[Row], variant: Variant) -> str:
    return page([render(rows)], nothing()).body(variant).decode()


def read(text: str, variant: Variant) -> list[tuple[str, str, dict[str, str], float]]:
    """(family, sample, labels, value) of each line, by the client's own parser."""
    return [
        (metric.name, sample.name, sample.labels, sample.value)
        for metric in PARSE[variant](text)
        for sample in metric.samples
    ]


class Registered(CollectorRegistry):
    """Rows in the plain client: what our bytes are held against."""

    def __init__(self, rows: Iterable[Row]) -> None:
        super().__init__()
        self.metrics: dict[str, Metric] = {}
        for family, labels, value in rows:
            metric = self.metrics.setdefault(family.name, self.empty(family))
            if isinstance(metric, InfoMetricFamily):
                metric.add_metric((), dict(zip(family.all_labels, labels, strict=True)))
            else:
                metric.add_metric(labels, value)  # type: ignore[attr-defined]

    @staticmethod
    def empty(family: Family) -> Metric:
        if family.kind is Kind.INFO:
            return InfoMetricFamily(family.name.removesuffix("_info"), family.help, labels=())
        kind = CounterMetricFamily if family.kind is Kind.COUNTER else GaugeMetricFamily
        return kind(family.name, family.help, labels=family.all_labels)

    def collect(self) -> Iterator[Metric]:
        yield from self.metrics.values()


def rows_with(label: str, value: float = 1.0) -> list[Row]:
    """A row of every kind."""
    return [
        Row(UPTIME, ("prod", "a" * 32, label), value),
        Row(FAILURES, ("prod", "a" * 32, label, "storage"), abs(value)),
        Row(INFO, (label, "2.1.0"), 1.0),
    ]


@pytest.mark.parametrize("label", LABEL_VALUES)
def test_a_label_value_is_written_as_the_client_writes_it(label: str) -> None:
    rows = rows_with(label)
    assert written(rows, TEXT).encode() == generate_latest(Registered(rows))
    assert written(rows, OPENMETRICS).encode() == generate_openmetrics(Registered(rows))  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(("value", "text"), VALUES)
def test_a_value_is_written_as_the_client_writes_it(value: float, text: str) -> None:
    rows = rows_with("orders", value)
    assert written(rows, TEXT).encode() == generate_latest(Registered(rows))
    assert written(rows, OPENMETRICS).encode() == generate_openmetrics(Registered(rows))  # type: ignore[no-untyped-call]
    assert f'job_name="orders"}} {text}\n' in written(rows, TEXT)


@pytest.mark.parametrize("label", LABEL_VALUES)
@pytest.mark.parametrize("variant", [TEXT, OPENMETRICS], ids=["text", "OpenMetrics"])
def test_what_is_read_back_is_what_was_published(label: str, variant: Variant) -> None:
    job = {"cluster": "prod", "job_id": "a" * 32, "job_name": label}
    # The text parser, too, takes the suffix off a counter; to it an info is a gauge.
    counter = FAILURES.name.removesuffix("_total")
    info = INFO.name.removesuffix("_info") if variant is OPENMETRICS else INFO.name
    assert read(written(rows_with(label), variant), variant) == [
        (UPTIME.name, UPTIME.name, job, 1.0),
        (counter, FAILURES.name, {**job, "scenario": "storage"}, 1.0),
        (info, INFO.name, {"cluster": label, "flink_version": "2.1.0"}, 1.0),
    ]


def test_the_text_page_in_full() -> None:
    assert written(rows_with("orders", 12.5), TEXT) == (
        "# HELP flink_health_job_uptime_seconds Since the job last became RUNNING.\n"
        "# TYPE flink_health_job_uptime_seconds gauge\n"
        f'flink_health_job_uptime_seconds{{cluster="prod",job_id="{"a" * 32}",job_name="orders"}} 12.5\n'
        "# HELP flink_health_job_failures_total Root failures.\n"
        "# TYPE flink_health_job_failures_total counter\n"
        f'flink_health_job_failures_total{{cluster="prod",job_id="{"a" * 32}",job_name="orders",'
        'scenario="storage"} 12.5\n'
        "# HELP flink_health_cluster_info Which Flink.\n"
        "# TYPE flink_health_cluster_info gauge\n"
        'flink_health_cluster_info{cluster="orders",flink_version="2.1.0"} 1.0\n'
    )


def test_openmetrics_names_families_by_its_own_rules_and_ends_once() -> None:
    text = written(rows_with("orders"), OPENMETRICS)
    assert [line for line in text.splitlines() if line.startswith("# TYPE")] == [
        "# TYPE flink_health_job_uptime_seconds gauge",
        "# TYPE flink_health_job_failures counter",
        "# TYPE flink_health_cluster info",
    ]
    assert text.count("# EOF\n") == 1
    assert text.endswith("\n# EOF\n")


def test_rows_keep_their_order_inside_a_family_although_families_are_gathered() -> None:
    rows = [
        Row(UP, ("b",), 1.0),
        Row(FREE, ("b",), 3.0),
        Row(UP, ("a",), 0.0),
    ]
    assert [(name, labels["cluster"]) for _, name, labels, _ in read(written(rows, TEXT), TEXT)] == [
        (UP.name, "b"),
        (UP.name, "a"),
        (FREE.name, "b"),
    ]


def test_the_same_values_under_other_label_names_are_not_confused() -> None:
    state = Family("flink_health_cluster_state", "State.", "1", labels=("state",))
    rows = [Row(state, ("prod", "up"), 1.0), Row(INFO, ("prod", "up"), 1.0)]
    assert [labels for _, _, labels, _ in read(written(rows, TEXT), TEXT)] == [
        {"cluster": "prod", "state": "up"},
        {"cluster": "prod", "flink_version": "up"},
    ]


class TestJoin:
    """Many clusters, one page."""

    def test_a_family_stands_together_under_one_header(self) -> None:
        one = render([Row(UP, ("one",), 1.0), Row(FREE, ("one",), 4.0)])
        two = render([Row(FREE, ("two",), 5.0), Row(UP, ("two",), 0.0)])
        for variant in (TEXT, OPENMETRICS):
            text = page([one, two], nothing()).body(variant).decode()
            assert [(name, labels["cluster"], value) for _, name, labels, value in read(text, variant)] == [
                (UP.name, "one", 1.0),
                (UP.name, "two", 0.0),
                (FREE.name, "one", 4.0),
                (FREE.name, "two", 5.0),
            ]
            assert text.count("# TYPE ") == text.count("# HELP ") == 2

    def test_families_stand_in_the_order_that_is_given_and_others_after_them(self) -> None:
        section = render([Row(INFO, ("one", "2.1"), 1.0), Row(UP, ("one",), 1.0), Row(FREE, ("one",), 4.0)])
        text = page([section], nothing(), order=[UPTIME, FREE, UP]).body(TEXT).decode()
        assert [name for _, name, _, _ in read(text, TEXT)] == [FREE.name, UP.name, INFO.name]
        assert UPTIME.name not in text  # no rows, no header

    def test_a_page_of_nothing(self) -> None:
        assert page([], nothing()).body(TEXT) == b""
        assert page([Section(), render([])], nothing()).body(OPENMETRICS) == b"# EOF\n"

    def test_the_exporters_own_stand_last(self) -> None:
        own = nothing()
        Gauge("flink_exporter_series", "Series.", registry=own).set(3)
        text = page([render([Row(UP, ("one",), 1.0)])], own).body(OPENMETRICS).decode()
        assert text.endswith(
            "# HELP flink_exporter_series Series.\n# TYPE flink_exporter_series gauge\n"
            "flink_exporter_series 3.0\n# EOF\n"
        )


class TestBadRows:
    """A bad row costs itself."""

    def test_of_two_rows_of_one_series_the_first_is_kept_and_the_second_counted(self) -> None:
        section = render([Row(UP, ("one",), 1.0), Row(UP, ("two",), 1.0), Row(UP, ("one",), 0.0)])
        assert (section.series, section.duplicates, section.mismatched) == (2, 1, 0)
        assert section.lines[UP] == (
            b'flink_health_cluster_up{cluster="one"} 1.0\nflink_health_cluster_up{cluster="two"} 1.0\n'
        )

    @pytest.mark.parametrize(
        "labels",
        [
            pytest.param(("one",), id="one too few: its own label is missing"),
            pytest.param(("one", "2.1", "x"), id="one too many"),
            pytest.param((), id="none"),
        ],
    )
    def test_a_row_with_the_wrong_number_of_labels_is_left_out_and_counted(self, labels: tuple[str, ...]) -> None:
        section = render([Row(INFO, labels, 1.0), Row(INFO, ("two", "2.1"), 1.0)])
        assert (section.series, section.duplicates, section.mismatched) == (1, 0, 1)
        assert section.lines[INFO] == b'flink_health_cluster_info{cluster="two",flink_version="2.1"} 1.0\n'

    def test_a_family_with_bad_rows_only_has_no_header(self) -> None:
        assert written([Row(INFO, (), 1.0)], TEXT) == ""

    def test_half_a_surrogate_pair_is_replaced_and_costs_nobody_else(self) -> None:
        section = render([Row(UP, ("bad\ud800name",), 1.0), Row(UP, ("größe",), 1.0)])
        assert section.lines[UP].decode() == (
            'flink_health_cluster_up{cluster="bad?name"} 1.0\nflink_health_cluster_up{cluster="größe"} 1.0\n'
        )

    def test_names_that_replacement_makes_the_same_are_one_series(self) -> None:
        section = render([Row(UP, ("bad\ud800",), 1.0), Row(UP, ("bad\ud801",), 0.0)])
        assert (section.series, section.duplicates) == (1, 1)

    def test_it_is_logged_once_although_every_cycle_has_it(self, caplog: pytest.LogCaptureFixture) -> None:
        exposition._complain.cache_clear()
        for _ in range(3):
            render([Row(UP, ("one",), 1.0), Row(UP, ("one",), 1.0), Row(INFO, (), 1.0)])
        assert [record.getMessage() for record in caplog.records] == [
            "flink_health_cluster_up: two rows have the same labels; the first is kept",
            "flink_health_cluster_info: a row has 0 values for 2 labels",
        ]


class Broken(Collector):
    """Fails when it is read."""

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("flink_exporter_half", "Half.", value=1)
        raise OSError("no /proc here")


class Unrenderable(Collector):
    """Can be read, not written."""

    def collect(self) -> Iterator[Metric]:
        metric = GaugeMetricFamily("flink_exporter_odd", "Odd.")
        metric.add_metric([], "many")  # type: ignore[arg-type]  # what a careless collector does
        yield metric


class TestBrokenOwn:
    """A failing collector of the exporter's own costs itself."""

    @pytest.mark.parametrize("variant", [TEXT, OPENMETRICS], ids=["text", "OpenMetrics"])
    @pytest.mark.parametrize("broken", [Broken(), Unrenderable()], ids=["reading fails", "writing fails"])
    def test_the_page_and_the_other_collectors_stay(
        self, broken: Collector, variant: Variant, caplog: pytest.LogCaptureFixture
    ) -> None:
        exposition._complain.cache_clear()
        own = nothing()
        Gauge("flink_exporter_before", "Before.", registry=own)
        own.register(broken)
        Gauge("flink_exporter_after", "After.", registry=own)
        for _ in range(2):
            text = page([render([Row(UP, ("one",), 1.0)])], own).body(variant).decode()
            assert [name for _, name, _, _ in read(text, variant)] == [
                UP.name,
                "flink_exporter_before",
                "flink_exporter_after",
            ]
        assert len(caplog.records) == 1
        assert caplog.records[0].exc_info is not None

    def test_a_registry_of_the_client_that_fails_costs_what_comes_after_the_failure(self) -> None:
        own = CollectorRegistry()
        Gauge("flink_exporter_before", "Before.", registry=own)
        own.register(Broken())
        text = page([render([Row(UP, ("one",), 1.0)])], own).body(TEXT).decode()
        assert f"{UP.name}{{" in text
        assert "\nflink_exporter_before 0.0\n" in text

    def test_what_is_unregistered_is_gone(self) -> None:
        own = nothing()
        gauge = Gauge("flink_exporter_before", "Before.", registry=own)
        own.unregister(gauge)
        assert page([], own).body(TEXT) == b""


class Counted(Collector):
    """Knows how often it was read."""

    def __init__(self) -> None:
        self.reads = 0

    def collect(self) -> Iterator[Metric]:
        self.reads += 1
        time.sleep(0.01)  # long enough for another scraper to come meanwhile
        yield GaugeMetricFamily("flink_exporter_reads", "Reads.", value=self.reads)


class TestVariants:
    """Each variant is made once, when it is first asked for."""

    def test_nothing_is_made_before_it_is_asked_for(self) -> None:
        whole = page([render([Row(UP, ("one",), 1.0)])], nothing())
        assert whole.made(TEXT) is None
        body = whole.body(TEXT)
        assert whole.made(TEXT) is body
        assert whole.body(TEXT) is body
        assert whole.made(OPENMETRICS) is None

    @pytest.mark.parametrize("shape", list(Format))
    def test_gzip_is_the_same_page(self, shape: Format) -> None:
        whole = page([render([Row(UP, ("one",), 1.0)])], Telemetry().registry)
        assert gzip.decompress(whole.body(Variant(shape, True))) == whole.body(Variant(shape, False))

    def test_the_same_page_has_the_same_bytes(self) -> None:
        first, second = (page([render([Row(UP, ("one",), 1.0)])], nothing()) for _ in range(2))
        assert first.body(Variant(Format.TEXT, True)) == second.body(Variant(Format.TEXT, True))

    def test_all_variants_show_the_own_metrics_of_one_moment(self) -> None:
        own = Counted()
        whole = page([], own)
        for variant in (TEXT, OPENMETRICS, Variant(Format.TEXT, True)):
            whole.body(variant)
        assert own.reads == 1

    def test_scrapers_that_come_at_once_wait_for_one_making(self) -> None:
        own = Counted()
        whole = page([render([Row(UP, (str(n),), 1.0) for n in range(1000)])], own)
        bodies: list[bytes] = []
        start = threading.Barrier(8)

        def scrape() -> None:
            start.wait()
            bodies.append(whole.body(TEXT))

        scrapers = [threading.Thread(target=scrape) for _ in range(8)]
        for scraper in scrapers:
            scraper.start()
        for scraper in scrapers:
            scraper.join()
        assert own.reads == 1
        assert len(bodies) == 8
        assert all(body is bodies[0] for body in bodies)


def test_promtool_has_nothing_to_say_of_a_full_page() -> None:
    telemetry = Telemetry()
    telemetry.fetched("prod", "rest", "ok", 0.02)
    telemetry.cycled("prod", 1.0)
    telemetry.signal("prod", "heap", True)
    telemetry.published("prod", series=3, dropped=1, duplicates=1)
    telemetry.targets("prod", "static", {"up": 1})
    telemetry.reloaded(True, 1.7e9)
    rows = [row for label in ("orders", 'a"b\\c\nd', "作业") for row in rows_with(label)]
    check_metrics(page([render(rows)], telemetry.registry).body(TEXT))
