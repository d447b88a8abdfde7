"""A real Kafka of one node, which dies and comes back as it is told."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from exporter.demo import jvm
from exporter.demo.distribution import Distribution, Java
from exporter.demo.jvm import Jvm, Program
from exporter.demo.leash import Leash
from exporter.demo.ports import free_ports
from tests.e2e.background import Background
from tests.e2e.jars import jars
from tests.e2e.running import eventually

VERSION = "4.1.1"
_LOGGING = "2.24.3"  # the Log4j that it comes with

_CONFIGURATION = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{broker}
log.dirs={data}
log.cleaner.enable=false
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
# A killed broker may come back once its old self is given up.
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
"""
_QUIET = {"log_level": 0}  # of a broker that is gone, the clients would tell again and again


class Kafka:
    """A broker for the length of a `with` block, in a temporary folder of its own. It ends no process but its own."""

    def __init__(self, java: Java) -> None:
        folder = jars(f"org.apache.kafka:kafka_2.13:{VERSION}", f"org.apache.logging.log4j:log4j-slf4j-impl:{_LOGGING}")
        self._folder = Path(tempfile.mkdtemp(prefix="kafka-"))
        self._leash = Leash(self._folder)
        (self._folder / "lib").symlink_to(folder)
        # What runs Flink's programs from the lib of a folder runs Kafka's.
        self._distribution = Distribution(VERSION, self._folder, java)
        self._jvms: list[Jvm] = []
        broker, controller = free_ports(2)
        self.address = f"127.0.0.1:{broker}"
        self._admin = AdminClient({"bootstrap.servers": self.address, **_QUIET})
        self._consumer = Consumer({"bootstrap.servers": self.address, "group.id": "tests", **_QUIET})
        self._properties = self._folder / "server.properties"
        self._properties.write_text(
            _CONFIGURATION.format(broker=broker, controller=controller, data=self._folder / "data")
        )

    def __enter__(self) -> Self:
        try:
            self._format()
            self.start()
        except BaseException:
            self._leash.keep_folder()
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._consumer.close()
            self.kill()
        finally:
            self._leash.close()

    def start(self) -> None:
        """Start it, on the data that there are, and wait until it answers."""
        broker = self._run("broker", "kafka.Kafka", str(self._properties))

        def answers() -> bool:
            broker.check()
            self._admin.list_topics(timeout=2)
            return True

        eventually(answers, "Kafka to answer")

    def kill(self) -> None:
        """SIGKILL, as a machine would die."""
        for one in self._jvms:
            one.kill()
        self._jvms.clear()

    def create_topic(self, name: str, partitions: int) -> None:
        for future in self._admin.create_topics([NewTopic(name, partitions, 1)]).values():
            future.result()

    def end_offsets(self, topic: str) -> list[int]:
        """Where each partition of a topic ends: the offset of the record to come."""
        partitions = sorted(self._consumer.list_topics(topic, timeout=5).topics[topic].partitions)
        ranges = [self._consumer.get_watermark_offsets(TopicPartition(topic, each), timeout=5) for each in partitions]
        return [end for _, end in ranges]

    def _format(self) -> None:
        arguments = ("format", "--cluster-id", "flink-health-exporter0", "--config", str(self._properties))
        formatting = self._run("format", "kafka.tools.StorageTool", *arguments)
        formatting.reap(60)
        assert (self._folder / "data/meta.properties").exists(), formatting.tail(20)
        self._jvms.clear()

    def _run(self, name: str, main: str, *arguments: str) -> Jvm:
        program = Program(name, main, arguments, options=("-Xmx192m", "-XX:+UseSerialGC"))
        return jvm.launch(self._jvms, program, self._distribution, self._folder, self._leash)


class Tap(Background):
    """Writes `pace` records a second into each partition of a topic, each of them a `line`, for the length of a `with`
    block. Both may be changed at any time."""

    def __init__(self, kafka: Kafka, topic: str, partitions: int, line: str) -> None:
        super().__init__()
        self.pace = 0.0
        self.line = line
        self._topic, self._partitions = topic, partitions
        self._producer = Producer({"bootstrap.servers": kafka.address, **_QUIET})

    def work(self) -> None:
        owed, before = 0.0, time.monotonic()
        while self.goes_on(0.05):
            now = time.monotonic()
            owed += self.pace * (now - before)
            before = now
            for _ in range(int(owed)):
                for partition in range(self._partitions):
                    self._producer.produce(self._topic, self.line.encode(), partition=partition)
            owed -= int(owed)
            self._producer.poll(0)
        self._producer.flush(5)
