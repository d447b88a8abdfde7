"""The chart's objects, as Helm renders them."""

from __future__ import annotations

import subprocess
from functools import cache
from typing import Any

import yaml

from tests.chart.generate import CHART
from tests.chart.tools import tool

NEWEST = "1.37.2"
SETS = sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").glob("*-values.yaml"))

Object = dict[str, Any]


class Refused(Exception):
    """What Helm says of values that it does not take."""


def helm(*arguments: str, given: str | None = None) -> str:
    """What Helm prints. Raises Refused."""
    done = subprocess.run([tool("helm"), *arguments], check=False, capture_output=True, text=True, input=given)
    if done.returncode:
        raise Refused(done.stderr)
    return done.stdout


@cache
def text(values: str, kubernetes: str = NEWEST) -> str:
    """The rendered YAML of a set of values in `ci/`, for a release `health` in the namespace `monitoring`."""
    path = CHART / f"ci/{values}-values.yaml"
    return helm("template", "health", str(CHART), "-n", "monitoring", "-f", str(path), "--kube-version", kubernetes)


def of(values: str) -> list[Object]:
    """The objects of a set of values in `ci/`."""
    return _objects(text(values))


def of_yaml(values: str, *options: str) -> list[Object]:
    """The objects of values given as YAML. Raises Refused."""
    named = ("template", "health", str(CHART), "-n", "monitoring", "--kube-version", NEWEST, "-f", "-")
    return _objects(helm(*named, *options, given=values))


def _objects(rendered: str) -> list[Object]:
    # A key that stands twice is lost silently by every reader of YAML, Kubernetes' among them; kubeconform finds it.
    return [found for found in yaml.safe_load_all(rendered) if found]


def one(objects: list[Object], kind: str) -> Object:
    """The only object of a kind, but for the tests of the chart itself."""
    (found,) = every(objects, kind)
    return found


def every(objects: list[Object], kind: str) -> list[Object]:
    """The objects of a kind, but for the tests of the chart itself."""
    return [
        found
        for found in objects
        if found["kind"] == kind and "helm.sh/hook" not in found["metadata"].get("annotations", {})
    ]


def pod(objects: list[Object]) -> Object:
    """The template of the exporter's pod."""
    template: Object = one(objects, "Deployment")["spec"]["template"]
    return template


def container(objects: list[Object]) -> Object:
    """The exporter's container."""
    (found,) = pod(objects)["spec"]["containers"]
    only: Object = found
    return only


def hook(objects: list[Object]) -> Object:
    """The pod of `helm test`."""
    (found,) = (found for found in objects if "helm.sh/hook" in found["metadata"].get("annotations", {}))
    return found
