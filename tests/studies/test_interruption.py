"""Ctrl-C: a wish while a study runs, the end at once while there is nothing to finish yet."""

import fcntl
import os
import signal
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import psutil
import pytest

from autometa.studies.interruption import Interruption, holding_back_interruption, interruption

ROOT = Path(__file__).parents[2]


def _press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_the_first_is_a_wish_and_the_second_the_end() -> None:
    """In the block the first Ctrl-C is noted, the second raises; after it all is as before."""
    before = signal.getsignal(signal.SIGINT)
    with interruption() as wish:
        assert not wish()
        _press()
        assert wish()
        with pytest.raises(KeyboardInterrupt):
            _press()
    assert signal.getsignal(signal.SIGINT) is before


def test_a_thread_catches_nothing() -> None:
    """A study in a thread runs as it is: only the main thread hears of signals."""
    before, wishes = signal.getsignal(signal.SIGINT), list[Interruption]()

    def run() -> None:
        with interruption() as wish:
            assert signal.getsignal(signal.SIGINT) is before
            wishes.append(wish)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert [wish() for wish in wishes] == [False]


def test_what_is_held_back_comes_later_and_never_to_a_process_started_meanwhile() -> None:
    """The user's Ctrl-C is not lost, and a worker that is still starting does not die of it."""
    with interruption() as wish:
        with holding_back_interruption():
            program = "import time; print('runs', flush=True); time.sleep(60)"
            child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
            try:
                assert child.stdout is not None
                assert child.stdout.readline() == b"runs\n"  # one that still starts hears nothing
                _press()
                assert not wish()
                child.send_signal(signal.SIGINT)
                time.sleep(0.5)
                assert child.poll() is None
            finally:
                child.kill()
                child.communicate()
        assert wish()


def test_what_is_held_back_comes_though_an_error_leaves_the_block() -> None:
    """The error goes on, the wish is heard, and all is as before."""

    def fail() -> None:
        with holding_back_interruption():
            _press()
            raise ValueError("broken")

    with interruption() as wish:
        before = signal.getsignal(signal.SIGINT)
        with pytest.raises(ValueError, match="broken"):
            fail()
        assert wish()
        assert signal.getsignal(signal.SIGINT) is before
        assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_two_that_are_held_back_are_the_end() -> None:
    """A second Ctrl-C is not lost where another thread received both."""

    def press_twice() -> None:
        with holding_back_interruption():
            for _ in range(2):
                _press()
                time.sleep(0.1)  # two at once would be one

    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        with interruption() as wish:
            with pytest.raises(KeyboardInterrupt):
                press_twice()
            assert wish()
    finally:
        done.set()
        thread.join()


def test_what_another_thread_receives_is_held_back_too() -> None:
    """The system gives Ctrl-C to any thread that does not block it; it is not heard earlier."""
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        with interruption() as wish:
            with holding_back_interruption():
                _press()
                time.sleep(0.1)  # the other thread wakes up first
                assert not wish()
            assert wish()
    finally:
        done.set()
        thread.join()


def test_while_the_table_is_read_it_ends_the_run_at_once(tmp_path: Path) -> None:
    """A terminal's Ctrl-C, which the starting workers get as well, leaves with 130 and silence."""
    command = [sys.executable, "-m", "autometa", "tune", "-", "--target", "y", "--jobs", "1"]
    table, never_closed = os.pipe()
    os.write(never_closed, b"x,y\n")
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env={
            **os.environ,
            "AUTOMETA_STORE": "store.db",
            "PYTHONPATH": str(ROOT),
            "PYTHONFAULTHANDLER": "1",
        },
        stdin=table,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        # a shell's background jobs ignore Ctrl-C, and so would all that they start
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    )
    try:
        _wait_until_read(table)
        os.killpg(process.pid, signal.SIGINT)
        out, err = _communicate_or_tell(process)
    finally:
        process.kill()
        process.communicate()
        os.close(table)
        os.close(never_closed)
    assert (process.returncode, out) == (130, b"")
    assert b"Traceback" not in err


def _communicate_or_tell(process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    """What it wrote until its end; one that hangs is made to say where, and with what children."""
    try:
        return process.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        children = psutil.Process(process.pid).children(recursive=True)
        commands = [child.cmdline() for child in children]
        process.send_signal(signal.SIGABRT)
        for child in children:
            child.kill()
        _, err = process.communicate(timeout=30)
        raise AssertionError(f"still there after 30 s, with {commands}: {err!r}") from None


def _wait_until_read(pipe: int) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        waiting = fcntl.ioctl(pipe, termios.FIONREAD, bytes(4))
        if not int.from_bytes(waiting, sys.byteorder):
            # a signal just before the next read begins to wait is not heard until it ends
            time.sleep(0.5)
            return
        time.sleep(0.01)
    raise AssertionError("nothing was read in a minute")
