"""The example of the document on structures runs as it is printed."""

import os
import re
import subprocess
import sys
from pathlib import Path

STRUCTURES = Path(__file__).parents[1] / "docs" / "structures.md"


def test_a_structure_is_reduced_in_at_most_forty_lines(tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", STRUCTURES.read_text(), re.DOTALL)
    assert len([line for line in example.splitlines() if line.strip()]) <= 40
    (tmp_path / "own.py").write_text(example)
    done = subprocess.run(
        [sys.executable, "-W", "error", "own.py"],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = re.search(r"error (\S+), largest plasticity (\S+)", done.stdout)
    assert found is not None, done.stdout
    assert float(found[1]) < 0.02
    assert float(found[2]) > 0.0
