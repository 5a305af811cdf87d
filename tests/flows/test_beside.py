"""A flow whose jobs are in Slurm owns its study from its start to its end; no Slurm is needed."""

import threading
from pathlib import Path

import pytest
import yaml

from flows.beside import alone
from flows.study import Study, load_study
from flows.submit import require_idle
from flows.submit_state import SubmissionPaths
from infra.cluster.orphans import Owner, has_owner
from infra.cluster.slurm_commands import Slurm
from infra.errors import UserError
from infra.files import locked

# One after another, as a dataset meets them.
OTHERS = ("local", "dask", "dask-slurm")


def study(folder: Path, profile: str) -> Study:
    path = folder / "study.yaml"
    settings = {
        "name": "mine",
        "problem": {"name": "poisson"},
        "run": {"profile": profile},
        "output": str(folder / "out"),
        "catalog": str(folder / "catalog"),
    }
    path.write_text(yaml.safe_dump(settings))
    return load_study(str(path))


def test_neither_a_submission_nor_another_flow_is_let_in_before_there_is_a_job(
    tmp_path: Path,
) -> None:
    chosen = study(tmp_path, "slurm")
    paths, told = SubmissionPaths(chosen.dataset), "expected a study that nobody computes"
    with alone(chosen):
        with pytest.raises(UserError, match=told):
            require_idle(paths, Slurm())
        with pytest.raises(UserError, match=told), alone(chosen):
            pass
        assert has_owner(paths.folder)  # whoever was refused has ended nothing
    require_idle(paths, Slurm())
    with alone(chosen):
        pass


@pytest.mark.parametrize("error", [UserError, KeyboardInterrupt, SystemExit])
def test_a_flow_that_fails_or_is_interrupted_owns_nothing(
    tmp_path: Path, error: type[BaseException]
) -> None:
    chosen = study(tmp_path, "slurm")
    with pytest.raises(error), alone(chosen):
        raise error
    assert not has_owner(chosen.dataset / "slurm")
    assert not list((chosen.dataset / "slurm").glob("run-*"))


@pytest.mark.parametrize("profile", OTHERS)
def test_a_flow_without_jobs_of_its_own_in_slurm_leaves_no_question(
    tmp_path: Path, profile: str
) -> None:
    chosen = study(tmp_path, profile)
    with alone(chosen):
        assert not chosen.dataset.exists()


def test_who_comes_while_another_is_let_in_waits_and_is_refused(tmp_path: Path) -> None:
    chosen = study(tmp_path, "slurm")
    paths, said = SubmissionPaths(chosen.dataset), list[str]()
    paths.folder.mkdir(parents=True)

    def second() -> None:
        try:
            with alone(chosen):
                said.append("let in")
        except UserError as error:
            said.append(str(error))

    thread, first = threading.Thread(target=second), Owner(paths.folder)
    with locked(paths.lock):
        thread.start()
        thread.join(1.0)
        assert thread.is_alive()  # it has looked, and found nobody
        first.take()
    thread.join()
    first.release()
    assert [text for text in said if "expected a study that nobody computes" in text] == said
    assert said
