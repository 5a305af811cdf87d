"""Profiles are read from YAML as they are meant."""

from pathlib import Path

import pytest

from flows.slurm_profile import load_profile
from infra.errors import UserError


def written(folder: Path, text: str) -> str:
    path = folder / "site.yaml"
    path.write_text(text)
    return str(path)


def test_a_key_that_is_given_twice_is_refused_by_its_name(tmp_path: Path) -> None:
    source = written(tmp_path, "kind: slurm\nnodes: 1\npartition: a\nnodes: 2\n")
    with pytest.raises(UserError, match=r"site.yaml: expected each key once, .* several of nodes;"):
        load_profile(source)


def test_one_text_stands_for_a_list_of_one(tmp_path: Path) -> None:
    profile = load_profile(written(tmp_path, "kind: slurm\nsetup: module load gcc\n"))
    assert (profile.name, profile.setup) == ("site", ("module load gcc",))
