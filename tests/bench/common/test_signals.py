"""Signals that end a process in order."""

import subprocess
import sys

PROGRAM = """
from starbench.common.signals import Terminated, end_with_standard_input, signals_raised
try:
    with signals_raised():
        end_with_standard_input()
        print("ready", flush=True)
        while True:
            pass
except Terminated as end:
    print(end.name)
"""


def test_a_process_ends_in_order_when_its_standard_input_does():
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n"
        process.stdin.close()
        assert process.stdout.read() == "SIGTERM\n"
