"""Compute one chunk: ``OMP_NUM_THREADS=1 mpiexec -n 2 python -m solvers chunk.json``.

Progress goes to standard output as JSON lines. Exit codes: 0 the chunk is through (failed samples
are recorded, and are not an error here), 2 the chunk cannot be read, 3 the dataset cannot be
used, 1 a crash. With ``--lifeline`` the job ends as soon as its standard input is closed, that
is, when the process that started it is gone, however that came.
"""

import argparse
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from infra.errors import RomflowError, UserError
from infra.lifeline import die_with_parent, end_with_standard_input, wait_until_read
from infra.signals import tell_crashes

__all__ = ["main", "run_job"]

# How long a crashed rank waits for its traceback to be read before it ends the job, seconds.
_LAST_WORDS = 5.0


def main(arguments: list[str] | None = None) -> int:
    """Run the chunk named on the command line and return the exit code."""
    return run_job("python -m solvers", __doc__, "chunk", _run, arguments)


def run_job(
    program: str,
    text: str,
    name: str,
    compute: Callable[[Path, Any], None],
    arguments: list[str] | None = None,
) -> int:
    """Compute on all ranks what a command line names, and return the exit code, see the module.

    Parameters
    ----------
    program : how it is called, for the usage
    text : its first line says in the help what is computed
    name : of the argument, a JSON file
    compute : called with the file and the communicator; it raises a `RomflowError` on every rank
    arguments : by default those of the process
    """
    parser = argparse.ArgumentParser(prog=program, description=text.splitlines()[0])
    parser.add_argument("job", metavar=name, type=Path, help=f"JSON file that describes the {name}")
    parser.add_argument("--lifeline", action="store_true", help="end with standard input")
    options = parser.parse_args(arguments)
    tell_crashes(all_threads=False)
    if options.lifeline:
        die_with_parent()
    try:
        from solvers.backend import MPI  # heavy: only once the arguments are known to be right

        comm = MPI.COMM_WORLD
        if options.lifeline and comm.rank == 0:
            end_with_standard_input()
        return _code(compute, options.job, comm)
    except BaseException:
        # One rank is lost: the others would wait for it for ever.
        traceback.print_exc()
        sys.stderr.flush()
        for stream in (1, 2):
            wait_until_read(stream, _LAST_WORDS)
        mpi = sys.modules.get("mpi4py.MPI")
        if mpi is not None and mpi.Is_initialized():
            mpi.COMM_WORLD.Abort(1)
        raise


def _code(compute: Callable[[Path, Any], None], path: Path, comm: Any) -> int:
    try:
        compute(path, comm)
    except RomflowError as error:  # raised on every rank
        if comm.rank == 0:
            print(error, file=sys.stderr)
        return 2 if isinstance(error, UserError) else 3
    return 0


def _run(path: Path, comm: Any) -> None:
    from solvers.ranks import on_rank_zero
    from solvers.worker import Events, run_chunk, write_line

    events = Events(write_line)
    try:
        run_chunk(on_rank_zero(comm, lambda: _read(path)), comm, events)
    except RomflowError as error:
        if comm.rank == 0:
            events.send("error", kind=type(error).__name__, message=str(error))
        raise
    if comm.rank == 0:
        events.send("finished")


def _read(path: Path) -> Any:
    from solvers.chunk import ChunkJob, validation_message

    try:
        return ChunkJob.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(
            f"{path}: expected a chunk file, received: {error.strerror}. "
            "Start the study again; it writes its chunks anew."
        ) from error
    except ValidationError as error:
        raise UserError(
            f"{path}: expected a chunk, received: {validation_message(error)}. "
            "Start the study again; it writes its chunks anew."
        ) from error


if __name__ == "__main__":
    sys.exit(main())
