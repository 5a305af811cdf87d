"""A whole training over an encrypted network, with a stranger at its gate."""

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter

from infra.errors import StreamError
from infra.streaming.client import ClientLimits, connect
from infra.streaming.curve import new_keys
from infra.streaming.frames import stream_spec
from infra.streaming.rendezvous import Rendezvous
from infra.testing import frame_of, small_layout
from infra.zarr_store import ZarrStore
from surrogates.job import TrainingJob
from surrogates.online import train
from surrogates.progress_lines import ProgressLines
from surrogates.settings import ReceptionSettings

N_SAMPLES, N_FRAMES = 5, 4


@pytest.mark.parametrize(
    ("given", "carried"),
    [
        ({}, "local"),
        ({"interface": "127.0.0.1"}, "local"),
        ({"interface": "*"}, "tcp"),
        ({"transport": "tcp"}, "tcp"),
        ({"transport": "tcp", "interface": "127.0.0.1"}, "tcp"),
    ],
)
def test_what_others_reach_is_encrypted(given: dict[str, Any], carried: str) -> None:
    assert ReceptionSettings.model_validate(given).carried == carried


def test_a_training_turns_a_stranger_away_tells_of_it_and_goes_on(tmp_path: Path) -> None:
    store = ZarrStore(tmp_path / "data")
    store.create(small_layout(N_SAMPLES, N_FRAMES))
    job = TrainingJob(
        study=stream_spec(store.description).study,
        dataset=tmp_path / "data",
        run=tmp_path / "run",
        code=tmp_path,
        rendezvous=tmp_path / "keys" / "trainer.json",
        samples=(0, 1, 2, 3),
        validation=(4,),
        model={"name": "mlp", "settings": {"hidden": [8]}},
        reception={"transport": "tcp", "interface": "127.0.0.1"},
        training={"passes": 2, "batch": 3},
    )
    said: list[str] = []
    refusals: list[str] = []
    solver = threading.Thread(target=_solve, args=(job, store, refusals))
    solver.start()
    torch.set_num_threads(1)
    outcome = train(job, ProgressLines(said.append))
    solver.join()
    assert outcome.reason == "data"
    assert "key is wrong or has expired" in refusals[0]
    events = [json.loads(line) for line in said]
    (told,) = [event for event in events if event["event"] == "turned-away"]
    assert told["peer"] == "127.0.0.1"
    assert "127.0.0.1 was turned away" in told["message"]
    card = json.loads((job.paths.model / "card.json").read_text())
    assert (card["metrics"]["items"], card["metrics"]["never_seen"]) == (4 * N_FRAMES, 0)


def _solve(job: TrainingJob, store: ZarrStore, refusals: list[str]) -> None:
    """Try another key first, then be a solver."""
    path = job.rendezvous
    assert path is not None
    while not path.exists():
        threading.Event().wait(0.01)
    known, (keys, _) = Rendezvous.read(path), new_keys(path.with_name("other.key"))
    assert known.keys is not None
    stolen = replace(keys, server=known.keys.server)
    forged = path.with_name("forged.json")
    forged.write_bytes(TypeAdapter(Rendezvous).dump_json(replace(known, keys=stolen)))
    limits = ClientLimits(welcome_seconds=60.0, refused_seconds=0.2)
    try:
        with connect(forged, 0, limits=limits) as stream:
            _ = stream.held
    except StreamError as error:
        refusals.append(str(error))
    for sample in store.samples:
        with connect(path, sample.index, limits=limits) as stream:
            for frame in range(N_FRAMES):
                values = frame_of(store.description, sample, frame)
                stream.send(frame, {name: values[name] for name, _ in stream.spec.fields})
