"""What a process does at signals stays what it was."""

import ctypes
import os
import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from infra.signals import signals_kept


@pytest.fixture
def heard() -> Iterator[list[int]]:
    """Give a list that receives SIGTERM."""
    found: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _frame: found.append(number))
    yield found
    signal.signal(signal.SIGTERM, before)


def take_all() -> None:
    """Do what some libraries do: set the defaults, behind Python's back."""
    set_handler = ctypes.CDLL(None).signal
    for number in (signal.SIGTERM, signal.SIGPIPE, signal.SIGINT):
        set_handler(number, None)


def in_a_thread(work: Callable[[], None]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def disturbed() -> None:
    with signals_kept():
        take_all()


@pytest.mark.parametrize("where", [lambda work: work(), in_a_thread])
def test_signals_do_what_they_did_before(
    heard: list[int], where: Callable[[Callable[[], None]], None]
) -> None:
    where(disturbed)
    os.kill(os.getpid(), signal.SIGTERM)
    assert heard == [signal.SIGTERM]
    reading, writing = os.pipe()
    os.close(reading)
    with pytest.raises(BrokenPipeError):
        os.write(writing, b"words")
    os.close(writing)


def test_signals_are_restored_after_an_error(heard: list[int]) -> None:
    def fail() -> None:
        with signals_kept():
            take_all()
            raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        fail()
    os.kill(os.getpid(), signal.SIGTERM)
    assert heard == [signal.SIGTERM]
