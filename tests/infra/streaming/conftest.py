"""Fixtures of the streaming tests: a small study and processes of their own."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.streaming.frames import StreamSpec

type Program = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def spec() -> StreamSpec:
    return StreamSpec("study-1", (("u", 4), ("p", 2)), n_samples=5, n_frames=8)


@pytest.fixture
def program() -> Iterator[Program]:
    """Give a function that starts `programs.py` as a process, which ends with the test."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object) -> subprocess.Popen[str]:
        script = Path(__file__).with_name("programs.py")
        started.append(
            subprocess.Popen(
                [sys.executable, str(script), *map(str, arguments)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()
