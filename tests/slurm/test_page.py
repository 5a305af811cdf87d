"""The page for people with a cluster does what it says."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "slurm.md"


def commands() -> list[list[str]]:
    """Return the commands of the page's first three steps, without `romflow` and comments."""
    text = PAGE.read_text().partition("## The other ways")[0]
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return [shlex.split(line, comments=True)[1:] for b in blocks for line in b.splitlines()]


@pytest.mark.slurm
def test_the_page_leads_from_nothing_to_a_finished_study(site: Any) -> None:
    (profile,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (site.folder / "site.yaml").write_text(profile)
    printed = [site.romflow(*words) for words in commands()]
    assert "2 ranks on 1 nodes" in printed[0]
    assert "#SBATCH --array=0-" in printed[1]
    assert "Submitted" in printed[2]
    root = site.folder / "datasets" / "poisson-demo"
    site.until(
        lambda: re.search("stage +done", site.romflow("status", str(root))), "the end of the study"
    )
    assert (site.folder / "data-catalog" / "poisson-demo" / "README.md").exists()


def test_each_key_of_the_page_is_one_of_profiles() -> None:
    from infra.cluster.profile import Profile

    (profile,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    keys = set(re.findall(r"^(?:# )?([a-z_]+):", profile, re.MULTILINE))
    assert keys
    assert keys <= set(Profile.model_fields)
