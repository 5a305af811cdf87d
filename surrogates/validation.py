r"""The error on whole held-out trajectories, in slices between which reception goes on.

For each field f, over all frames k of all held-out trajectories at once,

.. math::
   \epsilon_f = \sqrt{\frac{\sum_k \lVert \hat u_{kf} - u_{kf} \rVert^2}
                           {\sum_k \lVert u_{kf} \rVert^2}}, \qquad
   q_f = \frac{\sum_k \lVert \hat u_{kf} - u_{kf} \rVert^2}
              {\sum_k \lVert u_{kf} - \bar u_f \rVert^2}

with the mean value of the field as :math:`\bar u_f`. Sums over frames, not means of batches: the
last slice has its true weight. In autoregressive mode the prediction is one step from the true
frame before; `Validator.rollout_error` is the error of whole rollouts.

Beside them stand the errors of the prediction that needs no model: that nothing changes
(autoregressive), or the mean of the held-out frames at each place (direct). A model that does not
beat it has learned nothing.
"""

import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from infra.errors import UserError
from surrogates.accuracy import trajectory_error
from surrogates.feed import HeldOut
from surrogates.surrogate import Surrogate

__all__ = ["Score", "Validator"]

# A smaller part of a field's squares is the rounding of float32 values: it does not vary.
_ROUNDING = 1e-12


@final
@dataclass(frozen=True)
class Score:
    """Errors on the held-out trajectories.

    Attributes
    ----------
    fields
        Relative error of each field.
    error
        Their mean: the number that early stopping watches.
    mse
        Normalised mean square error, mean over the fields.
    frames
        Frames predicted.
    baseline
        Relative error of predicting without a model.
    """

    fields: dict[str, float]
    error: float
    mse: float
    frames: int
    baseline: float


@final
class Validator:
    """A fixed set of held-out trajectories.

    Parameters
    ----------
    expected
        Numbers of the samples.
    batch
        Frames of one slice.
    holes
        Asked for the samples that were given up: they are not waited for.
    """

    def __init__(
        self,
        expected: frozenset[int],
        batch: int,
        holes: Callable[[], Collection[int]] = frozenset,
    ) -> None:
        self._expected = expected
        self._holes = holes
        self._batch = batch
        self._held: dict[int, HeldOut] = {}
        self._reference: _Reference | None = None

    @property
    def complete(self) -> bool:
        """Whether there are trajectories, and all came that are expected and no holes."""
        missing = self._expected - self._held.keys()
        return bool(self._held) and missing <= set(self._holes() if missing else ())

    @property
    def samples(self) -> tuple[int, ...]:
        """Numbers of the trajectories that came."""
        return tuple(sorted(self._held))

    def add(self, held: HeldOut) -> None:
        """Take in a trajectory; one that is there already is left as it is.

        Raises
        ------
        UserError
            If it is not one of those expected.
        """
        if held.sample not in self._expected:
            raise UserError(
                f"Expected held-out samples {sorted(self._expected)}; received {held.sample}. "
                "A sample that is trained on must not be validated with."
            )
        if held.sample not in self._held:
            self._held[held.sample] = held
            self._reference = None

    @torch.no_grad()
    def score(self, surrogate: Surrogate, between: Callable[[], None] = lambda: None) -> Score:
        """Return the errors on the trajectories that came, at least one.

        Parameters
        ----------
        surrogate
            The model; in autoregressive mode trajectories have two frames at least.
        between
            Called after each slice; training and reception may do what they need.
        """
        device = next(surrogate.parameters()).device
        slices = self._slices(surrogate.autoregressive)
        reference = self._reference or _Reference.of(slices, surrogate, between)
        self._reference = reference
        wrong, frames = torch.zeros(len(surrogate.space.fields), dtype=torch.float64), 0
        training = surrogate.training
        for inputs, state, target in self._slices(surrogate.autoregressive):
            surrogate.eval()
            there = target.to(device)
            prediction = surrogate(inputs.to(device), None if state is None else state.to(device))
            wrong += _squares(prediction - there, surrogate.space.sizes)
            frames += len(target)
            surrogate.train(training)
            between()
        return reference.score(wrong, frames, surrogate)

    @torch.no_grad()
    def rollout_error(
        self, surrogate: Surrogate, between: Callable[[], None] = lambda: None
    ) -> float:
        """Return the relative error of whole predicted trajectories, mean over all and fields.

        In autoregressive mode each starts from its true first frame, which counts as well.
        """
        device = next(surrogate.parameters()).device
        errors = []
        for held in self._in_order():
            truth = torch.from_numpy(held.values)[None].to(device)
            prediction = _rollout(surrogate, held)
            errors.append(trajectory_error(prediction, truth, surrogate.space).mean().item())
            between()
        return math.fsum(errors) / len(errors) if errors else math.nan

    @torch.no_grad()
    def example(self, surrogate: Surrogate) -> tuple[HeldOut, NDArray[np.float32]] | None:
        """Return the first trajectory and its prediction, shape (T, n); None if there is none."""
        held = next(iter(self._in_order()), None)
        return None if held is None else (held, _rollout(surrogate, held)[0].cpu().numpy())

    def _in_order(self) -> list[HeldOut]:
        # By number: the order of arrival must not change the sums.
        return [self._held[sample] for sample in sorted(self._held)]

    def _slices(self, pairs: bool) -> Iterator[tuple[Tensor, Tensor | None, Tensor]]:
        """Yield inputs, states and targets of up to one slice, trajectory by trajectory."""
        for held in self._in_order():
            values, times = torch.from_numpy(held.values), held.times
            mu = np.broadcast_to(held.mu, (len(times), len(held.mu)))
            inputs = torch.from_numpy(np.column_stack([mu, times]).astype(np.float32))
            first = 1 if pairs else 0
            for start in range(first, len(times), self._batch):
                stop = min(start + self._batch, len(times))
                state = values[start - 1 : stop - 1] if pairs else None
                yield inputs[start - first : stop - first], state, values[start:stop]


@final
@dataclass(frozen=True)
class _Reference:
    """What the errors are measured by: sums over all targets, by field, float64 (F,)."""

    size: Tensor
    spread: Tensor
    baseline: Tensor

    @classmethod
    def of(
        cls,
        slices: Iterator[tuple[Tensor, Tensor | None, Tensor]],
        surrogate: Surrogate,
        between: Callable[[], None],
    ) -> "_Reference":
        sizes = surrogate.space.sizes
        total = torch.zeros(sum(sizes), dtype=torch.float64)
        squares, changes = torch.zeros_like(total), torch.zeros_like(total)
        frames = 0
        for _, state, target in slices:
            wide = target.double()
            total += wide.sum(dim=0)
            squares += wide.square().sum(dim=0)
            if state is not None:
                changes += (wide - state.double()).square().sum(dim=0)
            frames += len(target)
            between()
        numbers = torch.tensor(sizes, dtype=torch.float64) * max(frames, 1)
        size = _by_field(squares, sizes)
        spread = size - _by_field(total, sizes).square() / numbers
        spread = torch.where(spread > _ROUNDING * size, spread, size)
        constant = (squares - total.square() / max(frames, 1)).clamp(min=0.0)
        baseline = _by_field(changes if surrogate.autoregressive else constant, sizes)
        return cls(size, spread, baseline)

    def score(self, wrong: Tensor, frames: int, surrogate: Surrogate) -> Score:
        relative = _ratio(wrong, self.size).sqrt()
        names = [field.name for field in surrogate.space.fields]
        return Score(
            fields=dict(zip(names, relative.tolist(), strict=True)),
            error=relative.mean().item(),
            mse=_ratio(wrong, self.spread).mean().item(),
            frames=frames,
            baseline=_ratio(self.baseline, self.size).sqrt().mean().item(),
        )


def _rollout(surrogate: Surrogate, held: HeldOut) -> Tensor:
    """Return the predicted trajectory, (1, T, n)."""
    device = next(surrogate.parameters()).device
    mu = torch.from_numpy(held.mu.astype(np.float32)).to(device)[None]
    start = torch.from_numpy(held.values[:1]).to(device) if surrogate.autoregressive else None
    training = surrogate.training
    surrogate.eval()
    prediction = surrogate.rollout(mu, torch.from_numpy(held.times).to(device), start)
    surrogate.train(training)
    return prediction


def _squares(difference: Tensor, sizes: tuple[int, ...]) -> Tensor:
    return _by_field(difference.double().square().sum(dim=0), sizes).cpu()


def _by_field(values: Tensor, sizes: tuple[int, ...]) -> Tensor:
    return torch.stack([part.sum() for part in torch.split(values, list(sizes))])


def _ratio(wrong: Tensor, size: Tensor) -> Tensor:
    # A field that is zero, or does not vary, and is predicted exactly has no error.
    return (wrong / size).where(wrong > 0, 0.0)
