"""The command line: `serve` (the default), `diagnose`, `demo`, `check-config`, `rules`, `reference`."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import uvloop

from exporter import __version__, app, diagnose, log, reference, rules
from exporter.config import ConfigError, Override, Settings, load
from exporter.demo.errors import DemoError
from exporter.signals import SIGNALS
from exporter.suggestion import suggestion
from exporter.symptoms.declarations import SYMPTOMS
from exporter.watch import Report

PROGRAM = "flink-health-exporter"

# As Prometheus's own programs have it: a start that cannot be.
_CANNOT_START = 2

_USUAL_PORT = 9449


class UsageError(Exception):
    """A command line that says nothing this program knows. The text is one line."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns its exit code. What goes wrong is told in one line each, never as a traceback."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        options = _parse(given)
        command: Callable[[argparse.Namespace], int] = options.command
        return command(options)
    except ConfigError as error:
        return _refuse(given, *error.problems)
    except (UsageError, app.CannotStart, diagnose.CannotLook, DemoError, reference.ReferenceError) as error:
        return _refuse(given, str(error))
    except KeyboardInterrupt:
        return 130


def _refuse(given: Sequence[str], *problems: str) -> int:
    for problem in problems:
        print(f"{PROGRAM}: {problem}", file=sys.stderr)
    # Of `diagnose` the others have a meaning: 2 is a critical symptom.
    return diagnose.CANNOT_LOOK if given[:1] == ["diagnose"] else _CANNOT_START


# The grammar


def _parse(given: list[str]) -> argparse.Namespace:
    parser = _Parser(prog=PROGRAM, description="Derived health of Apache Flink, for Prometheus.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(metavar="COMMAND", parser_class=_Parser)
    subparsers = {
        "serve": _serve_flags(commands),
        "diagnose": _diagnose_flags(commands),
        "demo": _demo_flags(commands),
        "check-config": _check_flags(commands),
        "rules": _rules_flags(commands),
        "reference": _reference_flags(commands),
    }
    if not given or (given[0].startswith("-") and given[0] not in ("--version", "--help", "-h")):
        given = ["serve", *given]
    if not given[0].startswith("-") and given[0] not in subparsers:
        raise UsageError(f"unknown command {given[0]!r}; {suggestion(given[0], list(subparsers), 'commands')}")
    options, unknown = parser.parse_known_args(given)
    if unknown:
        known = [name for action in subparsers[given[0]]._actions for name in action.option_strings]
        flag = unknown[0].partition("=")[0]
        what = "flag" if flag.startswith("-") else "argument"
        raise UsageError(f"unknown {what} {flag}; {suggestion(flag, known, f'flags of {given[0]}')}")
    return options


def _version() -> str:
    return f"{PROGRAM}, version {__version__} (Python {platform.python_version()}, {platform.machine()})"


def _serve_flags(commands: argparse._SubParsersAction[_Parser]) -> _Parser:
    parser = commands.add_parser("serve", help="read Flink and serve /metrics (the default)", allow_abbrev=False)
    _settings_flags(parser)
    parser.set_defaults(command=_serve)
    return parser


def _target_flags(parser: _Parser) -> None:
    parser.add_argument(
        "--config.file", dest="file", type=Path, metavar="FILE", help="settings, see config/exporter.yml"
    )
    parser.add_argument(
        "--flink.url", dest="url", metavar="URL", help="REST address of a JobManager (default http://localhost:8081)"
    )


def _settings_flags(parser: _Parser) -> None:
    _target_flags(parser)
    parser.add_argument(
        "--web.listen-address", dest="listen", metavar="HOST:PORT", help="where to serve (default :9449)"
    )
    parser.add_argument("--log.level", dest="level", metavar="LEVEL", help="debug, info, warn or error (default info)")
    parser.add_argument("--log.format", dest="format", metavar="FORMAT", help="logfmt or json (default logfmt)")


def _diagnose_flags(commands: argparse._SubParsersAction[_Parser]) -> _Parser:
    parser = commands.add_parser(
        "diagnose",
        help="look for some seconds, and tell what is wrong",
        description="Looks at each cluster twice, and tells what is wrong with it and its jobs.",
        epilog="Ends with 0 if all is well, 1 after a warning, 2 after a critical symptom, 3 if something could not be "
        "looked at, wrong flags included. Of several: 2 before 3, 3 before 1.",
        allow_abbrev=False,
    )
    _target_flags(parser)
    parser.add_argument("--cluster", metavar="NAME", help="only this one of the file's clusters")
    parser.add_argument("--job", metavar="NAME", help="only the jobs of this name, or the one with this id")
    parser.add_argument("--watch", action="store_true", help="go on every 5 s until Ctrl-C; the last look counts")
    parser.add_argument(
        "--output", choices=("table", "json"), default="table", metavar="FORMAT", help="table or json (default table)"
    )
    parser.add_argument("--no-color", action="store_true", help="no colours, which otherwise a terminal gets")
    parser.set_defaults(command=_diagnose, listen=None, level=None, format=None)
    return parser


def _demo_flags(commands: argparse._SubParsersAction[_Parser]) -> _Parser:
    parser = commands.add_parser("demo", help="serve the health of a real Flink with ill jobs", allow_abbrev=False)
    parser.add_argument(
        "--flink.version", dest="version", metavar="V", help="version of Flink (default: the one that is installed)"
    )
    parser.add_argument("--cache-dir", dest="cache", type=Path, metavar="DIR", help="where Flink is kept between demos")
    parser.add_argument("--taskmanagers", type=int, default=2, metavar="N", help="how many TaskManagers (default 2)")
    parser.add_argument("--no-serve", action="store_true", help="leave the exporter to you")
    parser.add_argument(
        "--web.listen-address", dest="listen", metavar="HOST:PORT", help="where to serve (default :9449)"
    )
    parser.add_argument(
        "--symptoms.patience",
        dest="patience",
        metavar="N",
        default="0.1",
        help="how many times as long as usual a symptom must hold (default 0.1: nobody watches a demo for an hour)",
    )
    parser.set_defaults(command=_demo)
    return parser


def _check_flags(commands: argparse._SubParsersAction[_Parser]) -> _Parser:
    parser = commands.add_parser("check-config", help="tell what is wrong with a config file", allow_abbrev=False)
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.set_defaults(command=_check_config)
    return parser


def _rules_flags(commands: argparse._SubParsersAction[_Parser]) -> _Parser:
    parser = commands.add_parser("rules", help="print alert rules for Prometheus", allow_abbrev=False)
    parser.add_argument(
        "--config.file", dest="file", type=Path, metavar="FILE", help="settings, whose section `symptoms` is followed"
    )
    parser.set_defaults(command=_rules)
    return parser


def _reference_flags(commands: argparse._SubParsersAction[_Parser]) -> _Parser:
    parser = commands.add_parser("reference", help="print the reference of all metrics", allow_abbrev=False)
    parser.add_argument("--write", action="store_true", help="renew the generated files of a source checkout instead")
    parser.add_argument("--check", action="store_true", help="fail if they are not current")
    parser.set_defaults(command=_reference)
    return parser


# The commands


def _settings(options: argparse.Namespace, *more: Override) -> Settings:
    clusters = None if options.url is None else [{"name": "default", "url": options.url}]
    return _load(
        options.file,
        Override("--flink.url", "clusters", clusters),
        Override("--web.listen-address", "web.listen_address", options.listen),
        Override("--log.level", "log.level", options.level),
        Override("--log.format", "log.format", options.format),
        *more,
    )


def _load(file: Path | None, *overrides: Override) -> Settings:
    return load(
        file,
        signal_names=[signal.name for signal in SIGNALS],
        symptom_levels={symptom.name: [level.value for level in symptom.levels] for symptom in SYMPTOMS},
        overrides=overrides,
    )


def _serve(options: argparse.Namespace) -> int:
    return _run(lambda: _settings(options))


def _run(read: Callable[[], Settings], told: Callable[[Report], None] = lambda _report: None) -> int:
    settings = read()
    log.configure(settings.log.level, settings.log.format)
    uvloop.run(app.serve(settings, read, told))
    return 0


def _diagnose(options: argparse.Namespace) -> int:
    asked = diagnose.Options(
        cluster=options.cluster,
        job=options.job,
        watch=options.watch,
        json=options.output == "json",
        colour=not options.no_color,
    )
    return diagnose.run(_settings(options), asked)


def _check_config(options: argparse.Namespace) -> int:
    settings = _load(options.file)
    print(f"{options.file}: good, {len(settings.clusters)} cluster(s): {', '.join(c.name for c in settings.clusters)}")
    return 0


def _rules(options: argparse.Namespace) -> int:
    settings = _load(options.file)
    print(rules.alert_rules(app.symptoms_of(settings), settings.symptoms.runbook_url), end="")
    return 0


def _reference(options: argparse.Namespace) -> int:
    if options.check:
        reference.check(Path())
    elif options.write:
        reference.write(Path())
    else:
        print(reference.metrics(), end="")
    return 0


def _demo(options: argparse.Namespace) -> int:
    from exporter.demo import command as demo  # needs what only the extra installs
    from exporter.demo.distribution import PINNED
    from exporter.demo.live import LiveTable
    from exporter.demo.ports import one_of

    def settings(rest_url: str | None, listen: str | None) -> Settings:
        asked = argparse.Namespace(file=None, url=rest_url, listen=listen, level="warn", format=None)
        return _settings(asked, Override("--symptoms.patience", "symptoms.patience", options.patience))

    def serve(rest_url: str) -> None:
        listen = options.listen or f":{one_of([_USUAL_PORT])}"
        here = f"http://localhost:{listen.rpartition(':')[2]}"
        print(f"health           {here} and {here}/metrics\n", flush=True)
        _run(lambda: settings(rest_url, listen), LiveTable())

    settings(None, options.listen)  # a mistake is told before anything is started
    demo.run(
        options.version or PINNED,
        options.cache,
        None if options.no_serve else serve,
        taskmanagers=options.taskmanagers,
    )
    return 0
