"""YAML → frozen settings, or every mistake at once, each with its path.

`load` is the only door: it reads the file, lays the command line's overrides over it and checks the whole. A
mistake is one line, in the order of the file:

    exporter.yml:12: clusters[0].interval: expected a duration such as 15s or 1m30s, got '15 parsecs'
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError, model_validator

from exporter.config_document import Document, DocumentError, Loc, Mark, read_document
from exporter.config_section import Section
from exporter.config_symptoms import Symptoms, across_symptoms
from exporter.config_values import (
    BodyBytes,
    ClusterName,
    Count,
    File,
    Flag,
    HeaderName,
    Interval,
    Listen,
    ListenAddress,
    Loading,
    Ports,
    Requests,
    Secret,
    SignalName,
    Timeout,
    Url,
    Username,
    sendable,
)
from exporter.config_wording import described, dotted, kind_of, one_line


class ConfigError(Exception):
    """Settings that cannot be used: every problem, one line each, never with a secret in it."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(one_line(problem) for problem in problems)
        super().__init__("\n".join(self.problems))


@dataclass(frozen=True, slots=True)
class Override:
    """A value from the command line that wins over the file. `path` is dotted; a None was not given."""

    flag: str
    path: str
    value: object


class BasicAuth(Section):
    """HTTP basic authentication; exactly one of the passwords."""

    username: Username = Field("", description="User name.", examples=["flink-health"])
    password: Secret | None = Field(None, description="Password.", examples=["change-me"])
    password_file: File | None = Field(
        None,
        description="File that holds the password instead; read again for each request.",
        examples=["/run/secrets/flink-password"],
    )


class Tls(Section):
    """How an https:// cluster is verified, and how the exporter shows who it is."""

    ca_file: File | None = Field(
        None,
        description="Certificates to trust, PEM. Default: those of the system.",
        examples=["/etc/ssl/flink/ca.pem"],
    )
    cert_file: File | None = Field(
        None, description="The exporter's own certificate, PEM.", examples=["/etc/ssl/flink/exporter.pem"]
    )
    key_file: File | None = Field(
        None,
        description="Its private key, PEM. Default: it is in cert_file.",
        examples=["/etc/ssl/flink/exporter-key.pem"],
    )
    server_name: str | None = Field(
        None,
        description="Name that the cluster's certificate must bear. Default: the host of the URL.",
        examples=["flink.example.com"],
    )
    insecure_skip_verify: Flag = Field(False, description="Believe any certificate.")


class Reporter(Section):
    """How the native Prometheus reporter is found."""

    mode: Literal["auto", "off"] = Field(
        "auto",
        description="auto: find Flink's Prometheus reporter through the JobManager's config. off: REST only.",
    )
    ports: Ports | None = Field(
        None,
        description="Port or range that the reporter listens on. Default: what the JobManager's config says.",
        examples=["9249-9260"],
    )
    timeout: Timeout = Field(5.0, description="How long one reporter may take to answer.")


class ClusterSettings(Section):
    """One cluster: where it is, how it is read, and what is sent along."""

    name: ClusterName = Field(
        "default",
        description="Value of the label `cluster`; required and unique where there are several clusters.",
    )
    url: Url = Field(
        "http://localhost:8081",
        description="Base URL of the JobManager's REST API; may have a path, as behind an ingress.",
    )
    interval: Interval = Field(
        15.0, description="How often this cluster is read. Default: the interval above.", examples=["30s"]
    )
    timeout: Timeout = Field(
        10.0, description="How long one request may take. Default: the timeout above.", examples=["20s"]
    )
    basic_auth: BasicAuth | None = Field(None, description="HTTP basic authentication; exactly one of the passwords.")
    bearer_token: Secret | None = Field(
        None, description="Bearer token, instead of basic_auth.", examples=["change-me"]
    )
    bearer_token_file: File | None = Field(
        None,
        description="File that holds the bearer token; read again for each request.",
        examples=["/run/secrets/flink-token"],
    )
    headers: Mapping[HeaderName, Secret] = Field(
        default_factory=dict,
        description="More headers to send; their values are treated as secrets.",
        examples=[{"X-Forwarded-User": "flink-health"}],
    )
    tls: Tls = Field(Tls(), description="TLS of an https:// URL.")
    reporter: Reporter = Field(Reporter(), description="Flink's own Prometheus reporter, where it has one.")

    def authorization(self) -> dict[str, str]:
        """The headers to send with a request. Secret files are read anew: secrets rotate.

        Raises ConfigError with one line if a secret file cannot be used.
        """
        headers = {name: value.get_secret_value() for name, value in self.headers.items()}
        if self.basic_auth:
            password = self._secret("basic_auth.password", self.basic_auth.password, self.basic_auth.password_file)
            pair = f"{self.basic_auth.username}:{password}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        elif self.bearer_token or self.bearer_token_file:
            token = self._secret("bearer_token", self.bearer_token, self.bearer_token_file)
            headers["Authorization"] = f"Bearer {token}"
        return headers

    def _secret(self, option: str, value: SecretStr | None, path: Path | None) -> str:
        if value is not None or path is None:
            return value.get_secret_value() if value else ""
        try:
            return sendable(path.read_bytes().decode().rstrip("\r\n"))
        except OSError as error:
            problem = str(error.strerror)
        except UnicodeDecodeError:
            problem = "is not UTF-8"
        except ValueError as error:
            problem = str(error)
        # Raised out here, where no exception that could hold the secret is its context.
        raise ConfigError([f"cluster {self.name}: {option}_file: {path}: {problem}"])


class Signals(Section):
    """Which signals are derived."""

    disabled: tuple[SignalName, ...] = Field(
        (), description="Signals to turn off, by name; turning one off takes its load off Flink."
    )


class Limits(Section):
    """What may not be exceeded."""

    series: Count = Field(100_000, description="Most series published per cluster; the rest are dropped and counted.")
    requests: Requests = Field(
        3,
        description="Most REST requests at once to one JobManager, 1 to 3: Flink serves REST from 4 threads.",
    )
    body_bytes: BodyBytes = Field(67_108_864, description="Largest reply that is read, in bytes.")


class Web(Section):
    """Where the exporter is served."""

    listen_address: Listen = Field(
        ListenAddress(None, 9449),
        description="host:port, [ipv6]:port, or :port for all interfaces.",
    )


class Log(Section):
    """What is logged to stderr."""

    level: Literal["debug", "info", "warn", "error"] = Field(
        "info", description="debug, info, warn or error; debug adds tracebacks."
    )
    format: Literal["logfmt", "json"] = Field("logfmt", description="logfmt or json.")


class Settings(Section):
    """Everything that can be set. Durations are seconds."""

    interval: Interval = Field(15.0, description="How often a cluster is read, 1s to 1h.")
    timeout: Timeout = Field(10.0, description="How long one request may take, 100ms to 10m.")
    clusters: tuple[ClusterSettings, ...] = Field((ClusterSettings(),), description="The clusters to read.")
    signals: Signals = Field(Signals(), description="What is derived.")
    symptoms: Symptoms = Field(Symptoms(), description="How it is judged what is wrong.")
    limits: Limits = Field(Limits(), description="What may not be exceeded.")
    web: Web = Field(Web(), description="Where the exporter is served.")
    log: Log = Field(Log(), description="What is logged, to stderr.")

    @model_validator(mode="after")
    def _clusters_inherit(self) -> Self:
        # A cluster carries its own interval and timeout, so that who reads it needs nothing else.
        clusters = []
        for cluster in self.clusters:
            own = cluster.model_fields_set
            inherited = {key: getattr(self, key) for key in ("interval", "timeout") if key not in own}
            clusters.append(cluster.model_copy(update=inherited))
        object.__setattr__(self, "clusters", tuple(clusters))  # frozen for everybody else
        return self


def load(
    path: Path | None,
    *,
    signal_names: Collection[str],
    symptom_levels: Mapping[str, Collection[str]],
    overrides: Sequence[Override] = (),
) -> Settings:
    """The settings of a file (none: the defaults) under the command line's overrides.

    symptom_levels: by the name of each symptom, the levels it is declared with. Relative paths inside are relative to
    the file's folder. Raises ConfigError with everything that is wrong.
    """
    try:
        document = read_document(path) if path else Document()
    except DocumentError as error:
        raise ConfigError([f"{path}{error}"]) from None
    if not isinstance(document.data, dict):
        raise ConfigError([f"{path}:{document.mark(())[0]}: expected a mapping, got {kind_of(document.data)}"])

    found = [(mark, loc, text, "") for mark, loc, text in document.problems]
    given = [override for override in overrides if override.value is not None]
    flags = {tuple(override.path.split(".")): override.flag for override in given}
    for override in given:
        listed = document.data.get("clusters")
        if override.path == "clusters" and isinstance(listed, list) and len(listed) > 1:
            text = f"{path} lists {len(listed)} clusters, and the flag would replace them all"
            found.append((_LAST, (), text, override.flag))
        _lay_over(document.data, override)

    loading = Loading(path.parent if path else Path(), signal_names, symptom_levels)
    settings, mistakes = _validated(document.data, loading)
    across = [*_across(document.data), *across_symptoms(document.data.get("symptoms"), symptom_levels)]
    for loc, text in [*mistakes, *across]:
        flag = next((flag for start, flag in flags.items() if loc[: len(start)] == start), "")
        found.append((_LAST if flag else document.mark(loc), loc, text, flag))
    if found or settings is None:
        found.sort(key=lambda problem: problem[0])
        raise ConfigError(_line(path, *problem) for problem in found)
    return settings


# Behind every mark of a file: what is wrong on the command line comes last.
_LAST: Mark = (1 << 62, 0)


def _line(path: Path | None, mark: Mark, loc: Loc, text: str, flag: str) -> str:
    if flag:
        return f"{flag}: {text}"
    return f"{path}:{mark[0]}: {dotted(loc)}: {text}" if loc else f"{path}:{mark[0]}: {text}"


def _lay_over(data: dict[str, Any], override: Override) -> None:
    *sections, key = override.path.split(".")
    for section in sections:
        if data.get(section) is None:
            data[section] = {}
        if not isinstance(data[section], dict):
            return  # wrong in the file, and reported as that
        data = data[section]
    data[key] = override.value


def _validated(data: object, loading: Loading) -> tuple[Settings | None, list[tuple[Loc, str]]]:
    try:
        return Settings.model_validate(data, context=loading), []
    except ValidationError as error:
        details = error.errors(include_url=False)
    return None, [described(detail, Settings) for detail in details]


def _across(data: dict[str, Any]) -> Iterator[tuple[Loc, str]]:
    """What no field can say alone. Works on the file's values: it is said next to all the rest."""
    clusters = data.get("clusters")
    if not isinstance(clusters, list):
        return
    if not clusters:
        yield ("clusters",), "expected at least one cluster"
    names: dict[str, int] = {}
    for i, cluster in enumerate(clusters):
        if not isinstance(cluster, dict):
            continue
        here: Loc = ("clusters", i)
        for key in ("name", "url"):
            if len(clusters) > 1 and cluster.get(key) is None:
                yield here, f"{key} is required where there are several clusters"
        name = cluster.get("name")
        if isinstance(name, str) and names.setdefault(name, i) != i:
            yield (*here, "name"), f"clusters[{names[name]}] has the same name"
        yield from _across_authorization(cluster, here)
        tls = _mapping(cluster, "tls")
        if tls.get("key_file") is not None and tls.get("cert_file") is None:
            yield (*here, "tls", "key_file"), "a key needs its cert_file"


def _across_authorization(cluster: dict[str, Any], here: Loc) -> Iterator[tuple[Loc, str]]:
    headers = {f"headers.{name}": ("headers", name) for name in _mapping(cluster, "headers")}
    ways: dict[str, Loc] = {key: (key,) for key in ("basic_auth", "bearer_token", "bearer_token_file")}
    given = {way: loc for way, loc in ways.items() if cluster.get(way) is not None}
    given |= {way: loc for way, loc in headers.items() if way.lower() == "headers.authorization"}
    for way in list(given)[1:]:
        yield (*here, *given[way]), f"cannot stand next to {next(iter(given))}"
    if not isinstance(cluster.get("basic_auth"), dict):
        return
    basic = cluster["basic_auth"]
    passwords = [key for key in ("password", "password_file") if basic.get(key) is not None]
    if basic.get("username") is None:
        yield (*here, "basic_auth"), "username is required"
    if not passwords:
        yield (*here, "basic_auth"), "password or password_file is required"
    if len(passwords) > 1:
        yield (*here, "basic_auth", "password_file"), "cannot stand next to password"


def _mapping(section: dict[str, Any], key: str) -> dict[str, Any]:
    value = section.get(key)
    return value if isinstance(value, dict) else {}
