"""Modules of reduced structures load no solver and list what they offer."""

import importlib
import pkgutil
import subprocess
import sys

import pytest

import rom.cubature
import rom.structures

HEAVY = ("petsc4py", "dolfinx", "dolfinx_solver", "mpi4py", "zarr", "torch", "prefect")
PACKAGES = (rom.cubature, rom.structures)
MODULES = [
    "rom.gappy",
    *(f"{p.__name__}.{m.name}" for p in PACKAGES for m in pkgutil.iter_modules(p.__path__)),
]


def test_they_load_nothing_heavy() -> None:
    code = f"import sys, {', '.join(MODULES)}; print([n for n in {HEAVY!r} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", MODULES)
def test_a_module_lists_what_it_offers_and_offers_what_it_lists(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    assert len(set(module.__all__)) == len(module.__all__) > 0
    own = {
        key
        for key, value in vars(module).items()
        if getattr(value, "__module__", None) == name
        and hasattr(value, "__qualname__")
        and not key.startswith("_")
    }
    assert own <= set(module.__all__)
    for entry in module.__all__:
        assert hasattr(module, entry), entry
