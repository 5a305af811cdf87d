"""The example of the document on reduced models runs as it is printed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

from flows.rom_study import RomStudy

ROM = Path(__file__).parents[1] / "docs" / "rom.md"


def test_ones_own_solutions_become_a_model_in_at_most_forty_lines(tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", ROM.read_text(), re.DOTALL)
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
    assert (tmp_path / "rod" / "model.json").is_file()


def test_the_file_that_is_shown_is_valid() -> None:
    (shown,) = re.findall(r"```yaml\n(.*?)```", ROM.read_text(), re.DOTALL)
    assert RomStudy.model_validate(yaml.safe_load(shown)).later == 48
