"""`python -m tests.alerting`: how long each fault takes to the alert, by our rules and by rules on native metrics.

Plays the scenario to its end, 20 minutes, and writes docs/alerting.md.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

import yaml

from exporter.demo.distribution import PINNED
from exporter.durations import parse_duration
from exporter.symptoms.base import Severity
from exporter.symptoms.declarations import SYMPTOMS
from tests.alerting.dashboards import unexplained, when_empty
from tests.alerting.faults import ALL, Fault, Told
from tests.alerting.scenario import PATIENCE, Played, allowed, play, told_by
from tests.alerting.stack import INTERVAL, NATIVE

_FILE = Path(__file__).parents[2] / "docs/alerting.md"
_NOTHING = "—"
_BY_NAME = {symptom.name: symptom for symptom in SYMPTOMS}

_HEAD = """\
# Time to alert

Written by `python -m tests.alerting`: five faults on a real Flink {flink}, a real Prometheus that scrapes and judges
every {interval} s, the exporter that looks as often, and a real Alertmanager, with the rules, routes and inhibitions of
`config/`. Four jobs are well for a while, fall ill at the same moment, and recover; then a TaskManager is killed, and
another one started. Beside each alert stands that of the rules on Flink's native metrics (`config/rules/native.yml`),
which the same Prometheus judged at the same time.

- Times are from the start of the fault; of *resolved*, from its end to the message that says so. There is none of a
  warning that its critical alert silences.
- Every duration (`for`, `keep_firing_for`) is {patience:g} of what is declared, in both files, so that this takes
  minutes. *Usual* has the rest of the `for` added: the time to the alert with the rules as they are. (Only
  `watermark_lag_growing` keeps 3 minutes: its trend still rises for a while after a stall.)
- Thresholds, and the times that metrics look back, are as declared: restarts and lost TaskManagers are remembered for
  10 minutes, and their alerts last as long.
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        played = play(Path(folder), thorough=True, say=partial(print, flush=True))
    _FILE.write_text(document(played))
    print(_FILE.read_text())


def document(played: Played) -> str:
    """docs/alerting.md."""
    head = _HEAD.format(flink=PINNED, interval=INTERVAL, patience=PATIENCE)
    return "\n".join([head, *_times(played), *_notifications(played), *_dashboards(played)]) + "\n"


def _times(played: Played) -> Iterator[str]:
    yield "| fault | alert | severity | on `/metrics` | alert | usual | resolved | native alert | usual |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    waits = _waits() if played.has_native else {}
    for fault in ALL:
        began = played.began[fault.what]
        ours = {(told.what, told.severity): at for told, at in played.log.alerts.items() if told.of == fault.job}
        theirs = {
            (_symptom(told), told.severity): (told, at)
            for told, at in played.log.native.items()
            if _is_about(told, at, fault, played)
        }
        first = {**{level: at for level, (_, at) in theirs.items()}, **ours}
        for level in sorted(first, key=first.__getitem__):
            cells = _of_ours(played, fault, Told(fault.job, *level)) if level in ours else [_NOTHING] * 4
            if level in theirs:
                told, at = theirs[level]
                wait = waits.get((told.what, told.severity), 0.0) * (1 - PATIENCE)
                cells += [_after(began, at), _minutes(at - began + wait)]
            else:
                cells += [_NOTHING] * 2
            yield _row(fault.what, _alert(level[0]), level[1], *cells)
    yield ""
    if not played.has_native:
        yield "There were no rules on native metrics.\n"
        return
    others = {
        f"{told.what} ({told.severity}) of {told.of or 'the cluster'}"
        for told, at in played.log.native.items()
        if not any(_is_about(told, at, fault, played) for fault in ALL)
    }
    yield f"Native alerts of what was not ill, or not yet: {_list(others)}.\n"


def _of_ours(played: Played, fault: Fault, told: Told) -> list[str]:
    began, at = played.began[fault.what], played.log.alerts[told]
    wait = 0.0
    if told.what in _BY_NAME:
        wait = _BY_NAME[told.what].levels[Severity(told.severity)].lasting * (1 - PATIENCE)
    seen = _after(began, played.log.symptoms.get(told))
    return [seen, _after(began, at), _minutes(at - began + wait), _resolved(played, fault, told)]


def _symptom(told: Told) -> str:
    """The symptom that a native alert is about, which is ours of the same name, if there is one."""
    return next((name for name, symptom in _BY_NAME.items() if symptom.alert == told.what), told.what)


def _alert(what: str) -> str:
    return _BY_NAME[what].alert if what in _BY_NAME else what


def _is_about(told: Told, at: float, fault: Fault, played: Played) -> bool:
    return told.of == fault.job and at >= played.began[fault.what]


def _waits() -> Mapping[tuple[str, str], float]:
    rules = [rule for group in yaml.safe_load(NATIVE.read_text())["groups"] for rule in group["rules"]]
    return {
        (rule["alert"], rule.get("labels", {}).get("severity", "")): parse_duration(rule.get("for", "0s"))
        for rule in rules
        if "alert" in rule
    }


def _notifications(played: Played) -> Iterator[str]:
    fired = {told_by(each.labels) for each in played.ours if each.status == "firing"}
    wrong = {told for told in played.log.alerts if not allowed(told)}
    yield "## Told, and not told\n"
    yield f"- Told: {len(fired)} alerts. Silenced, from some moment on, by another one: {_told(played.log.silenced)}."
    yield f"- What no fault explains: {_told(wrong)}."
    beside = {f"{name} ({why})" for fault in ALL for name, why in fault.may.items() if _has(played, fault, name)}
    yield f"- Beside what must fire, and rightly: {_list(beside)}."
    yield f"- Still firing in the end: {_told(played.log.active)}.\n"


def _has(played: Played, fault: Fault, name: str) -> bool:
    return any(fault.job in ("", told.of) and told.what == name for told in played.log.alerts)


def _dashboards(played: Played) -> Iterator[str]:
    empty = [query for query, found in played.answers.items() if not found]
    yield "## Dashboards\n"
    yield f"{len(played.answers)} queries of all panels, asked when something had just been told, and in the end:"
    yield f"{len(played.answers) - len(empty)} had data, {len(empty)} had none. Without a true reason in their panels'"
    yield f"descriptions: {_list(unexplained(played.answers))}.\n"
    yield "| dashboard | panels without data | as they say |"
    yield "| --- | --- | --- |"
    said: dict[tuple[str, str], dict[str, None]] = {}
    for query in empty:
        said.setdefault((query.board.removesuffix(".json"), when_empty(query)), {})[query.panel] = None
    for (board, reason), panels in said.items():
        yield _row(board, ", ".join(panels), reason)


def _resolved(played: Played, fault: Fault, told: Told) -> str:
    sent = [each for each in played.ours if told_by(each.labels) == told]
    fired = max((each.received for each in sent if each.status == "firing"), default=0.0)
    times = [each.received for each in sent if each.status == "resolved" and each.received >= fired]
    if times:
        return _after(played.ended[fault.what], times[0])
    # Alertmanager does not tell the end of what is silenced.
    return "silenced" if told in played.log.silenced else "never"


def _after(began: float, at: float | None) -> str:
    if at is None:
        return _NOTHING
    return f"{at - began:.0f} s" if at >= began else "before"


def _minutes(duration: float) -> str:
    return f"{duration / 60:.1f} min"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _told(several: Iterable[Told]) -> str:
    return _list(f"{told.what} ({told.severity}) of {told.of or 'the cluster'}" for told in several)


def _list(items: Iterable[str]) -> str:
    return "; ".join(sorted(items)) or "none"


if __name__ == "__main__":
    main()
