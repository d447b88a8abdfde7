"""What becomes of a TaskManager that is lost?"""

from __future__ import annotations

from collections.abc import Mapping

# Deployments in which the JobManager starts TaskManagers by itself, as many as its jobs have tasks for.
_ON_DEMAND = ("kubernetes-", "yarn-")


def replaced(configuration: Mapping[str, str] | None) -> bool:
    """Whether the JobManager would start another one, as its configuration says it was deployed.

    False where that was not read: it takes evidence to call a loss harmless.
    """
    return (configuration or {}).get("execution.target", "").strip().lower().startswith(_ON_DEMAND)
