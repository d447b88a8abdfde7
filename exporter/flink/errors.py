"""How asking Flink can fail: a small closed tree, each class with the words that metrics use for it.

FlinkError
├── Timeout         no answer in time
├── Unreachable     no connection, or it broke off
├── Unauthorized    401, 403, or the peer's certificate was not accepted
├── LeaderElection  503 while no JobManager leads
├── NotFound        404: the thing is gone, or this version has no such endpoint
└── Invalid         an answer that is not Flink's, or one that Flink itself calls an error
"""

from __future__ import annotations

from typing import ClassVar

from exporter.model import ClusterState


class FlinkError(Exception):
    """One request failed. The text is one line that names the address and what was expected."""

    outcome: ClassVar[str] = "invalid"
    state: ClassVar[ClusterState] = ClusterState.INVALID


class Timeout(FlinkError):
    """No answer in time."""

    outcome = "timeout"
    state = ClusterState.TIMEOUT


class Unreachable(FlinkError):
    """No connection, or it broke off."""

    outcome = "unreachable"
    state = ClusterState.UNREACHABLE


class Unauthorized(FlinkError):
    """The request, or the peer, was not accepted."""

    outcome = "unauthorized"
    state = ClusterState.UNAUTHORIZED


class LeaderElection(FlinkError):
    """No JobManager leads at the moment."""

    outcome = "leader_election"
    state = ClusterState.LEADER_ELECTION


class NotFound(FlinkError):
    """The thing asked for is gone, or this version of Flink does not have it."""

    outcome = "not_found"


class Invalid(FlinkError):
    """An answer that is not Flink's."""
