import json
import subprocess
import sys

import pytest
from pydantic import ValidationError

from infra.errors import UserError
from surrogates.job import TrainingJob, read_job
from surrogates.settings import ReservoirSettings, ScheduleSettings, TrainingSettings


@pytest.fixture
def job(tmp_path):
    return {
        "study": "a1",
        "dataset": str(tmp_path / "data"),
        "run": str(tmp_path / "run"),
        "code": str(tmp_path),
        "samples": [0, 1, 2],
        "validation": [3],
        "training": {"passes": 2},
    }


def test_settings_and_job_load_no_torch():
    code = "import sys, surrogates.job, surrogates.settings; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_job_goes_to_json_and_back(job, tmp_path):
    path = tmp_path / "job.json"
    made = TrainingJob.model_validate(job)
    path.write_text(made.model_dump_json())
    assert read_job(path) == made


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"validation": [2]}, "validation: expected samples that are not trained on"),
        ({"samples": []}, "samples"),
        ({"passes": 3}, "passes"),
        ({"training": {}}, "passes, steps: expected one of the two"),
        ({"training": {"passes": 1, "steps": 1}}, "passes, steps: expected one of the two"),
        ({"training": {"passes": 1, "device": "gpu"}}, "training.device"),
        ({"rendezvous": "a", "replay": "b"}, "rendezvous, replay"),
    ],
)
def test_wrong_job_is_named_in_one_line(job, tmp_path, change, message):
    path = tmp_path / "job.json"
    path.write_text(json.dumps({**job, **change}))
    with pytest.raises(UserError) as caught:
        read_job(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_job_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no\.json: expected a training job"):
        read_job(tmp_path / "no.json")


def test_budget_in_passes_and_in_steps_say_the_same():
    by_passes = TrainingSettings(batch=8, passes=4)
    by_steps = TrainingSettings(batch=8, steps=by_passes.planned_steps(100))
    assert by_passes.planned_steps(100) == 50
    assert by_steps.planned_views(100) == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (TrainingSettings, {"passes": 1, "precision": "float16"}),
        (ScheduleSettings, {"kind": "halving"}),
        (ScheduleSettings, {"kind": "cosine", "every": 3}),
        (ReservoirSettings, {"capacity": 10, "threshold": 10}),
        (TrainingSettings, {"passes": 0}),
        (TrainingSettings, {"passes": 1, "batch": 0}),
    ],
)
def test_settings_that_cannot_work_are_refused(kind, values):
    with pytest.raises(ValidationError):
        kind(**values)
