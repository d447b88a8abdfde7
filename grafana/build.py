"""Writes the dashboards beside this file: `python -m grafana.build`. With `--check` it says which are not current."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana import checkpoints, fleet, job, own, sources, taskmanagers

FOLDER = Path(__file__).parent
BOARDS = {
    "fleet.json": fleet.build,
    "job.json": job.build,
    "taskmanagers.json": taskmanagers.build,
    "checkpoints.json": checkpoints.build,
    "sources.json": sources.build,
    "exporter.json": own.build,
}


def made() -> dict[str, str]:
    """What each file should hold."""
    encoder = JSONEncoder(indent=2, ensure_ascii=False)
    return {name: encoder.encode(build()) + "\n" for name, build in BOARDS.items()}


def stale() -> list[str]:
    """The files that do not hold what they should."""
    paths = {name: FOLDER / name for name in BOARDS}
    return [name for name, text in made().items() if not paths[name].is_file() or paths[name].read_text() != text]


def main() -> int:
    """Renews the files, or checks them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is not current")
    late = stale()
    if not parser.parse_args().check:
        for name, text in made().items():
            (FOLDER / name).write_text(text)
    elif late:
        print(f"not current: {', '.join(late)}; run: python -m grafana.build", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
