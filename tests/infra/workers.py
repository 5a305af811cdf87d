"""Processes that the crash, race and storage tests start; each task is one function."""

import importlib
import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from infra.errors import RomflowError
from infra.testing import (
    example_provenance,
    example_report,
    put_all,
    small_layout,
    write_all,
    write_frames,
)
from infra.zarr_store import ZarrStore, open_store

# What changes a file system, as Python's audit events; opening covers creating.
_STEPS = frozenset({"open", "os.mkdir", "os.rename", "os.link", "os.remove", "os.rmdir"})


class StepCounter:
    """Counts the operations on the file system, and kills this process just before one."""

    def __init__(self, fatal: int | None = None) -> None:
        self.done = self.last_renaming = 0
        self._fatal = fatal
        sys.addaudithook(self._hook)

    def _hook(self, event: str, _: tuple[object, ...]) -> None:
        if event in _STEPS:
            self.done += 1
            if event == "os.rename":
                self.last_renaming = self.done
            if self.done == self._fatal:
                os.kill(os.getpid(), signal.SIGKILL)


def in_child(step: int | None, task: Callable[[], None]) -> bool:
    """Run the task in a forked process that is killed at a step; return whether it was."""
    child = os.fork()
    if child == 0:
        StepCounter(step)
        task()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0:
        raise RuntimeError(f"the child failed at step {step}")
    return os.WIFSIGNALED(status)


def crash_commits(root: str) -> None:
    """Kill the writer of sample k before its (k+1)-th step, until one reaches its end."""
    store = open_store(Path(root))

    def write(index: int) -> None:
        with store.sink(store.samples[index]) as sink:
            write_all(sink, store.description)

    for index in range(len(store.samples)):
        if not in_child(index + 1, partial(write, index)):
            print(index)
            return


def crash_creations(root: str) -> None:
    """Kill the creation of datasets ``<root>/<step>`` before several steps.

    Those around the last renaming, which makes the dataset visible, are all tried.
    """
    importlib.import_module("infra.zarr_format")  # now, so that its import is not among the steps
    layout = small_layout()
    Path(root).mkdir()
    reader, writer = os.pipe()

    def create_in_full() -> None:
        steps = StepCounter()
        ZarrStore(Path(root, "whole")).create(layout)
        os.write(writer, str(steps.last_renaming).encode())

    in_child(None, create_in_full)
    visible = int(os.read(reader, 100))
    for step in sorted({*range(1, visible, visible // 6), *range(visible - 2, visible + 3)}):
        in_child(step, partial(ZarrStore(Path(root, str(step))).create, layout))


def race(root: str) -> None:
    """Create the dataset and commit every sample, against others; print the own commits."""
    print("ready", flush=True)
    sys.stdin.readline()
    store = ZarrStore(Path(root))
    store.create(small_layout())
    own = []
    for sample in store.samples:
        with store.sink(sample) as sink:
            if not sink.already_committed and write_all(sink, store.description):
                own.append(sample.index)
    print(json.dumps(own))


def hold(root: str) -> None:
    """Enter the sink of sample 0, write the frames, and wait."""
    store = open_store(Path(root))
    with store.sink(store.samples[0]) as sink:
        write_frames(sink, store.description)
        put_all(sink, store.description)
        print("ready", flush=True)
        sys.stdin.readline()
        print(sink.commit(example_report(), example_provenance()))


def fill(root: str, limit: str) -> None:
    """Write sample 0 under a limit of the file size; print the error's name and message."""
    store = open_store(Path(root))
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with store.sink(store.samples[0]) as sink:
            write_all(sink, store.description)
    except RomflowError as error:
        print(type(error).__name__, error)


def light(root: str) -> None:
    """Commit sample 0 and print which heavy libraries that loaded."""
    store = open_store(Path(root))
    with store.sink(store.samples[0]) as sink:
        write_all(sink, store.description)
    print(json.dumps([name for name in ("zarr", "xarray", "dask") if name in sys.modules]))


if __name__ == "__main__":
    tasks: dict[str, Callable[..., None]] = {
        task.__name__: task for task in (crash_commits, crash_creations, race, hold, fill, light)
    }
    tasks[sys.argv[1]](*sys.argv[2:])
