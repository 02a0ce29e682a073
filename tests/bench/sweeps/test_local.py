"""Runs on this machine, several at a time, with stand-ins of a tenth of a second."""

import fcntl
import os
import signal
import threading
from contextlib import suppress
from dataclasses import replace

import pytest
from support.waiting import wait_until

from starbench.common.signals import Terminated, signals_raised
from starbench.runs.run_folder import BUSY_EXIT_CODE, RunFolder
from starbench.sweeps.local import run_here
from starbench.sweeps.state import State, reason_of, state_of
from starbench.sweeps.work import work_off

WAIT = "(folder / 'ready').touch(); sys.stdin.read()"  # until the sweep that started it ends


def states(commands):
    return {command.name: state_of(RunFolder(command.folder)) for command in commands}


def test_one_failure_stops_no_other_run_and_says_why(make_command, starts):
    commands = [
        make_command("crash", "os.abort()"),
        make_command("error", "sys.exit('Error: the disk is full.')"),
        make_command("nan", status="diverged"),
        make_command("good"),
    ]  # fmt: skip
    work_off(commands, lambda some: run_here(some, jobs=2))
    assert states(commands) == {
        "crash": State.STOPPED, "error": State.STOPPED, "nan": State.DIVERGED, "good": State.OK,
    }  # fmt: skip
    reasons = [reason_of(RunFolder(command.folder)) for command in commands]
    assert reasons == ["Ended by SIGABRT.", "the disk is full.", "its loss became nan", ""]
    assert not RunFolder(commands[3].folder).log.exists()
    assert starts() == dict.fromkeys(states(commands), 1)

    work_off(commands, run_here)  # what is finished is left out
    assert starts() == {"crash": 2, "error": 2, "nan": 1, "good": 1}


def test_force_runs_a_finished_run_again_and_its_continuation_does_not(make_command, starts):
    command = replace(make_command("run"), force=True)
    work_off([command], run_here)
    make_command("run")  # its stand-in needs a row to leave
    work_off([command], run_here)
    assert starts() == {"run": 2}
    work_off([command.continued()], run_here)
    assert starts() == {"run": 2}


def test_as_many_run_at_a_time_as_asked(make_command):
    body = (
        "def count(what): return len(list(folder.parent.glob(f'*/{what}')))\n"
        "(folder / 'arrived').touch()\n"
        "while count('arrived') < 3: pass\n"
        "(folder / 'live.txt').write_text(str(count('arrived') - count('left')))\n"
        "(folder / 'left').touch()"
    )
    commands = [make_command(str(number), body) for number in range(6)]
    work_off(commands, lambda some: run_here(some, jobs=3))
    live = [int((command.folder / "live.txt").read_text()) for command in commands]
    assert max(live) == 3


def test_a_held_run_is_passed_over_and_taken_when_it_is_free(make_command, starts):
    held, other = make_command("held"), make_command("other")
    held.folder.mkdir(parents=True)
    order = []

    def launch(commands):
        for command, code in run_here(commands):
            order.append((command.name, code))
            yield command, code
            if command is other:
                lock.close()  # the process that held it was killed

    lock = RunFolder(held.folder).lock.open("a+")
    fcntl.flock(lock, fcntl.LOCK_EX)
    work_off([held, other], launch)
    assert order == [("held", BUSY_EXIT_CODE), ("other", 0), ("held", 0)]
    assert starts() == {"held": 1, "other": 1}


def test_a_run_that_stays_held_is_left_to_its_process(make_command, starts, capsys):
    held = make_command("held")
    with RunFolder(held.folder).locked():
        work_off([held], run_here, patience=0)
    assert "left to the processes that hold them" in capsys.readouterr().err
    assert starts() == {}


def test_two_sweeps_share_the_runs(make_command, starts):
    commands = [make_command(str(number), "time.sleep(0.05)") for number in range(8)]
    sweeps = [threading.Thread(target=work_off, args=(commands, run_here)) for _ in range(2)]
    for sweep in sweeps:
        sweep.start()
    for sweep in sweeps:
        sweep.join(60)
    assert set(states(commands).values()) == {State.OK}
    assert starts() == dict.fromkeys(states(commands), 1)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGUSR1], ids=lambda end: end.name)
def test_a_signal_ends_the_runs_in_order_and_starts_no_more(make_command, starts, end):
    body = (
        "__import__('signal').signal(15, lambda *_: ((folder / 'saved').touch(), os._exit(143)))\n"
    )
    commands = [make_command("first", body + WAIT), make_command("second")]

    def interrupt():
        wait_until((commands[0].folder / "ready").exists)
        os.kill(os.getpid(), end)

    threading.Thread(target=interrupt).start()
    with pytest.raises(Terminated), signals_raised():
        work_off(commands, run_here)
    assert (commands[0].folder / "saved").exists()
    assert starts() == {"first": 1}


def test_what_a_run_says_is_copied_as_it_says_it(make_command, capsys):
    said = "sys.stderr.write('epoch 1\\nepoch 2\\n')"
    work_off([make_command("run", said)], lambda some: run_here(some, quiet=False))
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if not line.startswith("sweep:")] == [
        "[1 of 1] run", "epoch 1", "epoch 2",
    ]  # fmt: skip


def test_a_full_disk_under_one_run_stops_no_other(make_command, starts, small_disk, capfd):
    lost, good = make_command("lost", "sys.exit(1)"), make_command("good")
    lost.folder.parent.mkdir(parents=True)
    lost.folder.symlink_to(small_disk, target_is_directory=True)
    (small_disk / "starts.txt").write_text("")
    with suppress(OSError):
        (small_disk / "filling").write_bytes(bytes(3_000_000))
    codes = {command.name: code for command, code in run_here([lost, good])}
    assert codes == {"lost": 1, "good": 0}
    assert "log.txt: No space left on device" in capfd.readouterr().err
