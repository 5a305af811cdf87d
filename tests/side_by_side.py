"""Run all tests in two processes: ``python tests/side_by_side.py [arguments of pytest]``.

Tests of the flows wait for servers and jobs more than they work; beside them the others compute.
What one of them prints is shown as it comes, what the other one prints when both have ended.
"""

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
SHOWN, KEPT = ("--ignore=tests/flows", "tests"), ("tests/flows",)


def main(arguments: list[str]) -> int:
    """Run both; return 0 only if both of them do."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryFile() as output:
        processes = [
            subprocess.Popen(_command("others", SHOWN, arguments), cwd=ROOT),
            subprocess.Popen(
                _command("flows", KEPT, arguments),
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
            ),
        ]
        try:
            codes = [process.wait() for process in processes]
        finally:  # also of a run that was interrupted people want to see how far it came
            for process in processes:
                process.terminate()
                process.wait()
            output.seek(0)
            sys.stdout.buffer.write(output.read())
            sys.stdout.flush()
    return next((code for code in codes if code), 0)


def _command(name: str, folders: tuple[str, ...], arguments: list[str]) -> list[str]:
    """Return one of the runs; each has a cache of its own."""
    cache = f"cache_dir=.pytest_cache/{name}"
    return [sys.executable, "-m", "pytest", "-o", cache, *folders, *arguments]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
