"""Reduced models from study to query: the real command line, MPI jobs and registry."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import yaml

from flows.cli import main
from flows.rom_data import RomData
from flows.rom_design import rom_design
from flows.rom_enrich import build_from
from flows.rom_study import RomStudy, load_rom, shipped_roms, with_rom_settings
from infra.cluster import LocalCluster
from infra.errors import UserError
from infra.zarr_store import open_store
from rom.registry import Registry

type Done = "subprocess.CompletedProcess[str]"
type Command = Callable[..., Done]
type Until = Callable[[Callable[[], Any], str], None]

TINY: dict[str, Any] = {
    "name": "tiny-rom",
    "description": "A tiny porous medium.",
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
    "validation": 6,
    "fields": ["pressure"],
    "quantities": ["mean_pressure", "outflow_right"],
    "model": {"tolerance": 1e-2, "regressor": "rbf"},
    "enrichment": {"tolerance": 1e-9, "budget": 4, "batch": 2, "pool": 64},
}


def written(folder: Any, **changes: Any) -> str:
    """Write the tiny model's study with other entries; return its file's name."""
    study = {**TINY["study"], "output": str(folder.path / "out")}
    study |= {"catalog": str(folder.path / "catalog"), **changes.pop("study", {})}
    settings = {**TINY, "output": str(folder.path / "models"), **changes, "study": study}
    name = f"{settings['name']}.yaml"
    (folder.path / name).write_text(yaml.safe_dump(settings))
    return name


def loaded(folder: Any, **changes: Any) -> RomStudy:
    return load_rom(str(folder.path / written(folder, **changes)))


def run(plan: Any) -> None:
    """Compute chunks without Prefect."""
    for chunk in plan.chunks:
        done = LocalCluster().run(["solvers", str(chunk.job)], 1, chunk.log)
        assert done.code == 0, done.errors


def built(folder: Any, *arguments: object, **changes: Any) -> Done:
    file = written(folder, **changes)
    done: Done = folder.romflow("run", "build-rom", "--rom", file, *arguments)
    return done


@pytest.fixture
def romflow(
    folder: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Give the command line without the start of an interpreter."""
    monkeypatch.chdir(folder.path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> Done:
        words = ["romflow", *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        return subprocess.CompletedProcess(words, int(end.value.code or 0), said.out, said.err)

    return run


def assert_refused(done: Done, *texts: str) -> None:
    assert done.returncode == 2, (done.stdout, done.stderr)
    for text in texts:
        assert text in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.mpi
def test_a_study_becomes_a_model_that_answers_compares_and_knows_its_worth(
    folder: Any, romflow: Command
) -> None:
    done = built(folder, room=5)
    assert done.returncode == 0, done.stderr
    registry = Registry(folder.path / "models")
    card = registry.card("tiny-rom")
    assert registry.versions("tiny-rom") == (1,)
    assert card.training.trajectories == 12
    assert card.lineage["held_out"] == list(range(8, 14))
    assert card.lineage["enrichment"]["stop"] == "budget"
    # One dataset has grown, and is in the catalogue with all that was computed.
    store = open_store(folder.path / "out" / "tiny-rom")
    assert store.committed() == frozenset(range(18))
    assert [len(record.samples) for record in store.draws()] == [2, 2]
    report = (folder.path / "models/tiny-rom/reports/v0001/report.html").read_text()
    for text in ("errors below the indicator", "Enrichment", "Is it worth it?", "data:image/png"):
        assert text in report
    entry = yaml.safe_load((folder.path / "catalog/models/tiny-rom/entry.yaml").read_text())
    assert entry["versions"][0]["training"] == card.training.digest
    for figure in entry["figures"]:
        assert (folder.path / "catalog/models/tiny-rom" / figure).stat().st_size > 5000
    assert (folder.path / "catalog/tiny-rom/entry.yaml").is_file()

    query(folder, romflow)
    compare(romflow)
    worth = romflow("worth", "tiny-rom")
    assert worth.returncode == 0, worth.stderr
    assert "has paid after" in worth.stdout
    assert "tiny-rom" in romflow("models").stdout

    # A second run finds all done: no simulation, no version, the same rounds.
    again = built(folder, room=5)
    assert again.returncode == 0, again.stderr
    assert "which was there already" in again.stdout
    assert registry.versions("tiny-rom") == (1,)
    assert len(store.draws()) == 2

    # What an enrichment has added belongs to the first model of one with other settings, which
    # adds its own samples, as far as there is room, once.
    for _ in range(2):
        other = built(folder, "--set", "enrichment.batch=4", room=5)
        assert other.returncode == 0, other.stderr
        assert "2 rounds of earlier enrichments" in other.stderr
        assert "room for 1 of the 4" in other.stderr
        assert registry.versions("tiny-rom") == (1, 2)
        assert [len(record.samples) for record in store.draws()] == [2, 2, 1]
    newest = registry.card("tiny-rom")
    assert newest.training.trajectories == 13
    assert newest.lineage["enrichment"]["before"] == [14, 15, 16, 17]

    # Without its dataset it answers all the same.
    (folder.path / "out" / "tiny-rom").rename(folder.path / "moved")
    asked = ["--mu", "contrast=10", "--mu", "xi_1=0.3"]
    assert romflow("query", "tiny-rom", *asked).returncode == 0
    assert_refused(romflow("compare", "tiny-rom"), "Expected the dataset of tiny-rom", "--mu")


def query(folder: Any, romflow: Command) -> None:
    asked = ["--mu", "contrast=10", "--mu", "xi_1=0.3"]
    done = romflow("query", "tiny-rom", *asked, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    model = Registry(folder.path / "models").load("tiny-rom")
    direct = model.query({"contrast": 10.0, "xi_1": 0.3})
    assert found["values"]["mean_pressure"] == pytest.approx(direct.values["mean_pressure"][0, 0])
    assert found["trust"]["in_range"] is True
    assert found["trust"]["indicator"] == pytest.approx(direct.eta[0])
    written_ = ["--select", "field", "--output", "f.npz", "--picture", "f.png"]
    done = romflow("query", "tiny-rom", *asked, *written_)
    assert done.returncode == 0, done.stderr
    assert "Relative error of the fields below" in done.stdout
    with np.load(folder.path / "f.npz") as arrays:
        fields = model.query({"contrast": 10.0, "xi_1": 0.3}, select="fields")
        np.testing.assert_allclose(arrays["pressure"], fields.values["pressure"][0])
    assert (folder.path / "f.png").stat().st_size > 5000
    probes = ["--select", "probe=0.5,0.5", "--select", "probe=0.25,0.5"]
    done = romflow("query", "models/tiny-rom/v0001", *asked, *probes, "--json")
    assert np.shape(json.loads(done.stdout)["values"]["pressure"]) == (1, 2)
    done = romflow("query", "tiny-rom", "--mu", "contrast=99", "--mu", "xi_1=0.3")
    assert done.returncode == 0
    assert "contrast 99 is above the trained range 3 to 30" in done.stdout
    for arguments, texts in (
        (["tiny-rom", *asked[:2]], ["xi_1: missing"]),
        (["tiny-rom", *asked, "--mu", "xi_7=1"], ["xi_7: unknown parameter"]),
        (["tiny-rom", "--mu", "contrast=nan", "--mu", "xi_1=0"], ["expected", "finite"]),
        (["tiny-rom", *asked, "--select", "speed"], ["--select speed: expected qoi"]),
        (["tiny-rom", *asked, "--select", "probe=9,9"], ["outside"]),
        (["tiny-rom", "--mu", "contrast=99", "--mu", "xi_1=0", "--policy", "refuse"], ["above"]),
        (["tiny-rom", *asked, "--version", "7"], ["version", "[1]"]),
        (["tiny-rom", *asked, "--output", "f.txt"], [".npz"]),
        (["../tiny", *asked], ["expected a name out of tiny-rom"]),
    ):
        done = romflow("query", *arguments)
        assert done.returncode == 2, (arguments, done.stdout, done.stderr)
        assert all(text.lower() in done.stderr.lower() for text in texts), done.stderr


def compare(romflow: Command) -> None:
    done = romflow("compare", "tiny-rom", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert sorted(one["sample"] for one in found["simulations"]) == list(range(8, 14))
    fresh = ["--mu", "contrast=10", "--mu", "xi_1=0.3"]
    done = romflow("compare", "tiny-rom", *fresh)
    assert done.returncode == 0, done.stderr
    assert "computed now" in done.stdout
    done = romflow("compare", "tiny-rom", *fresh)
    assert "computed before" in done.stdout
    assert_refused(romflow("compare", "tiny-rom", "--held-out", *fresh), "--held-out, --mu")
    impossible = romflow("compare", "tiny-rom", "--mu", "contrast=1e9", "--mu", "xi_1=0")
    assert_refused(impossible, "contrast")


@pytest.mark.mpi
def test_a_killed_build_goes_on_with_the_rounds_that_are_on_disk(
    folder: Any, until: Until
) -> None:  # fmt: skip
    file = written(folder)
    process = folder.start("run", "build-rom", "--rom", file)
    draws = folder.path / "out" / "tiny-rom" / "draws"
    until(lambda: draws.is_dir() and any(draws.glob("*.json")), "a round")
    process.send_signal(signal.SIGKILL)
    process.wait()
    until(lambda: not folder.jobs(), "the end of the jobs")
    before = open_store(folder.path / "out" / "tiny-rom").draws()
    done = built(folder)
    assert done.returncode == 0, done.stderr
    after = open_store(folder.path / "out" / "tiny-rom").draws()
    assert after[: len(before)] == before
    assert sum(len(record.samples) for record in after) == 4


@pytest.mark.mpi
def test_the_same_rounds_give_the_same_model(folder: Any) -> None:
    rom = loaded(folder)
    digests = []
    for _ in range(2):
        data = RomData(rom, run)
        data.compute()
        model = build_from(data, lambda _: None).model
        digests.append(model.card.training.digest)
    assert digests[0] == digests[1]
    assert data.trained == (*range(8), *range(14, 18))
    assert not set(data.held_out) & set(data.trained)


@pytest.mark.server
def test_the_deployment_builds_the_same_model(folder: Any, server: Any) -> None:
    rom = loaded(folder, enrichment=None)
    given = {"rom": rom.model_dump(mode="json", exclude_none=True)}
    done = server.prefect(
        *("deployment", "run", "build-rom/local", "--watch"),
        *("--params", json.dumps(given)),
    )
    assert done.returncode == 0, done.stdout
    assert Registry(folder.path / "models").card("tiny-rom").training.trajectories == 8


def test_held_out_and_later_samples_are_others_and_the_first_stay(folder: Any) -> None:
    rom = loaded(folder)
    made = rom_design(rom)
    assert [sample.index for sample in made.samples] == list(range(18))
    mus = [tuple(sample.mu.values()) for sample in made.samples[:14]]
    assert len(set(mus)) == 14
    assert all(not sample.mu for sample in made.samples[14:])
    assert sorted(i for part in made.chunks for i in part) == list(range(14))
    wider = rom_design(with_rom_settings(rom, ["validation=3"]))
    assert wider.samples[:8] == made.samples[:8]
    assert [s.mu for s in wider.samples[8:11]] == [s.mu for s in made.samples[8:11]]


def test_without_more_than_the_study_its_own_dataset_is_used(folder: Any) -> None:
    rom = loaded(folder, validation=0, enrichment=None)
    assert rom.data == rom.study
    assert rom.data.dataset.name == "media"


def test_shipped_roms_are_valid_and_bear_their_files_names() -> None:
    assert [load_rom(name).name for name in shipped_roms()] == list(shipped_roms())
    for name in shipped_roms():
        rom_design(load_rom(name))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ("model.tolerence=1e-3", "tolerance"),
        ("model.tolerance=2", "model.tolerance"),
        ("enrichment.budgte=3", "budget"),
        ("room=1", "at least the enrichment's budget of 4"),
        ("study.sampling.method=breed", "enrichment"),
        ("name=Upper", "lower-case"),
        ("study.parameters.xi_9=1", "xi_9"),
    ],
)
def test_a_wrong_setting_is_named_with_what_was_meant(
    folder: Any, change: str, word: str
) -> None:  # fmt: skip
    rom = loaded(folder)
    with pytest.raises(UserError, match=word):
        rom_design(with_rom_settings(rom, [change]))


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        (["--rom", "darcyrom"], ["Did you mean darcy-rom?"]),
        (["--set", "study.sampling.samples=0"], ["study.sampling.samples"]),
        (["--set", "fields=[speed]", "--dry-run"], []),
    ],
)
def test_mistakes_are_refused_at_once(folder: Any, arguments: list[str], texts: list[str]) -> None:
    done = folder.romflow("run", "build-rom", *arguments)
    if texts:
        assert_refused(done, *texts)
    else:
        assert done.returncode == 0, done.stderr
    assert {path.name for path in folder.path.iterdir()} == {"stdout", "stderr"}


@pytest.mark.mpi
@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"study": {"sampling": {"samples": 3}}}, "Expected trajectories for at least 5"),
        ({"fields": ["speed"]}, "speed"),
        ({"quantities": ["speed"]}, "quantities: expected names out of .*mean_pressure"),
    ],
)
def test_too_few_samples_and_unknown_fields_are_told(
    folder: Any, changes: dict[str, Any], text: str
) -> None:
    data = RomData(loaded(folder, enrichment=None, validation=0, **changes), run)
    data.compute()
    with pytest.raises(UserError, match=text):
        build_from(data, lambda _: None)


def test_commands_without_a_model_say_how_to_build_one(romflow: Command) -> None:
    for command in (["query", "x"], ["compare", "x"], ["worth", "x"]):
        assert_refused(romflow(*command), "romflow run build-rom")
    done = romflow("models")
    assert done.returncode == 0
    assert "No reduced model" in done.stdout
