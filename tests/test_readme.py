"""The README's ten lines run as they stand, in a fresh folder and a fresh interpreter."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


@pytest.mark.mpi
def test_the_ten_lines_from_study_to_query_run(tmp_path: Path) -> None:
    found = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    assert len([line for line in found.group(1).splitlines() if line]) <= 10
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", found.group(1)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert 0.1 < float(done.stdout) < 1.0


def test_the_figures_of_the_readme_exist() -> None:
    figures = re.findall(r"!\[.*?\]\((.*?)\)", README.read_text(encoding="utf-8"))
    assert figures
    assert all((README.parent / figure).is_file() for figure in figures)
