"""What do exceptions mean? A catalogue: the first row that matches anything in the cause chain decides.

A row is a scenario, what the class of an exception must look like, and what its message must say.
"""

from __future__ import annotations

import re

OTHER = "other"
USER_CODE = "user_code"

_ANY = ""


def _row(scenario: str, thrown: str = _ANY, message: str = _ANY) -> tuple[str, re.Pattern[str], re.Pattern[str]]:
    return scenario, re.compile(thrown), re.compile(message, re.IGNORECASE)


_KAFKA_ERRORS = (
    "Timeout|Disconnect|Network|BrokerNotAvailable|LeaderNotAvailable|NotLeader|CoordinatorNotAvailable|NotCoordinator"
)
_OBJECT_STORES = r"(AmazonS3|S3|Sdk|BlobStorage|Storage|AzureBlob|Hadoop\w*|RocksDB)\w*Exception$"
_MISSING_CODE = (
    "ClassNotFoundException|NoClassDefFoundError|NoSuchMethodError|NoSuchFieldError|LinkageError|"
    "IncompatibleClassChangeError|UnsupportedClassVersionError|AbstractMethodError|VerifyError"
)
_UNREADABLE = (
    "Kryo|Serialization|Deserialization|NotSerializable|InvalidClass|StreamCorrupted|Avro|JsonParse|JsonProcessing|"
    "JsonMapping|JsonEOF|MalformedInput|InvalidProtocolBuffer|NumberFormat|DateTimeParse|StateMigration|SchemaParse"
)

CATALOGUE = (
    # Memory first: what runs out of it fails in any way afterwards.
    _row("out_of_memory", r"\.OutOfMemoryError$"),
    _row("out_of_memory", message=r"OOMKilled|exit code 137|beyond (the )?'?physical'? memory|GC overhead limit"),
    _row("storage", message=r"No space left on device|Disk quota exceeded"),
    _row("checkpoint_timeout", r"CheckpointException$|FlinkRuntimeException$", r"checkpoint.*expired"),
    _row("checkpoint_timeout", r"CheckpointException$", r"expired before"),
    # A storage that fails a checkpoint is what is wrong, not the checkpoint.
    _row("storage", _OBJECT_STORES),
    _row("storage", r"^org\.apache\.hadoop\.|\.FileSystemException$|^java\.nio\.file\."),
    _row("storage", message=r"could not (open|flush|close|create).*(output stream|file|checkpoint dir)|state ?handle"),
    _row("storage", message=r"checkpoint.*IO-problem"),
    _row("checkpoint_failure", r"FlinkRuntimeException$", r"checkpoint"),
    _row("checkpoint_failure", r"\.CheckpointException$"),
    _row("kafka_unavailable", rf"^org\.apache\.kafka\.common\.errors\.({_KAFKA_ERRORS})\w*Exception$"),
    _row("kafka_unavailable", r"kafka", r"bootstrap|metadata|broker|node assignment|timed? ?out|disconnect"),
    _row("kafka_unavailable", message=r"(fetch|list|get|describ).*(topic|partition|offset).*(metadata|kafka)"),
    _row("kafka_unavailable", message=r"kafka.*timed? ?out"),
    _row(
        "taskmanager_lost", message=r"TaskManager .*(timed out|lost|no longer reachable|unreachable|failed|terminated)"
    ),
    _row("taskmanager_lost", r"RemoteTransportException$", r"remote task ?manager|lost connection|connection reset"),
    _row("taskmanager_lost", message=r"TaskExecutor .*(shut|lost|disconnect)|Releasing TaskManager"),
    _row("taskmanager_lost", r"PartitionConnectionException$|TaskManagerException$"),
    _row("class_loading", rf"\.({_MISSING_CODE})$"),
    _row("serialization", rf"({_UNREADABLE})\w*Exception$"),
    _row("serialization", message=r"(de)?serializ"),
    # State that was read and not understood is above: what is left could not be read.
    _row("storage", r"\.BackendBuildingException$"),
    _row("resources", r"NoResourceAvailableException$|SlotNotAvailable|InsufficientResources"),
    _row(
        "resources", message=r"required resources|insufficient number of network buffers|not enough (slots|resources)"
    ),
    _row("resources", message=r"slot request (bulk )?is not fulfillable"),
)

SCENARIOS = (*dict.fromkeys(scenario for scenario, _, _ in CATALOGUE), USER_CODE, OTHER)
