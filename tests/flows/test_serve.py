"""`romflow serve` and `romflow keys`: the real command line, a real service, real jobs."""

import json
import re
import signal
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from flows.rom_study import RomStudy, load_rom
from flows.serve import at_home, enriched_rom
from infra.errors import UserError
from infra.field_space import FieldInfo, FieldSpace
from rom.array_snapshots import ArraySnapshots
from rom.building import build
from rom.enrichment import EnrichmentSettings
from rom.reduced_model import ReducedModel
from rom.registry import Registry
from rom.settings import ReducedModelSettings

type Until = Callable[[Callable[[], Any], str], None]

MEDIA: dict[str, Any] = {
    "name": "media-rom",
    "study": {
        "name": "media",
        "problem": {"name": "darcy", "settings": {"cells": 6, "modes": 2}},
        "parameters": {
            "contrast": {"low": 3.0, "high": 30.0},
            "xi_0": 1.0,
            "xi_1": {"low": -1.0, "high": 1.0},
        },
        "sampling": {"samples": 8, "seed": 3},
        "run": {"ranks": 1, "chunk_size": 16, "workers": 1, "retries": 0},
    },
    "validation": 4,
    "room": 6,
    "fields": ["pressure"],
    "model": {"tolerance": 1e-2, "regressor": "rbf"},
}


def line() -> ReducedModel:
    """Return a model of a parabola on a line."""
    x = np.linspace(0.0, 1.0, 11)
    cells = np.stack([np.arange(10), np.arange(1, 11)], axis=1)
    fields = (FieldInfo("u", "m", 11, "vertex"),)
    space = FieldSpace(fields, {"vertex": x[:, np.newaxis]}, {"vertex": cells})
    mus = np.linspace(1.0, 2.0, 6)[:, np.newaxis]
    values = mus * x**2 + mus**2 * x
    snapshots = ArraySnapshots(space, ("a",), mus, values, quantities={"end": values[:, -1]})
    settings = ReducedModelSettings(options={"restarts": 0})
    return build(snapshots, settings, np.random.default_rng(0), name="line")


def asked(url: str, data: object = None, key: str = "", method: str | None = None) -> Any:
    """Return the JSON of an answer."""
    body = None if data is None else json.dumps(data).encode()
    head = {"Content-Type": "application/json"} | ({"X-API-Key": key} if key else {})
    request = urllib.request.Request(url, body, head, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


def address(folder: Any, until: Until) -> str:
    """Wait until a service says where it is."""
    said = folder.path / "stderr"
    until(lambda: re.search(r"at (http://\S+)", said.read_text()), "the service's address")
    found = re.search(r"at (http://\S+)", said.read_text())
    assert found is not None
    return found[1]


def test_a_service_answers_for_the_models_of_a_folder_until_it_is_ended(
    folder: Any, until: Until
) -> None:
    Registry(folder.path / "models").publish(line())
    process = folder.start("serve", "--port", 0, "--no-jobs")
    try:
        url = address(folder, until)
        answer = asked(f"{url}/api/models/line/query", {"mu": {"a": 1.5}})
        assert "end" in json.dumps(answer)
        with pytest.raises(urllib.error.HTTPError) as refused:
            asked(f"{url}/api/models/line/compare", {"mu": {"a": 1.5}})
        assert refused.value.code in (404, 501)  # nobody computes here
        refused.value.close()
    finally:
        process.send_signal(signal.SIGTERM)
        done = folder.wait(process)
    assert done.returncode in (0, 143), done.stderr
    assert "Traceback" not in done.stderr


def test_an_open_address_needs_keys_and_keys_are_asked_for(folder: Any, until: Until) -> None:
    Registry(folder.path / "models").publish(line())
    done = folder.romflow("serve", "--host", "0.0.0.0", "--port", 0, "--no-jobs")
    assert done.returncode == 2
    assert "romflow keys add" in done.stderr
    made = folder.romflow("keys", "add", "Ada", "--scope", "query")
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()
    assert key not in (folder.path / ".romflow/keys.json").read_text()
    assert "Ada" in folder.romflow("keys", "list").stdout
    process = folder.start("serve", "--port", 0, "--no-jobs")
    try:
        url = address(folder, until)
        with pytest.raises(urllib.error.HTTPError) as refused:
            asked(f"{url}/api/models")
        assert refused.value.code == 401
        refused.value.close()
        assert "line" in json.dumps(asked(f"{url}/api/models", key=key))
    finally:
        process.send_signal(signal.SIGTERM)
        folder.wait(process)
    gone = folder.romflow("keys", "revoke", "Ada")
    assert gone.returncode == 0
    assert "No key in" in folder.romflow("keys", "list").stdout
    again = folder.romflow("keys", "revoke", "Ada")
    assert again.returncode == 2
    assert "Expected a key out of none" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["serve", "--port", "99999"], "65535"),
        (["serve", "--keys", "nothing.json", "--no-jobs"], "expected a file of keys"),
        (["keys", "add", "Ada", "--scope", "everything"], "query, enrich, admin"),
        (["keys", "add"], "--name"),
    ],
)
def test_mistakes_are_refused(folder: Any, arguments: list[str], text: str) -> None:
    done = folder.romflow(*arguments)
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_enrichment_goes_on_from_what_a_model_knows_as_far_as_there_is_room() -> None:
    rom = RomStudy.model_validate(MEDIA)
    lineage = {"rom": rom.model_dump(mode="json"), "samples": [*range(8), 12, 13]}
    card = line().card.model_copy(update={"lineage": lineage})
    more = EnrichmentSettings(tolerance=0.01, budget=3, batch=3)
    found = enriched_rom(card, more)
    assert found.enrichment is not None
    assert found.enrichment == more
    assert found.data == rom.data  # one dataset
    with pytest.raises(UserError, match="at most 4 simulations"):
        enriched_rom(card, more.model_copy(update={"budget": 5}))
    with pytest.raises(UserError, match="build-rom"):
        enriched_rom(line().card, more)


def test_samples_are_added_to_the_dataset_of_the_model_wherever_the_service_runs(
    tmp_path: Path,
) -> None:
    rom = RomStudy.model_validate(MEDIA)
    place = tmp_path / "elsewhere" / rom.data.name
    card = line().card.model_copy(update={"lineage": {"dataset": str(place)}})
    with pytest.raises(UserError, match="it is gone"):
        at_home(rom, card, tmp_path / "served")
    place.mkdir(parents=True)
    found = at_home(rom, card, tmp_path / "served")
    assert (found.data.dataset, found.registry) == (place, tmp_path / "served")


@pytest.mark.mpi
@pytest.mark.server
def test_the_service_computes_the_truth_and_enriches_a_model(folder: Any, until: Until) -> None:
    places = {"output": str(folder.path / "out"), "catalog": str(folder.path / "catalog")}
    study = MEDIA["study"] | places
    text = yaml.safe_dump({**MEDIA, "study": study, "output": str(folder.path / "models")})
    Path(folder.path / "media-rom.yaml").write_text(text)
    assert load_rom(str(folder.path / "media-rom.yaml")).later == 6
    done = folder.romflow("run", "build-rom", "--rom", "media-rom.yaml")
    assert done.returncode == 0, done.stderr
    process = folder.start("serve", "--port", 0)
    try:
        url = address(folder, until)
        mu = {"contrast": 10.0, "xi_1": 0.2}
        started = asked(f"{url}/api/models/media-rom/compare", {"mu": mu})
        compared = ended(url, started["job"], until)
        assert compared["state"] == "done", compared
        assert compared["result"]["error"] < 0.5
        assert compared["arrays"] == ["pressure"]
        goal = {"tolerance": 1e-9, "budget": 2, "batch": 2, "pool": 64}
        started = asked(f"{url}/api/models/media-rom/enrich", goal)
        enriched = ended(url, started["job"], until)
        assert enriched["state"] == "done", enriched
        assert enriched["result"]["version"] == 2
        assert enriched["result"]["simulations"] == 10
    finally:
        process.send_signal(signal.SIGTERM)
        done = folder.wait(process)
    assert "Traceback" not in done.stderr


def ended(url: str, job: str, until: Until) -> Any:
    final = ("done", "failed", "cancelled")
    until(lambda: asked(f"{url}/api/jobs/{job}")["state"] in final, "the end of a job")
    return asked(f"{url}/api/jobs/{job}")
