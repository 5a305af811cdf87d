"""``python -m surrogates`` as real processes: exit codes, signals, and deaths."""

import json
import signal
import subprocess
import sys
import threading

import psutil
import pytest

from infra.streaming.client import connect
from infra.streaming.frames import stream_spec
from infra.testing import frame_of, small_layout, write_all
from infra.zarr_store import ZarrStore
from surrogates.__main__ import main
from surrogates.checkpoint import CheckpointFolder
from surrogates.job import TrainingJob

N_SAMPLES, N_FRAMES = 5, 4
_LONG = 400.0  # seconds; two starts of PyTorch on a busy machine took 180


@pytest.fixture
def store(tmp_path):
    made = ZarrStore(tmp_path / "data")
    made.create(small_layout(N_SAMPLES, N_FRAMES))
    return made


@pytest.fixture
def job(store, tmp_path):
    """Return a function that writes a job file and returns it with the job."""

    def write(*, live=False, **training):
        logging = {"interval": 0.0}
        settings = {"batch": 3, "passes": 2, "logging": logging, **training}
        made = TrainingJob(
            study=stream_spec(store.description).study,
            dataset=tmp_path / "data",
            run=tmp_path / "run",
            code=tmp_path,
            rendezvous=tmp_path / "rendezvous.json" if live else None,
            samples=(0, 1, 2, 3),
            validation=(4,),
            model={"name": "mlp", "settings": {"hidden": [8]}},
            training=settings,
        )
        path = tmp_path / "job.json"
        path.write_text(made.model_dump_json())
        return path, made

    return write


class Program:
    """A running trainer; what it says is read line by line, with a deadline."""

    def __init__(self, path, *options):
        command = [sys.executable, "-m", "surrogates", str(path), *options]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen(command, text=True, **pipes)
        self.said = []
        self.errors = ""
        self._changed = threading.Condition()
        self._readers = [
            threading.Thread(target=self._read, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def until(self, right):
        """Wait for an event, and return it."""
        with self._changed:
            seen = self._changed.wait_for(
                lambda: any(map(right, self.said)) or self.process.poll() is not None, _LONG
            )
        found = [event for event in self.said if right(event)]
        assert seen, (self.said[-3:], self.errors)
        assert found, (self.said[-3:], self.errors)
        return found[0]

    def code(self):
        """Wait for the end, and return the exit code."""
        code = self.process.wait(_LONG)
        for reader in self._readers:
            reader.join(_LONG)
        return code

    def _read(self):
        for line in self.process.stdout:
            with self._changed:
                self.said.append(json.loads(line))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def _read_errors(self):
        self.errors = self.process.stderr.read()

    def close(self):
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()


@pytest.fixture
def program():
    """Return a function that starts a trainer; all are gone after the test."""
    started = []

    def start(path, *options):
        started.append(Program(path, *options))
        return started[-1]

    yield start
    for one in started:
        one.close()


def _fill(store):
    for sample in store.samples:
        with store.sink(sample) as sink:
            write_all(sink, store.description)


def _send(job, store, index):
    """Be a solver that asks for nothing and waits for nothing."""
    names = [name for name, _ in stream_spec(store.description).fields]
    stream = connect(job.rendezvous, index)
    for k in range(N_FRAMES):
        values = frame_of(store.description, store.samples[index], k)
        stream.send(k, {name: values[name] for name in names})
    stream.finish(0.2)


def _followers(process):
    return [c for c in psutil.Process(process.pid).children() if "spawn_main" in str(c.cmdline())]


def test_missing_and_wrong_jobs_end_with_code_two_and_one_message(tmp_path, capsys):
    for text in (None, "{", '{"study": 3}'):
        path = tmp_path / "job.json"
        if text is not None:
            path.write_text(text)
        assert main([str(path)]) == 2
        out, err = capsys.readouterr()
        assert json.loads(out)["event"] == "error"
        assert "expected a training job" in err
        assert "Traceback" not in err


def test_a_dataset_that_is_gone_ends_with_code_three(job, capsys):
    path, made = job()
    (made.dataset / "layout.json").unlink()
    assert main([str(path)]) == 3
    assert "Traceback" not in capsys.readouterr().err


def test_a_signal_ends_in_a_checkpoint_from_which_the_same_command_goes_on(store, job, program):
    _fill(store)
    path, made = job(passes=10**6, checkpoint_every=1e9)
    first = program(path)
    first.until(lambda event: event["event"] == "training" and event["step"] > 5)
    first.process.send_signal(signal.SIGTERM)
    assert first.code() == 128 + signal.SIGTERM
    last = first.said[-1]
    assert (last["event"], last["reason"]) == ("finished", "stopped")
    folder = CheckpointFolder(made.paths.checkpoints)
    assert folder.read(folder.newest()).trainer["step"] == last["step"]
    second = program(path)
    second.until(lambda event: event["event"] == "training" and event["step"] > last["step"])
    second.process.send_signal(signal.SIGTERM)
    assert second.code() == 128 + signal.SIGTERM
    assert second.said[0]["step"] == last["step"]
    assert second.said[-1]["step"] > last["step"]


def test_a_killed_rank_ends_all_with_a_message_and_the_code_of_a_crash(store, job, program):
    _fill(store)
    path, _ = job(passes=10**6, processes=2)
    trainer = program(path)
    trainer.until(lambda event: event["event"] == "training" and event["step"] > 5)
    (follower,) = _followers(trainer.process)
    follower.kill()
    assert trainer.code() == 1
    assert "process 1 ended with signal SIGKILL" in trainer.errors
    assert trainer.said[-1]["kind"] == "RankLostError"


def test_killed_trainer_loses_no_frame_and_takes_its_ranks_along(store, job, program):
    """Clients are not told: one ends while the trainer is away, and nothing is computed again.

    The lifeline kills it in the middle, as the death of the process that started it would.
    """
    path, made = job(live=True, passes=3, processes=2, checkpoint_every=0.0)
    first = program(path, "--lifeline")
    first.until(lambda event: event["event"] == "receiving")
    _send(made, store, 4)
    _send(made, store, 0)
    first.until(lambda event: event["event"] == "training" and event["admitted"] >= N_FRAMES)
    (follower,) = _followers(first.process)
    first.process.stdin.close()
    assert first.code() == -signal.SIGKILL
    psutil.wait_procs([follower], _LONG)
    assert not follower.is_running()
    _send(made, store, 1)
    job(live=True, passes=3, checkpoint_every=0.0)
    second = program(path)
    second.until(lambda event: event["event"] == "receiving")
    for index in (2, 3):
        _send(made, store, index)
    assert second.code() == 0, second.errors
    metrics = next(e for e in second.said if e["event"] == "model")["metrics"]
    items = 4 * N_FRAMES
    assert (metrics["items"], metrics["visits"], metrics["never_seen"]) == (items, 3 * items, 0)
    assert metrics["decile_ratio"] == 1.0
    assert metrics["validation_frames"] == N_FRAMES
