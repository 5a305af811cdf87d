"""Train from memory-mapped frames: ``python _online_stored_trainer.py job.json frames.npy``.

The trainer's loop, model, optimiser, validation and progress lines are ours; the frames come from
one uncompressed .npy file. Where it is not there, it is made of the dataset first, and a line
``converted`` tells how long that took.
"""

import sys
import time
from pathlib import Path

import numpy as np
from _stored_feeds import MappedReader, convert, order_of, stored_steps

from infra.lifeline import die_with_parent, end_with_standard_input
from surrogates.arrivals import HeldOut
from surrogates.devices import prepare_process
from surrogates.job import read_job
from surrogates.learner import Learner
from surrogates.progress_lines import ProgressLines
from surrogates.schedules import make_schedule
from surrogates.study import Study
from surrogates.training import Trainer
from surrogates.training_report import Report
from surrogates.validation import Validator


def main(job_file: str, frames: str) -> None:
    job, path = read_job(Path(job_file)), Path(frames)
    lines = ProgressLines(lambda line: print(line, flush=True), job.training.logging.interval)
    prepare_process(job.training)
    study = Study.of(job)
    if not path.exists():
        started = time.perf_counter()
        convert(job.dataset, path)
        lines.send("converted", seconds=time.perf_counter() - started)
    settings, planned = job.training, job.training.planned_steps(study.expected_items)
    steps = stored_steps(Learner(study.recipe(), settings), MappedReader(study, path))
    schedule = make_schedule(settings.schedule, planned, settings.batch)
    validator = held_out_of(study, path)
    report = Report(lines)
    Trainer(steps, order_of(study), settings, schedule, planned, report, validator).run()


def held_out_of(study: Study, path: Path) -> Validator:
    """Return the held-out trajectories, read from the same file."""
    job, array = study.job, np.load(path, mmap_mode="r")
    validator = Validator(frozenset(job.validation), job.training.validation_batch)
    times = np.array(study.design.times)
    for sample in job.validation:
        validator.add(HeldOut(sample, study.design.mus[sample], times, np.array(array[sample])))
    return validator


if __name__ == "__main__":
    die_with_parent()
    end_with_standard_input()
    main(sys.argv[1], sys.argv[2])
