"""The examples of the documents run as they are printed."""

import os
import re
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def test_a_users_own_time_loop_trains_a_surrogate_in_at_most_forty_lines(tmp_path: Path) -> None:
    text = (DOCS / "online.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    lines = [line for line in example.splitlines() if line.strip()]
    assert len(lines) <= 40
    assert len(re.findall(r"stream(?:\.| = )\w+", example)) == 3
    (tmp_path / "own.py").write_text(example)
    done = subprocess.run(
        [sys.executable, "own.py"],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "waves" / "model" / "card.json").is_file()
