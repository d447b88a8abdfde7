"""What does the cluster's REST API say? (As much as the demo needs; the exporter proper has its own.)"""

from __future__ import annotations

import json
import urllib.request
from http.client import HTTPException
from typing import Any

# A proxy of the environment is not asked for this machine.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def get(url: str, timeout: float = 5.0) -> Any:
    """The JSON document at `url`. Raises OSError or HTTPException while there is none."""
    with _OPENER.open(url, timeout=timeout) as answer:
        return json.load(answer)


def registered(rest_url: str) -> set[str] | None:
    """The ids of the registered TaskManagers; None while REST does not answer."""
    try:
        return {str(one["id"]) for one in get(f"{rest_url}/taskmanagers")["taskmanagers"]}
    except (OSError, HTTPException, ValueError, KeyError):
        return None
