"""The three kinds of surrogate of `online_offline`: what is simulated, learned, and how long.

The small data sets have one simulation for 80 fresh ones, as in the papers. All other numbers are
ours, for two cores: small models, few steps, and 2.5 to 6 views of a fresh item instead of 1.2.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

from flows.online_study import OnlineStudy

__all__ = ["Case", "cases"]


@final
@dataclass(frozen=True, eq=False)
class Case:
    """One kind of surrogate on one problem.

    Attributes
    ----------
    name, title : short name for targets, and what is trained on what
    published : relative improvement in the papers, %
    few, many, held_out : simulations of the small data set, fresh ones, and held-out ones
    study : what a study says of problem, parameters and time
    model : what a training says of the model
    training : its batch, steps and learning rate, the same for every way
    capacity : items in the reservoir, less than come
    """

    name: str
    title: str
    published: float
    few: int
    many: int
    held_out: int
    study: dict[str, Any]
    model: dict[str, Any]
    training: dict[str, Any]
    capacity: int

    @property
    def validation(self) -> tuple[int, ...]:
        """The held-out simulations."""
        return tuple(range(self.many, self.many + self.held_out))

    def small_set(self, seed: int) -> tuple[int, ...]:
        """Return the simulations of a small data set: another part of the design for each seed."""
        first = (seed * self.few) % (self.many - self.few + 1)
        return tuple(range(first, first + self.few))

    def online(self, seed: int, folder: Path, *, archive: bool) -> OnlineStudy:
        """Return the online training of a seed; its simulations are the same for all seeds.

        Parameters
        ----------
        seed : of the weights and of the draws
        folder : receives everything
        archive : whether the frames are stored as well
        """
        size = max(32, -(-self.many // 4))  # few starts of MPI and of the solver's libraries
        return OnlineStudy.model_validate(
            {
                "name": f"{self.name}-{seed}",
                "study": {
                    "name": self.name,
                    **self.study,
                    "sampling": {"method": "sobol", "samples": self.many, "seed": 2026},
                    "run": {"ranks": 1, "chunk_size": size, "workers": 1},
                    "output": folder / "data",
                    "catalog": folder / "catalog",
                },
                "validation": self.held_out,
                "archive": archive,
                "model": self.model,
                "reservoir": {"capacity": self.capacity},
                "training": {
                    "schedule": {"kind": "cosine", "floor": 0.01},
                    "validation_every": max(1, self.training["steps"] // 20),
                    **self.training,
                    "seed": seed,
                },
                "output": folder / "models",
            }
        )


def cases(*, quick: bool) -> tuple[Case, ...]:
    """Return the kinds in the order of the papers."""
    if quick:
        return tuple(_small(case) for case in (_heat(16), _cavity(8), _advection(12)))
    return _heat(32), _cavity(12), _advection(20)


def _heat(cells: int) -> Case:
    return Case(
        name="mlp",
        title="MLP, direct, on `heat`",
        published=68.0,
        few=10,
        many=800,
        held_out=8,
        study={
            "problem": {"name": "heat", "settings": {"cells": cells}},
            "parameters": {},
            "time": {"end": 0.3, "frames": 31, "step": 0.01},
            "linear": {"method": "direct"},
        },
        model={"name": "mlp", "mode": "direct"},
        training={"batch": 10, "steps": 14880},
        capacity=2500,
    )


def _cavity(cells: int) -> Case:
    return Case(
        name="fno",
        title="FNO, autoregressive, on `cavity`",
        published=16.0,
        few=3,
        many=240,
        held_out=6,
        study={
            "problem": {"name": "cavity", "settings": {"cells": cells, "grading": 0.0}},
            "parameters": {
                "lid_speed": {"low": 0.5, "high": 2.0},
                "viscosity": {"low": 0.002, "high": 0.02},
                "aspect_ratio": {"low": 0.7, "high": 1.4},
            },
            "time": {"start": 0.4, "end": 4.4, "frames": 21, "step": 0.04},
        },
        model={
            "name": "fno",
            "mode": "autoregressive",
            "settings": {"resolution": 2 * cells + 1, "modes": 8, "hidden": 16},
        },
        training={"batch": 8, "steps": 1600, "learning_rate": 0.003},
        capacity=800,
    )


def _advection(cells: int) -> Case:
    return Case(
        name="message-passing",
        title="message passing, autoregressive, on `advection`",
        published=7.0,
        few=4,
        many=320,
        held_out=6,
        study={
            "problem": {"name": "advection", "settings": {"cells": cells}},
            "parameters": {
                "wind_speed": {"low": 0.5, "high": 1.0},
                "wind_angle": {"low": 0.2, "high": 1.3},
                "pulse_x": {"low": 0.2, "high": 0.4},
                "pulse_y": {"low": 0.2, "high": 0.4},
                "pulse_width": {"low": 0.08, "high": 0.12},
                "diffusivity": {"low": 0.0001, "high": 0.01},
            },
            "time": {"end": 0.5, "frames": 26, "step": 0.01},
            "linear": {"method": "direct"},
        },
        model={
            "name": "message-passing",
            "mode": "autoregressive",
            "settings": {"width": 24, "layers": 4},
        },
        training={"batch": 8, "steps": 2000, "learning_rate": 0.002},
        capacity=800,
    )


def _small(case: Case) -> Case:
    """Return less of everything: a case that takes seconds."""
    steps = case.training["steps"] // 12
    return replace(
        case,
        few=2,
        many=case.many // 20,
        held_out=2,
        training={**case.training, "steps": steps},
        capacity=case.capacity // 4,
    )
