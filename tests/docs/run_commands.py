"""Do the commands of the runbook work? Each page's, one after the other, against a live demo.

    python -m tests.docs.run_commands --flink http://localhost:8081 --exporter http://localhost:9449

A command fails that ends with another code than 0, or says nothing. Needs bash, curl and jq.

--alertmanager URL runs the silences too (amtool). --throw-away runs those that take savepoints and cancel jobs: never
on a cluster that somebody needs; with --jar FILE, a job that they start, and Flink's command line on the PATH.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.docs.runbook import ROOT, Block, blocks, pages

_AT_ONCE = 2  # pages; Flink serves REST from few threads
_PATIENCE = 180.0  # seconds for the commands of a page
_END = "---- end of block:"
# Of `diagnose` 1 and 2 are symptoms, which the demo has; 3 is a cluster that it could not look at.
_MAY_END_WITH = (0, 1, 2)

# What a page says, and what it stands for.
_FLINK, _EXPORTER, _ALERTMANAGER = "http://localhost:8081", "http://localhost:9449", "http://localhost:9093"


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    chosen = [page for page in pages() if not options.page or page.stem in options.page]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(_AT_ONCE) as pool:
        _write_exporter(Path(folder))
        outcomes = list(pool.map(lambda page: _run(blocks(page), options, Path(folder)), chosen))
    ran = sum(count for count, _, _ in outcomes)
    left_out = sum(count for _, count, _ in outcomes)
    problems = [problem for _, _, each in outcomes for problem in each]
    for problem in problems:
        print(problem)
    print(f"{len(chosen)} pages, {ran} blocks run, {ran - len(problems)} well, {left_out} left out")
    return 1 if problems else 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run the commands of docs/runbook against a live demo.")
    parser.add_argument("--flink", default=_FLINK, metavar="URL")
    parser.add_argument("--exporter", default=_EXPORTER, metavar="URL")
    parser.add_argument("--alertmanager", metavar="URL")
    parser.add_argument("--throw-away", action="store_true", help="the cluster may be changed")
    parser.add_argument("--jar", metavar="FILE", help="of a job without arguments, for --throw-away")
    parser.add_argument("page", nargs="*", help="names of pages; all of them unless given")
    return parser.parse_args(arguments)


def _run(page: list[Block], options: argparse.Namespace, folder: Path) -> tuple[int, int, list[str]]:
    """How many blocks of a page were run, how many left out, and what was wrong."""
    available = {"nothing"}
    if options.alertmanager:
        available.add("alertmanager")
    if options.throw_away:
        available.add("changes")
    wanted = [block for block in page if block.needs in available]
    if not wanted:
        return 0, len(page), []
    # One shell for the page: a block uses the variables of those before it.
    script = "\n".join(f"{_substituted(block.commands, options)}\necho; echo '{_END}' $?" for block in wanted)
    environment = os.environ | {
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "USER": os.environ.get("USER", "tests"),
    }
    try:
        ran = subprocess.run(
            ["bash", "-c", script],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            env=environment,
            cwd=folder,
        )
    except subprocess.TimeoutExpired:
        return len(wanted), len(page) - len(wanted), [f"{page[0].page}: not done after {_PATIENCE:.0f} s"]
    outputs = ran.stdout.decode(errors="replace").split(_END)
    problems = []
    for number, block in enumerate(wanted):
        where = f"docs/runbook/{block.page}.md:{block.line}"
        if number + 1 >= len(outputs):
            problems.append(f"{where}: not reached: {ran.stderr.decode(errors='replace').strip()[-300:]}")
            break
        output = outputs[number].partition("\n")[2] if number else outputs[number]
        code = int(outputs[number + 1].split()[0])
        allowed = _MAY_END_WITH if "diagnose" in block.commands else (0,)
        if code not in allowed:
            problems.append(f"{where}: ended with code {code}")
        elif not output.strip():
            problems.append(f"{where}: says nothing")
    return len(wanted), len(page) - len(wanted), problems


def _substituted(commands: str, options: argparse.Namespace) -> str:
    addresses = {_FLINK: options.flink, _EXPORTER: options.exporter, _ALERTMANAGER: options.alertmanager}
    for written, meant in addresses.items():
        commands = commands.replace(written, meant or written)
    return commands.replace("JAR=job.jar", f"JAR={options.jar or 'job.jar'}")


def _write_exporter(folder: Path) -> None:
    """The command `flink-health-exporter` of this source tree, installed or not."""
    script = folder / "flink-health-exporter"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m exporter "$@"\n')
    script.chmod(0o755)


if __name__ == "__main__":
    sys.exit(main())
