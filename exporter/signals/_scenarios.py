"""What do exceptions mean? A catalogue: the first row that matches anything in the cause chain decides.

A row asks for a class and for what its message says: a message alone may be anybody's, and a job that complains about
"the checkpoint of a Kafka topic" is not out of either. `tests/signals/traces` holds for each row a trace that needs it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

OTHER = "other"
USER_CODE = "user_code"


class Row(NamedTuple):
    """A scenario, what the class of an exception looks like, and what the first line of its message says."""

    scenario: str
    thrown: re.Pattern[str]
    says: re.Pattern[str]


def _row(scenario: str, thrown: str, says: str = "") -> Row:
    return Row(scenario, re.compile(thrown), re.compile(says))


# Kafka's clients have other packages where a connector shades them.
_KAFKA_IS_AWAY = (
    r"\.kafka\.common\.errors\.(Timeout|Disconnect|Network|BrokerNotAvailable|LeaderNotAvailable|NotLeaderOrFollower|"
    r"NotLeaderForPartition|CoordinatorNotAvailable|NotCoordinator|CoordinatorLoadInProgress|NotEnoughReplicas|"
    r"NotEnoughReplicasAfterAppend)Exception$"
)
_MISSING_CODE = (
    r"^java\.lang\.(ClassNotFoundException|NoClassDefFoundError|NoSuchMethodError|NoSuchFieldError|LinkageError|"
    r"IncompatibleClassChangeError|UnsupportedClassVersionError|AbstractMethodError|VerifyError|UnsatisfiedLinkError)$"
)
_UNREADABLE_STATE = (
    r"\.(KryoException|StateMigrationException)$|"
    r"^java\.io\.(NotSerializableException|InvalidClassException|StreamCorruptedException)$"
)
_UNREADABLE_RECORD = (
    r"\.fasterxml\.jackson\.(\w+\.)*\w+Exception$|\.avro\.(\w+\.)*\w+Exception$|\.InvalidProtocolBufferException$|"
    r"\.kafka\.common\.errors\.(Serialization|RecordDeserialization)Exception$|"
    r"^java\.lang\.NumberFormatException$|^java\.time\.format\.DateTimeParseException$"
)
# What YARN or Kubernetes says of a container comes as the message of a plain exception.
_PLAIN = r"^java\.lang\.Exception$"

CATALOGUE = (
    # Memory first: what runs out of it fails in any way afterwards.
    _row("out_of_memory", r"\.OutOf(Direct)?MemoryError$"),
    _row("out_of_memory", _PLAIN, r"^(Pod|Container) .*(OOMKilled|beyond (the '?)?(physical|PHYSICAL)'? memory limit)"),
    _row("storage", r"^java\.io\.IOException$", r"No space left on device|Disk quota exceeded"),
    _row(
        "checkpoint_timeout", r"\.(FlinkRuntimeException|CheckpointException)$", r"Checkpoint expired before completing"
    ),
    # What cannot be read is the trouble, whatever was done with it; and a class that Kryo misses is in its data.
    _row("serialization", _UNREADABLE_STATE),
    # A storage that fails a checkpoint or a restore is what is wrong, not the checkpoint.
    _row(
        "storage",
        r"^com\.amazonaws\.services\.s3\.|^software\.amazon\.awssdk\.services\.s3\.|^org\.apache\.hadoop\.(fs|hdfs|ipc)\.",
    ),
    _row("storage", r"^java\.io\.IOException$", r"^Could not (flush and close the file system|open) output stream"),
    _row("storage", r"\.BackendBuildingException$"),
    _row("storage", r"\.(FlinkRuntimeException|RocksDBException)$", r"^Error while .*RocksDB|^While |^IO error"),
    # Flink gives a reason without its cause; these three are of the steps that write.
    _row(
        "storage",
        r"\.FlinkRuntimeException$",
        r"^Exceeded checkpoint .*(IO-problem detected|Asynchronous task checkpoint failed|Failure to finalize)",
    ),
    _row("checkpoint_failure", r"\.FlinkRuntimeException$", r"^Exceeded checkpoint tolerable failure threshold"),
    _row(
        "checkpoint_failure",
        r"^java\.lang\.Exception$|^java\.io\.IOException$|\.CheckpointException$",
        r"^Could not (perform checkpoint|complete snapshot|materialize checkpoint) \d",
    ),
    _row("kafka_unavailable", _KAFKA_IS_AWAY),
    _row("kafka_unavailable", r"\.kafka\.common\.config\.ConfigException$", r"^No resolvable bootstrap urls"),
    _row("kafka_unavailable", r"RuntimeException$", r"^Failed to get metadata for topics"),
    _row("taskmanager_lost", r"\.TimeoutException$", r"[Hh]eartbeat of TaskManager with id .* timed out"),
    _row(
        "taskmanager_lost", r"\.(JobMaster|ResourceManager)Exception$", r"^TaskManager with id .* no longer reachable"
    ),
    _row("taskmanager_lost", r"\.RemoteTransportException$", r"remote task ?manager (was|has been) lost"),
    _row("taskmanager_lost", r"\.FlinkExpectedException$", r"^The TaskExecutor is shutting down"),
    _row("taskmanager_lost", r"\.FlinkException$", r"^The assigned slot .* was removed"),
    _row("taskmanager_lost", _PLAIN, r"^Pod terminated"),
    _row("class_loading", r"\.StreamTaskException$", r"^Cannot (load|instantiate) user"),
    _row("class_loading", r"^java\.lang\.IllegalStateException$", r"^Trying to access closed classloader"),
    _row("class_loading", _MISSING_CODE),
    _row("serialization", _UNREADABLE_RECORD),
    _row(
        "serialization",
        r"^java\.io\.IOException$|^java\.lang\.RuntimeException$",
        r"^(Failed to|Could not|Unable to) deserialize ",
    ),
    _row("resources", r"\.(NoResourceAvailable|UnfulfillableSlotRequest)Exception$"),
    _row("resources", r"^java\.io\.IOException$", r"^Insufficient number of network buffers"),
)

SCENARIOS = (*dict.fromkeys(row.scenario for row in CATALOGUE), USER_CODE, OTHER)
