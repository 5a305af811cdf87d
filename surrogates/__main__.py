"""Train one surrogate: ``python -m surrogates job.json``.

Progress goes to standard output as JSON lines. Exit codes: 0 the model is saved, 2 the job cannot
work as it is, 3 the data or the stream failed, 1 a crash of this process or of another one of the
training, 143 or 130 a signal asked to stop: after both the same command goes on from the last
checkpoint. With ``--lifeline`` the training ends as soon as its standard input is closed, that is,
when the process that started it is gone, however that came; what it has received is safe, as is its
last checkpoint.
"""

import argparse
import resource
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import final

from infra.errors import RomflowError, UserError
from infra.lifeline import die_with_parent, end_with_standard_input
from infra.signals import tell_crashes

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run the training named on the command line and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m surrogates", description=_first_line())
    parser.add_argument("job", type=Path, help="JSON file that describes the training")
    parser.add_argument("--lifeline", action="store_true", help="end with standard input")
    options = parser.parse_args(arguments)
    tell_crashes()
    if options.lifeline:
        die_with_parent()
        end_with_standard_input()
    signals = _Signals()
    signals.watch()
    return _run(options.job, signals)


def _run(path: Path, signals: "_Signals") -> int:
    from surrogates.job import read_job
    from surrogates.progress_lines import ProgressLines

    lines = ProgressLines(_write_line)
    try:
        job = read_job(path)
        lines = ProgressLines(_write_line, job.training.logging.interval)
        # Heavy: only once the job is known to be right.
        from surrogates.devices import prepare_process
        from surrogates.online import train

        prepare_process(job.training)
        _allow_many_connections()
        outcome = train(job, lines, signals.asked)
    except RomflowError as error:
        lines.send("error", kind=type(error).__name__, message=str(error))
        print(error, file=sys.stderr)
        return _code(error)
    lines.send("finished", reason=outcome.reason, step=outcome.steps)
    return 128 + signals.received if outcome.reason == "stopped" else 0


def _allow_many_connections() -> None:
    """Raise the limit of open files: whoever scans the port shall not take those of the journal."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _code(error: RomflowError) -> int:
    from surrogates.errors import RankLostError

    if isinstance(error, UserError):
        return 2
    # A lost process is a crash, worth another attempt: what failed is not the data.
    return 1 if isinstance(error, RankLostError) else 3


@final
class _Signals:
    """Remembers a wish to stop; the trainer asks for it between its steps."""

    def __init__(self) -> None:
        self.received = 0

    def watch(self) -> None:
        """Take the signals over; elsewhere than in the main thread that cannot be."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._note)

    def asked(self) -> bool:
        """Return whether there was one."""
        return self.received != 0

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        self.received = number


def _write_line(line: str) -> None:
    # In one piece: reception tells its events from another thread.
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _first_line() -> str:
    return (__doc__ or "").splitlines()[0]


if __name__ == "__main__":
    sys.exit(main())
