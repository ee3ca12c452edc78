"""Ctrl-C is heard at whatever moment it comes."""

from __future__ import annotations

import subprocess
import sys

from tests.serving import ROOT

# A child sends signals at every moment of a main thread that looks for them; told by a signal of another kind, it ends.
HAMMERED = """
import os, random, signal, sys, time
from engine.interrupts import Interrupts
over, count, parent = [], 0, os.getpid()
signal.signal(signal.SIGUSR1, lambda *_: over.append(True))
interrupts = Interrupts().listen()
if os.fork() == 0:
    for _ in range(20_000):
        os.kill(parent, signal.SIGINT)
        time.sleep(random.random() * 0.0003)
    os.kill(parent, signal.SIGUSR1)
    os._exit(0)
while not over:
    count += interrupts.came(0.00005)
print(count > 1000)
"""


def test_no_moment_is_too_bad_for_ctrl_c() -> None:
    done = subprocess.run([sys.executable, "-c", HAMMERED], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_each_is_told_once() -> None:
    told = "import os, signal; from engine.interrupts import Interrupts; one = Interrupts().listen(); "
    told += "[os.kill(os.getpid(), number) for number in (signal.SIGINT, signal.SIGTERM)]; print(one.came(5), one.came(5), one.came(0.01))"
    done = subprocess.run([sys.executable, "-c", told], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "True True False\n"
