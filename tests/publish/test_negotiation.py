"""Does a client get what it asked for, and something it can read where it asked for nonsense?"""

from __future__ import annotations

import pytest

from exporter.publish.exposition import Format
from exporter.publish.negotiation import negotiate

TEXT, OPENMETRICS = Format.TEXT, Format.OPENMETRICS

# As the scrapers send them; where a version is named, it is the first that does.
PROMETHEUS_2_5 = "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
PROMETHEUS_2_40 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_2_40_PROTOBUF = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,"
    "application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_2_49 = (
    "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROMETHEUS_3_TEXT = "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        pytest.param(PROMETHEUS_2_5, TEXT, id="Prometheus 2.5 knows a draft of OpenMetrics that we do not write"),
        pytest.param(PROMETHEUS_2_40, OPENMETRICS, id="Prometheus 2.40"),
        pytest.param(PROMETHEUS_2_40_PROTOBUF, OPENMETRICS, id="Prometheus 2.40 with native histograms"),
        pytest.param(PROMETHEUS_2_49, OPENMETRICS, id="Prometheus 2.49"),
        pytest.param(PROMETHEUS_3, OPENMETRICS, id="Prometheus 3"),
        pytest.param(PROMETHEUS_3_TEXT, TEXT, id="Prometheus 3 told to scrape text"),
        pytest.param(
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1",
            OPENMETRICS,
            id="the greater quality wins",
        ),
        pytest.param(
            "application/openmetrics-text;version=1.0.0;q=0.2,text/plain;version=0.0.4;q=0.3",
            TEXT,
            id="also when it is the text format's",
        ),
        pytest.param(None, TEXT, id="no header"),
        pytest.param("", TEXT, id="an empty header"),
        pytest.param("*/*", TEXT, id="curl takes anything"),
        pytest.param(BROWSER, TEXT, id="a browser"),
        pytest.param("text/*", TEXT, id="any text"),
        pytest.param("application/*", OPENMETRICS, id="any application"),
        pytest.param("application/openmetrics-text", OPENMETRICS, id="OpenMetrics of any version"),
        pytest.param("application/openmetrics-text;version=2.0.0", TEXT, id="OpenMetrics to come"),
        pytest.param('application/openmetrics-text; version="1.0.0"', OPENMETRICS, id="a quoted version"),
        pytest.param("Application/OpenMetrics-Text ; Version=1.0.0 ; Q=1", OPENMETRICS, id="case and spaces"),
        pytest.param("application/openmetrics-text;Version=2.0.0", TEXT, id="case of a parameter's name"),
        pytest.param("application/openmetrics-text;version=1.0.0;charset=utf-8", OPENMETRICS, id="a charset"),
        pytest.param("application/openmetrics-text,text/plain", OPENMETRICS, id="equals: the first named"),
        pytest.param("text/plain,application/openmetrics-text", TEXT, id="equals: the first named, swapped"),
        pytest.param("*/*,application/openmetrics-text", OPENMETRICS, id="equals: the one meant by name"),
        pytest.param("application/openmetrics-text;q=0,*/*", TEXT, id="OpenMetrics refused"),
        pytest.param("application/openmetrics-text;q=0", TEXT, id="OpenMetrics refused and nothing else named"),
        pytest.param("application/openmetrics-text;q=0.5,*/*", TEXT, id="anything rather than OpenMetrics"),
        pytest.param("text/plain;q=0,*/*", OPENMETRICS, id="text refused"),
        pytest.param("text/plain;q=0,application/openmetrics-text;q=0", TEXT, id="both refused: text all the same"),
        pytest.param("application/json", TEXT, id="a format we do not have: text all the same"),
        pytest.param("application/openmetrics-text;q=1.5,text/plain;q=0.1", TEXT, id="no quality is above 1"),
        pytest.param("application/openmetrics-text;q=nan,text/plain", TEXT, id="nor not a number"),
        pytest.param("application/openmetrics-text;q=-1", TEXT, id="nor negative"),
        pytest.param(";;,=,;q=,q=1,/,", TEXT, id="rubbish"),
        pytest.param("\x00\xff,*/*;q", TEXT, id="more rubbish"),
        pytest.param(",,,application/openmetrics-text,,", OPENMETRICS, id="empty elements"),
    ],
)
def test_format(accept: str | None, expected: Format) -> None:
    assert negotiate(accept, None).format is expected


@pytest.mark.parametrize(
    ("accept_encoding", "expected"),
    [
        pytest.param("gzip", True, id="Prometheus"),
        pytest.param("gzip, deflate, br, zstd", True, id="a browser"),
        pytest.param("GZip", True, id="in any case"),
        pytest.param("x-gzip", True, id="by its old name"),
        pytest.param("*", True, id="anything"),
        pytest.param("gzip;q=0.5", True, id="a lesser quality is still welcome"),
        pytest.param("identity;q=0.5, gzip;q=1.0", True, id="preferred to plain"),
        pytest.param("*;q=0, gzip", True, id="gzip only"),
        pytest.param(None, False, id="no header"),
        pytest.param("", False, id="an empty header"),
        pytest.param("identity", False, id="plain only"),
        pytest.param("deflate, br", False, id="others only"),
        pytest.param("gzip;q=0", False, id="refused"),
        pytest.param("gzip;q=0.000", False, id="refused with zeroes"),
        pytest.param("gzip;q=0, *", False, id="anything but gzip"),
        pytest.param("*;q=0", False, id="nothing at all: plain all the same"),
        pytest.param("identity, gzip;q=0.5", False, id="plain preferred"),
        pytest.param("gzip;q=lots", False, id="rubbish"),
        pytest.param("gzipped", False, id="another word"),
    ],
)
def test_gzip(accept_encoding: str | None, expected: bool) -> None:
    assert negotiate(None, accept_encoding).gzip is expected


def test_content_types_are_exact() -> None:
    assert TEXT.value == "text/plain; version=0.0.4; charset=utf-8"
    assert OPENMETRICS.value == "application/openmetrics-text; version=1.0.0; charset=utf-8"
