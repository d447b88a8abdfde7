"""A real Flink on this machine, from wheels, with jobs that are ill in known ways."""
