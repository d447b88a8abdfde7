"""How is a step of a job slow without making this machine slow?

It waits, as a step does that asks a database for every record: its task is busy all the time and takes no CPU.
SQL has no function that waits, so here is one, compiled, for the demo must not need a Java compiler:

    package demo;

    public class LookUp extends org.apache.flink.table.functions.ScalarFunction {
        public Long eval(Long key, Long millis) throws InterruptedException {
            Thread.sleep(millis);
            return key;
        }
    }

made by `javac --release 8 -g:none -cp 'lib/*' demo/LookUp.java` with Flink's lib on the class path.
"""

from __future__ import annotations

import base64
import zipfile
from pathlib import Path

_CLASS = """
yv66vgAAADQAGwoAAgADBwAEDAAFAAYBAC9vcmcvYXBhY2hlL2ZsaW5rL3RhYmxlL2Z1bmN0aW9ucy9TY2FsYXJGdW5jdGlvbgEA
Bjxpbml0PgEAAygpVgoACAAJBwAKDAALAAwBAA5qYXZhL2xhbmcvTG9uZwEACWxvbmdWYWx1ZQEAAygpSgoADgAPBwAQDAARABIB
ABBqYXZhL2xhbmcvVGhyZWFkAQAFc2xlZXABAAQoSilWBwAUAQALZGVtby9Mb29rVXABAARDb2RlAQAEZXZhbAEAMihMamF2YS9s
YW5nL0xvbmc7TGphdmEvbGFuZy9Mb25nOylMamF2YS9sYW5nL0xvbmc7AQAKRXhjZXB0aW9ucwcAGgEAHmphdmEvbGFuZy9JbnRl
cnJ1cHRlZEV4Y2VwdGlvbgAhABMAAgAAAAAAAgABAAUABgABABUAAAARAAEAAQAAAAUqtwABsQAAAAAAAQAWABcAAgAVAAAAFQAC
AAMAAAAJLLYAB7gADSuwAAAAAAAYAAAABAABABkAAA==
"""


def class_file() -> bytes:
    """The compiled class `demo.LookUp`."""
    return base64.b64decode(_CLASS)


def write_jar(jar: Path) -> Path:
    """Write the jar with the class, for `CREATE TEMPORARY FUNCTION look_up AS 'demo.LookUp'`."""
    with zipfile.ZipFile(jar, "w") as archive:
        archive.writestr("demo/LookUp.class", class_file())
    return jar
