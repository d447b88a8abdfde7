"""Derived health of Apache Flink, for Prometheus."""

__version__ = "0.1.0"
