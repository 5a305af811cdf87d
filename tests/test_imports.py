"""Light folders stay light, and every module offers what it lists."""

import importlib
import json
import pkgutil
import subprocess
import sys

import pytest

import infra
import solvers

HEAVY = ("petsc4py", "dolfinx", "dolfinx_solver", "mpi4py", "basix", "ufl", "zarr", "prefect")


def modules(package: object) -> list[str]:
    """Return the public modules of a package; importing `__main__` would be no law of imports."""
    walked = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    return [m.name for m in walked if not m.ispkg and not m.name.endswith("__main__")]


def loaded_by(*names: str) -> set[str]:
    """Return which heavy packages a fresh interpreter has loaded after importing modules."""
    code = (
        f"import json, sys, {', '.join(names)}\n"
        f"print(json.dumps([n for n in {HEAVY!r} if n in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


def test_rom_and_surrogates_load_no_solver() -> None:
    assert loaded_by("rom", "surrogates") == set()


def test_a_study_can_be_described_without_a_solver() -> None:
    light = ("problem", "parameters", "sampling", "chunk", "settings", "snapshots", "ordering")
    assert loaded_by(*(f"solvers.{name}" for name in light)) == set()


def test_every_problem_can_be_set_up_without_a_solver() -> None:
    assert loaded_by(*(n for n in modules(solvers) if n.startswith("solvers.problems."))) == set()


def test_infra_loads_no_solver() -> None:
    assert loaded_by(*modules(infra)) <= {"zarr"}


def test_a_dataset_is_opened_without_zarr() -> None:
    assert loaded_by("infra.zarr_store", "infra.stream", "infra.cluster") == set()


def test_the_command_line_of_a_chunk_starts_light() -> None:
    assert loaded_by("solvers.__main__") == set()


@pytest.mark.parametrize("name", [*modules(infra), *modules(solvers)])
def test_a_module_lists_what_it_offers_and_offers_what_it_lists(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    assert len(set(module.__all__)) == len(module.__all__) > 0
    for entry in module.__all__:
        assert hasattr(module, entry), entry


@pytest.mark.parametrize("name", [*modules(infra), *modules(solvers)])
def test_other_modules_use_only_what_a_module_lists(name: str) -> None:
    """Whatever is defined here, public and documented, is listed."""
    module = importlib.import_module(name)
    own = {
        key
        for key, value in vars(module).items()
        if getattr(value, "__module__", None) == name
        and hasattr(value, "__qualname__")
        and not key.startswith("_")
    }
    assert own <= set(module.__all__)
