"""Is a restart strategy understood as the Flink that told it means it?

The prose is what the distributions of these versions say of such configurations, the defaults are those of their
classes.
"""

from __future__ import annotations

import pytest

from exporter.flink.strategies import duration, strategy
from exporter.model import RestartStrategy

DEFAULT = "Cluster level default restart strategy"
OPTIONS = "restart-strategy"


def fixed(attempts: int | None, delay: float, *, configured: bool = True) -> RestartStrategy:
    return RestartStrategy(kind="fixed-delay", attempts=attempts, delay=delay, configured=configured)


def rate(attempts: int, interval: float, delay: float) -> RestartStrategy:
    return RestartStrategy(kind="failure-rate", attempts=attempts, interval=interval, delay=delay)


def exponential(
    delay: float,
    multiplier: float,
    longest: float,
    reset: float,
    *,
    attempts: int | None = None,
    configured: bool = True,
) -> RestartStrategy:
    return RestartStrategy(
        kind="exponential-delay",
        attempts=attempts,
        delay=delay,
        multiplier=multiplier,
        longest_delay=longest,
        reset_after=reset,
        configured=configured,
    )


NONE = RestartStrategy(kind="none")
OF_1_18 = exponential(1, 2, 300, 3600)
OF_1_19 = exponential(1, 1.5, 60, 3600)


@pytest.mark.parametrize(
    ("prose", "expected"),
    [
        pytest.param("Restart deactivated.", NONE, id="1.15 to 2.3: none"),
        pytest.param("Restart with fixed delay (2000 ms). #4 restart attempts.", fixed(4, 2), id="1.15, 1.17, 1.18"),
        pytest.param("Restart with fixed delay (36000000 ms). #3 restart attempts.", fixed(3, 36_000), id="1.15: 10 h"),
        pytest.param("Restart with fixed delay (0 ms). #3 restart attempts.", fixed(3, 0), id="1.15: at once"),
        pytest.param("Restart with fixed delay (PT1M30S). #3 restart attempts.", fixed(3, 90), id="1.20, 2.3"),
        pytest.param("Restart with fixed delay (PT0.01S). #3 restart attempts.", fixed(3, 0.01), id="1.20: 10 ms"),
        pytest.param("Restart with fixed delay (PT240H). #3 restart attempts.", fixed(3, 864_000), id="1.20: 10 days"),
        pytest.param("Restart with fixed delay (PT0S). #0 restart attempts.", fixed(0, 0), id="1.20: not once"),
        pytest.param(
            "Restart with fixed delay (PT2S). #2147483647 restart attempts.", fixed(None, 2), id="2.3: without end"
        ),
        pytest.param(
            "Failure rate restart with maximum of 5 failures within interval 60000 ms and fixed delay 15000 ms.",
            rate(5, 60, 15),
            id="1.15, 1.17, 1.18: failure rate",
        ),
        pytest.param(
            "Failure rate restart with maximum of 5 failures within interval PT1M and fixed delay PT15S.",
            rate(5, 60, 15),
            id="1.20, 2.3: failure rate",
        ),
        pytest.param(
            "Restart with exponential delay: starting at 1000 ms, increasing by 2.000000, with maximum 120000 ms. "
            "Delay resets after 3600000 ms with jitter 0.100000",
            exponential(1, 2, 120, 3600),
            id="1.15, 1.17, 1.18: exponential",
        ),
        pytest.param(
            "Restart with exponential delay: starting at PT1.5S, increasing by 1.500000, with maximum PT24H. "
            "Delay resets after PT1H with jitter 0.100000",
            exponential(1.5, 1.5, 86_400, 3600),
            id="1.20, 2.3: exponential",
        ),
        pytest.param(
            "Restart with exponential delay: starting at PT1.5S, increasing by 1,500000, with maximum PT24H. "
            "Delay resets after PT1H with jitter 0,100000",
            exponential(1.5, 1.5, 86_400, 3600),
            id="2.3: exponential, of a JobManager in Germany",
        ),
        pytest.param("Restart when the moon is full.", None, id="of a version to come"),
        pytest.param("Restart with fixed delay (soon). #3 restart attempts.", None, id="with a duration of one"),
        pytest.param("No restart deactivated.", None, id="nothing is guessed"),
        pytest.param(
            "Restart with fixed delay (PT2S). #4 restart attempts. Then with another.", None, id="nor is half of it"
        ),
        pytest.param("", None, id="nothing is told"),
    ],
)
def test_prose(prose: str, expected: RestartStrategy | None) -> None:
    """What the job says holds, whatever the cluster would do."""
    for cluster in ({}, {OPTIONS: "none"}, {OPTIONS: "nonsense"}, {f"{OPTIONS}.type": "failure-rate"}):
        for version in ("1.15.4", "2.3.0", None):
            assert strategy(prose, cluster, version=version, checkpointing=False) == expected


@pytest.mark.parametrize("prose", [pytest.param(DEFAULT, id="told"), pytest.param(None, id="not told")])
@pytest.mark.parametrize(
    ("version", "checkpointing", "expected"),
    [
        pytest.param("1.15.4", True, fixed(None, 1, configured=False), id="1.15: without end"),
        pytest.param("1.17.2", True, fixed(None, 1, configured=False), id="1.17: likewise"),
        pytest.param("1.18.1", True, fixed(None, 1, configured=False), id="1.18: the last that does so"),
        pytest.param("1.19.0", True, exponential(1, 1.5, 60, 3600, configured=False), id="1.19: exponential"),
        pytest.param("1.20.4", True, exponential(1, 1.5, 60, 3600, configured=False), id="1.20: likewise"),
        pytest.param("2.3.0", True, exponential(1, 1.5, 60, 3600, configured=False), id="2.3: likewise"),
        pytest.param("2.4-SNAPSHOT", True, exponential(1, 1.5, 60, 3600, configured=False), id="one to come"),
        pytest.param(None, True, exponential(1, 1.5, 60, 3600, configured=False), id="not told: as the newest"),
        pytest.param("1.15.4", False, RestartStrategy(kind="none", configured=False), id="1.15: no checkpoints"),
        pytest.param("2.3.0", False, RestartStrategy(kind="none", configured=False), id="2.3: no checkpoints"),
        pytest.param("2.3.0", None, None, id="2.3: nobody knows of checkpoints"),
    ],
)
def test_what_flink_does_where_nobody_chose(
    prose: str | None, version: str | None, checkpointing: bool | None, expected: RestartStrategy | None
) -> None:
    assert strategy(prose, {}, version=version, checkpointing=checkpointing) == expected


def test_options_of_a_strategy_that_nobody_chose_change_nothing() -> None:
    """Flink takes its defaults then, whatever is configured for them."""
    options = {f"{OPTIONS}.exponential-delay.max-backoff": "10 min", f"{OPTIONS}.fixed-delay.delay": "10 min"}
    assert strategy(DEFAULT, options, version="2.3.0", checkpointing=True) == exponential(
        1, 1.5, 60, 3600, configured=False
    )
    assert strategy(DEFAULT, options, version="1.18.1", checkpointing=True) == fixed(None, 1, configured=False)


@pytest.mark.parametrize(
    ("options", "version", "expected"),
    [
        pytest.param({"": "none"}, "1.15.4", NONE, id="1.15: none"),
        pytest.param({".type": "off"}, "1.17.2", NONE, id="1.17: off"),
        pytest.param({".type": "disable"}, "2.3.0", NONE, id="2.3: disable"),
        pytest.param({".type": "none", "": "fixed-delay"}, "2.3.0", NONE, id="1.17 on: the new key comes first"),
        pytest.param({"": "fixeddelay"}, "1.15.4", fixed(1, 1), id="1.15: fixeddelay, its defaults"),
        pytest.param({".type": "Fixed-Delay"}, "2.3.0", fixed(1, 1), id="2.3: in any letters"),
        pytest.param(
            {".type": "fixed-delay", ".fixed-delay.attempts": "4", ".fixed-delay.delay": "3 s"},
            "2.3.0",
            fixed(4, 3),
            id="2.3: fixed-delay",
        ),
        pytest.param(
            {".type": "fixed-delay", ".fixed-delay.attempts": "2147483647"}, "2.3.0", fixed(None, 1), id="2.3: for ever"
        ),
        pytest.param({"": "failurerate"}, "1.15.4", rate(1, 60, 1), id="1.15: failurerate, its defaults"),
        pytest.param(
            {
                ".type": "failure-rate",
                ".failure-rate.max-failures-per-interval": "3",
                ".failure-rate.failure-rate-interval": "5 min",
                ".failure-rate.delay": "PT10S",
            },
            "2.3.0",
            rate(3, 300, 10),
            id="2.3: failure-rate",
        ),
        pytest.param({"": "exponentialdelay"}, "1.15.4", OF_1_18, id="1.15: exponentialdelay, its defaults"),
        pytest.param({".type": "exponential-delay"}, "1.18.1", OF_1_18, id="1.18: likewise"),
        pytest.param({".type": "exponential-delay"}, "1.19.1", OF_1_19, id="1.19: its new defaults"),
        pytest.param({".type": "exponential-delay"}, None, OF_1_19, id="not told: as the newest"),
        pytest.param(
            {
                ".type": "exponential-delay",
                ".exponential-delay.initial-backoff": "10 s",
                ".exponential-delay.max-backoff": "2 min",
                ".exponential-delay.backoff-multiplier": "1.4",
                ".exponential-delay.reset-backoff-threshold": "10 min",
                ".exponential-delay.attempts-before-reset-backoff": "7",
            },
            "2.3.0",
            exponential(10, 1.4, 120, 600, attempts=7),
            id="2.3: exponential-delay",
        ),
        pytest.param(
            {".type": "exponential-delay", ".exponential-delay.attempts-before-reset-backoff": "infinite"},
            "2.3.0",
            OF_1_19,
            id="2.3: as its documentation calls it",
        ),
        pytest.param(
            {".type": "exponential-delay", ".exponential-delay.attempts-before-reset-backoff": "7"},
            "1.18.1",
            OF_1_18,
            id="1.18: there was no such option",
        ),
        pytest.param({".type": "com.acme.Restarts"}, "2.3.0", None, id="a strategy of one's own"),
        pytest.param({".type": "fixed-delay", ".fixed-delay.delay": "soon"}, "2.3.0", None, id="no duration"),
        pytest.param({".type": "fixed-delay", ".fixed-delay.attempts": "many"}, "2.3.0", None, id="no number"),
    ],
)
@pytest.mark.parametrize("checkpointing", [True, False, None])
def test_the_clusters_configuration(
    options: dict[str, str], version: str | None, expected: RestartStrategy | None, checkpointing: bool | None
) -> None:
    configuration = {OPTIONS + key: value for key, value in options.items()}
    assert strategy(DEFAULT, configuration, version=version, checkpointing=checkpointing) == expected


EXPONENTIAL = (
    "Restart with exponential delay: starting at PT1S, increasing by 1.500000, with maximum PT1M. "
    "Delay resets after PT1H with jitter 0.100000"
)


@pytest.mark.parametrize(
    ("options", "attempts"),
    [
        pytest.param({".exponential-delay.attempts-before-reset-backoff": "7"}, 7, id="all that is told is alike"),
        pytest.param(
            {".exponential-delay.attempts-before-reset-backoff": "7", ".exponential-delay.max-backoff": "2 min"},
            None,
            id="the job has one of its own",
        ),
        pytest.param({}, None, id="without end"),
        pytest.param({".exponential-delay.max-backoff": "soon"}, None, id="a cluster that is not understood"),
    ],
)
def test_the_attempts_that_no_prose_tells(options: dict[str, str], attempts: int | None) -> None:
    """In application mode the cluster's configuration is the job's, which then seems to have chosen it itself."""
    configuration = {f"{OPTIONS}.type": "exponential-delay"} | {OPTIONS + key: value for key, value in options.items()}
    told = strategy(EXPONENTIAL, configuration, version="2.3.0", checkpointing=True)
    assert told == exponential(1, 1.5, 60, 3600, attempts=attempts)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        pytest.param("10 s", 10, id="1.15 on: a unit"),
        pytest.param("10s", 10, id="1.15 on: next to the number"),
        pytest.param("  7 s  ", 7, id="1.15 on: spaces around it"),
        pytest.param("10 S", 10, id="1.15 on: in capitals"),
        pytest.param("10", 0.01, id="1.15 on: milliseconds where none is given"),
        pytest.param("0 ms", 0, id="1.15 on: nought"),
        pytest.param("1 min", 60, id="1.15 on: min"),
        pytest.param("1m", 60, id="1.15 on: m"),
        pytest.param("5 minutes", 300, id="1.15 on: a whole word"),
        pytest.param("2 h", 7200, id="1.15 on: h"),
        pytest.param("3 d", 259_200, id="1.15 on: d"),
        pytest.param("100µs", 0.0001, id="1.15 on: µs"),
        pytest.param("5 ns", 5e-9, id="1.15 on: ns"),
        pytest.param("PT10S", 10, id="2.3: ISO"),
        pytest.param("pt10s", 10, id="2.3: in small letters"),
        pytest.param("PT1H1M1.5S", 3661.5, id="2.3: all of it"),
        pytest.param("P1DT2H", 93_600, id="2.3: days too"),
        pytest.param("P1D", 86_400, id="2.3: days alone"),
    ],
)
def test_a_duration(text: str, seconds: float) -> None:
    assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "soon", "1.5 s", "100 us", "1 hour 2 min", "PT", "P", "PT-1S", "-1 s", "PT1"])
def test_no_duration(text: str) -> None:
    with pytest.raises(ValueError) as raised:
        duration(text)
    assert str(raised.value) == f"expected a duration of Flink's such as PT10S or 10 s, got {text!r}"
