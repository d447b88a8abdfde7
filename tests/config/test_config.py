"""Does a file become the settings it says, and does each mistake in it become its own line?"""

from __future__ import annotations

import base64
import copy
import os
import pickle
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr, ValidationError
from pydantic_core import ErrorDetails

from exporter.config import BasicAuth, ClusterSettings, ConfigError, Override, Reporter, Settings, load
from exporter.config_symptoms import Level, SymptomOverride
from exporter.config_values import ListenAddress
from exporter.config_wording import described

BAD = Path(__file__).parent / "bad"
SIGNALS = ("skew", "heap", "gc")
BOTH = ("warning", "critical")
SYMPTOMS = {"checkpoint_slow": BOTH, "heap_high": BOTH, "restart_loop": ("critical",), "skew": ("warning",)}
SECRET = "hunter2"

EVERYTHING = """
interval: 30s
timeout: 1m30s
clusters:
  - name: prod:eu-1
    url: https://ingress.example.com/flink/prod/
    interval: 1m
    timeout: 500ms
    basic_auth: {username: flink, password: 0123}
    headers: {X-Scope-OrgID: hunter2}
    tls: {server_name: flink, insecure_skip_verify: true}
    reporter: {mode: off, ports: 9249-9260, timeout: 2s}
  - name: 42
    url: http://[::1]:8081
    bearer_token: "null"
signals:
  disabled: [gc, heap]
symptoms:
  patience: 0.1
  runbook_url: https://wiki.example.com/{name}?team=streaming#{name}
  disabled: [heap_high]
  overrides:
    checkpoint_slow:
      warning: {threshold: 3, lasting: 10m}
      critical: off
      calm: 0s
      deduction: 0.1
    skew: {warning: {lasting: 1h}, critical: {threshold: -2.5, lasting: 0s}}
limits: {series: 5_000, requests: 1, body_bytes: 1000000}
web: {listen_address: "[::1]:9500"}
log: {level: debug, format: json}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "exporter.yml"
    path.write_text(text)
    return path


def read(folder: Path, text: str, *overrides: Override) -> Settings:
    return load(write(folder, text), signal_names=SIGNALS, symptom_levels=SYMPTOMS, overrides=overrides)


def problems(folder: Path, text: str, *overrides: Override) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(folder, text, *overrides)
    return [problem.removeprefix(f"{folder}/") for problem in caught.value.problems]


@pytest.mark.parametrize("name", sorted(path.stem for path in BAD.glob("*.yml")))
def test_a_bad_file_is_told_all_its_mistakes_verbatim(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BAD)
    with pytest.raises(ConfigError) as caught:
        load(Path(f"{name}.yml"), signal_names=SIGNALS, symptom_levels=SYMPTOMS)
    assert "".join(f"{problem}\n" for problem in caught.value.problems) == Path(f"{name}.txt").read_text()
    assert str(caught.value).splitlines() == list(caught.value.problems)
    assert SECRET not in repr(caught.value)


def test_no_expectation_without_its_bad_file() -> None:
    assert {path.stem for path in BAD.glob("*.txt")} == {path.stem for path in BAD.glob("*.yml")}


def test_everything_that_can_be_said(tmp_path: Path) -> None:
    settings = read(tmp_path, EVERYTHING)
    prod, other = settings.clusters
    assert (settings.interval, settings.timeout) == (30.0, 90.0)
    assert (prod.name, prod.interval, prod.timeout) == ("prod:eu-1", 60.0, 0.5)
    assert prod.url == "https://ingress.example.com/flink/prod"  # paths are joined to it with a slash
    assert prod.basic_auth == BasicAuth(username="flink", password=SecretStr("0123"))
    assert prod.reporter == Reporter(mode="off", ports=range(9249, 9261), timeout=2.0)
    assert (prod.tls.server_name, prod.tls.insecure_skip_verify) == ("flink", True)
    assert (other.name, other.interval, other.timeout) == ("42", 30.0, 90.0)  # text, and inherited
    assert other.bearer_token == SecretStr("null")
    assert settings.signals.disabled == ("gc", "heap")
    assert (settings.symptoms.patience, settings.symptoms.disabled) == (0.1, ("heap_high",))
    assert settings.symptoms.runbook_url == "https://wiki.example.com/{name}?team=streaming#{name}"
    assert settings.symptoms.overrides == {
        "checkpoint_slow": SymptomOverride(
            warning=Level(threshold=3.0, lasting=600.0), critical="off", calm=0.0, deduction=0.1
        ),
        "skew": SymptomOverride(warning=Level(lasting=3600.0), critical=Level(threshold=-2.5, lasting=0.0)),
    }
    assert settings.limits.series == 5000
    assert settings.web.listen_address == ListenAddress("::1", 9500)
    assert (settings.log.level, settings.log.format) == ("debug", "json")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="an empty file"),
        pytest.param("# nothing\n---\n", id="an empty document"),
        pytest.param("\ufeff{}", id="a byte order mark and an empty mapping"),
        pytest.param("interval:\nclusters:\nweb: ~\nlog: {level: null}", id="keys without values"),
        pytest.param("clusters: [{}]", id="one cluster of which nothing is said"),
        pytest.param("symptoms: {patience: 1, disabled: [], overrides: }", id="symptoms as they are"),
    ],
)
def test_what_is_not_said_is_the_default(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == Settings() == load(None, signal_names=(), symptom_levels={})


def test_a_lone_cluster_needs_no_name(tmp_path: Path) -> None:
    (cluster,) = read(tmp_path, "clusters: [{url: http://a:8081}]").clusters
    assert (cluster.name, cluster.url) == ("default", "http://a:8081")


def test_a_cluster_inherits_what_it_does_not_say(tmp_path: Path) -> None:
    assert read(tmp_path, "interval: 40s\ntimeout: 20s").clusters[0].interval == 40.0
    (cluster,) = read(tmp_path, "interval: 40s\nclusters: [{interval: , timeout: 3s}]").clusters
    assert (cluster.interval, cluster.timeout) == (40.0, 3.0)


def test_an_anchor_is_written_once(tmp_path: Path) -> None:
    text = "clusters: [{name: a, url: http://a, tls: &t {server_name: x}}, {name: b, url: http://b, tls: *t}]"
    assert [cluster.tls.server_name for cluster in read(tmp_path, text).clusters] == ["x", "x"]


def test_settings_survive_json_and_pickle(tmp_path: Path) -> None:
    settings = read(tmp_path, EVERYTHING)
    assert pickle.loads(pickle.dumps(settings)) == copy.deepcopy(settings) == settings
    plain = settings.model_dump(mode="json")
    for cluster in plain["clusters"]:
        cluster |= {"basic_auth": None, "bearer_token": None, "headers": {}}
    again = read(tmp_path, yaml.safe_dump(plain))
    assert again.model_dump(mode="json") == plain
    assert again.interval == 30.0
    assert again.clusters[0].reporter == settings.clusters[0].reporter
    assert again.web == settings.web
    assert again.symptoms == settings.symptoms


def test_settings_are_frozen() -> None:
    settings = Settings()
    with pytest.raises(ValidationError):
        settings.interval = 1.0  # type: ignore[misc]
    with pytest.raises(ValidationError):
        settings.clusters[0].url = "http://b"  # type: ignore[misc]


# ---- symptoms


def test_a_part_of_a_symptom_that_is_not_said_stays(tmp_path: Path) -> None:
    (override,) = read(
        tmp_path, "symptoms: {overrides: {skew: {warning: {threshold: 2}, calm: }}}"
    ).symptoms.overrides.values()
    assert override == SymptomOverride(warning=Level(threshold=2.0))
    assert (override.critical, override.calm, override.deduction) == (None, None, None)
    assert override.warning == Level(threshold=2.0, lasting=None)


def test_a_level_that_a_symptom_does_not_have_may_be_off(tmp_path: Path) -> None:
    assert read(tmp_path, "symptoms: {overrides: {skew: {critical: off}}}").symptoms.overrides["skew"].critical == "off"


def test_the_only_level_of_a_symptom_may_be_changed_for_the_other(tmp_path: Path) -> None:
    text = "symptoms: {overrides: {skew: {warning: off, critical: {threshold: 3, lasting: 5m}}}}"
    override = read(tmp_path, text).symptoms.overrides["skew"]
    assert (override.warning, override.critical) == ("off", Level(threshold=3.0, lasting=300.0))


# ---- files that are none


def test_a_file_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    for path, expected in (
        ("nowhere.yml", "nowhere.yml: cannot be read: No such file or directory"),
        ("folder", "folder: cannot be read: Is a directory"),
    ):
        with pytest.raises(ConfigError) as caught:
            load(Path(path), signal_names=SIGNALS, symptom_levels=SYMPTOMS)
        assert caught.value.problems == (expected,)


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "")

    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)  # root may read anything
    with pytest.raises(ConfigError) as caught:
        load(path, signal_names=SIGNALS, symptom_levels=SYMPTOMS)
    assert caught.value.problems == (f"{path}: cannot be read: Permission denied",)


def test_a_problem_is_one_line_whatever_the_path() -> None:
    with pytest.raises(ConfigError) as caught:
        load(Path("no\nwhere.yml"), signal_names=SIGNALS, symptom_levels=SYMPTOMS)
    assert caught.value.problems == ("no\\nwhere.yml: cannot be read: No such file or directory",)


# ---- the command line


def test_a_flag_wins_over_the_file(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        "web: {listen_address: ':1'}\nlog: {level: error, format: json}\nclusters: [{name: a, url: http://a}]",
        Override("--web.listen-address", "web.listen_address", ":9500"),
        Override("--log.level", "log.level", "debug"),
        Override("--limits.requests", "limits.requests", "2"),
        Override("--flink.url", "clusters", [{"url": "http://b"}]),
        Override("--log.format", "log.format", None),
    )
    assert settings.web.listen_address == ListenAddress(None, 9500)
    assert (settings.log.level, settings.log.format) == ("debug", "json")
    assert settings.limits.requests == 2
    assert [(cluster.name, cluster.url) for cluster in settings.clusters] == [("default", "http://b")]


def test_a_wrong_flag_is_called_by_its_name(tmp_path: Path) -> None:
    assert problems(
        tmp_path,
        "web: {listen_address: also wrong}\ninterval: 5\nlog: 7",
        Override("--web.listen-address", "web.listen_address", "9500"),
        Override("--flink.url", "clusters", [{"url": "localhost"}]),
        Override("--log.level", "log.level", "loud"),
    ) == [
        "exporter.yml:2: interval: expected a duration with its unit, such as 15s or 1m30s, got 5",
        "exporter.yml:3: log: expected a mapping, got text",
        "--flink.url: expected a URL such as http://localhost:8081, got 'localhost'",
        "--web.listen-address: expected host:port, [ipv6]:port or :port, got 9500",
    ]


def test_a_wrong_flag_without_a_file() -> None:
    with pytest.raises(ConfigError) as caught:
        load(
            None,
            signal_names=(),
            symptom_levels={},
            overrides=[Override("--flink.url", "clusters", [{"url": f"http://a:{SECRET}@b"}])],
        )
    assert caught.value.problems == ("--flink.url: a URL may not hold credentials: use basic_auth",)


def test_a_url_flag_does_not_replace_a_list(tmp_path: Path) -> None:
    text = "clusters: [{name: a, url: http://a}, {name: b, url: http://b}]"
    (problem,) = problems(tmp_path, text, Override("--flink.url", "clusters", [{"url": "http://c"}]))
    assert problem == f"--flink.url: {tmp_path}/exporter.yml lists 2 clusters, and the flag would replace them all"


# ---- secrets


def test_no_secret_in_what_is_shown(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        """
clusters:
  - {name: a, url: http://a, basic_auth: {username: u, password: hunter2}, headers: {X-A: hunter2}}
  - {name: b, url: http://b, bearer_token: hunter2}
""",
    )
    shown = (
        repr(settings),
        str(settings),
        f"{settings.clusters[0].headers}",
        repr(settings.model_dump()),
        settings.model_dump_json(),
        repr(vars(settings.clusters[1])),
    )
    assert [text for text in shown if SECRET in text] == []
    assert settings.clusters[1].authorization() == {"Authorization": "Bearer hunter2"}


ODD_VALUES = (
    SECRET,
    [SECRET],
    {SECRET: SECRET},
    None,
    "",
    f"{SECRET}\n",
    f"u:{SECRET}@h",
    [{"x": [SECRET]}],
    f"*{SECRET}",
)


def _places(data: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    children = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [at, *(place for key, value in children for place in _places(value, (*at, key)))]


@pytest.mark.parametrize("place", _places(yaml.load(EVERYTHING, yaml.BaseLoader))[1:], ids=str)
def test_any_value_anywhere_is_taken_or_told_in_our_words(tmp_path: Path, place: tuple[str | int, ...]) -> None:
    secret = {"password", "bearer_token", "headers"}.intersection(place) or place[-1] == "basic_auth"
    for value in ODD_VALUES:
        data = yaml.load(EVERYTHING, yaml.BaseLoader)
        inner = data
        for part in place[:-1]:
            inner = inner[part]
        inner[place[-1]] = value
        try:
            read(tmp_path, yaml.safe_dump(data))
        except ConfigError as error:
            for problem in error.problems:
                _, _, text = problem.split(": ", 2)
                assert "\n" not in problem
                assert not [word for word in ("Input", "valid", "pydantic", "Value error") if word in text]
                assert not secret or SECRET not in text
                assert place[-1] != "url" or f"{SECRET}@" not in text


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        pytest.param({}, {}, id="nothing to say"),
        pytest.param({"bearer_token": "t"}, {"Authorization": "Bearer t"}, id="a token"),
        pytest.param(
            {"basic_auth": {"username": "flink", "password": "pä:ss"}},
            {"Authorization": "Basic " + base64.b64encode("flink:pä:ss".encode()).decode()},
            id="basic: base64 of user:password in UTF-8",
        ),
        pytest.param({"headers": {"X-A": "b"}}, {"X-A": "b"}, id="headers of its own"),
        pytest.param(
            {"headers": {"X-A": "b"}, "bearer_token": "t"},
            {"X-A": "b", "Authorization": "Bearer t"},
            id="both",
        ),
    ],
)
def test_what_is_sent(said: dict[str, object], expected: dict[str, str]) -> None:
    assert ClusterSettings.model_validate(said).authorization() == expected


def test_a_secret_file_lies_next_to_the_config_and_is_read_each_time(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("one\n")
    (cluster,) = read(tmp_path, "clusters: [{bearer_token_file: token}]").clusters
    assert cluster.bearer_token_file == tmp_path / "token"
    assert cluster.authorization() == {"Authorization": "Bearer one"}
    (tmp_path / "token").write_text("two\r\n")
    assert cluster.authorization() == {"Authorization": "Bearer two"}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param(None, "No such file or directory", id="it is gone"),
        pytest.param(b"\n", "is empty", id="it is empty"),
        pytest.param(b"hun\nter2\n", "may not contain line breaks or control characters", id="two lines"),
        pytest.param(b"hunter2\xff", "is not UTF-8", id="it is binary"),
    ],
)
def test_a_secret_file_that_went_bad(tmp_path: Path, content: bytes | None, problem: str) -> None:
    path = tmp_path / "password"
    path.write_text("good")
    text = f"clusters: [{{name: a, basic_auth: {{username: u, password_file: {path}}}}}]"
    (cluster,) = read(tmp_path, text).clusters
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        cluster.authorization()
    assert caught.value.problems == (f"cluster a: basic_auth.password_file: {path}: {problem}",)
    assert caught.value.__context__ is None  # it would hold the bytes


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    expected = f"exporter.yml:1: clusters[0].bearer_token_file: not a file: {tmp_path}/pipe"
    assert problems(tmp_path, "clusters: [{bearer_token_file: pipe}]") == [expected]


def test_a_secret_is_not_shown_even_where_its_check_says_expected() -> None:
    error = ValueError("expected a better one")
    for loc in (("bearer_token",), ("basic_auth", "password"), ("headers", "X-A")):
        detail = ErrorDetails(type="value_error", loc=loc, msg="", input=SECRET, ctx={"error": error})
        assert described(detail, ClusterSettings) == (loc, "expected a better one, got text")
