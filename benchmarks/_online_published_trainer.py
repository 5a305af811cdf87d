"""Train as published: ``python _online_published_trainer.py job.json frames.npy address.txt``.

The loop of `_published_loop.py` with our model, optimiser and validation. It writes its address
into a file, for the simulations. The held-out trajectories are on disk before it begins, as in
the published runs: they come from the .npy file.
"""

import sys
import time
from pathlib import Path

from _online_fit import Loop
from _online_pair import publish_text
from _online_stored_trainer import held_out_of
from _published_loop import PublishedBuffer, PublishedServer, published_batches

from infra.lifeline import die_with_parent, end_with_standard_input
from surrogates.batch import Batch
from surrogates.devices import prepare_process
from surrogates.job import read_job
from surrogates.progress_lines import ProgressLines
from surrogates.study import Study


def main(job_file: str, frames: str, address: str) -> None:
    job = read_job(Path(job_file))
    lines = ProgressLines(lambda line: print(line, flush=True), job.training.logging.interval)
    prepare_process(job.training)
    study = Study.of(job)
    design, settings = study.design, job.reservoir
    threshold = study.expected_items // 20  # the share of the published run
    buffer = PublishedBuffer(settings.capacity, threshold, job.training.seed)

    def inputs(simulation: int, step: int) -> list[float]:
        return [*design.mus[simulation], design.times[step]]

    server = PublishedServer(buffer, inputs, len(job.samples), design.n_frames)
    server.start()
    publish_text(Path(address), server.address)
    planned = job.training.planned_steps(study.expected_items)
    loop, validator = Loop(study, (), planned), held_out_of(study, Path(frames))
    for x, y in published_batches(buffer, job.training.batch):
        loop.step(Batch.of(x, y))
        if loop.steps % job.training.validation_every == 0:
            with buffer.mutex:  # as published
                score = validator.score(loop.learner.surrogate)
            lines.send("validated", step=loop.steps, validation_error=score.error)
    lines.send("finished", steps=loop.steps, reception=server.ended - time.monotonic())


if __name__ == "__main__":
    die_with_parent()
    end_with_standard_input()
    main(*sys.argv[1:4])
