"""How commands end when somebody presses Ctrl-C."""

import signal
import threading
from collections.abc import Iterator

import pytest

from flows.endings import Interrupts


@pytest.fixture
def terminal() -> Iterator[None]:
    """Interrupts as a terminal's commands have them; a test run may ignore them."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


def interrupted_wait(lock: threading.Lock) -> None:
    with lock:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            lock.release()  # as a wait that is interrupted leaves it


@pytest.mark.usefixtures("terminal")
def test_an_interrupt_is_counted_also_when_another_error_comes_of_it() -> None:
    lock = threading.Lock()
    with Interrupts() as interrupts:
        with pytest.raises(RuntimeError, match="release unlocked lock"):
            interrupted_wait(lock)
        assert interrupts.count == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_process_that_ignores_interrupts_goes_on_ignoring_them() -> None:
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interrupts() as interrupts:
            signal.raise_signal(signal.SIGINT)
        assert interrupts.count == 0
    finally:
        signal.signal(signal.SIGINT, previous)
