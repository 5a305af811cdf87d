r"""What every surrogate is: a module from inputs, and a state where it has one, to a frame.

Letters: B items of a batch, p inputs (parameters, then time), n values of a frame, F fields, T
times. In the mode ``direct`` the surrogate is a map :math:`u(\mu, t)`; in the mode
``autoregressive`` it is a step :math:`u(t_k), \mu, t_k \mapsto u(t_{k+1})`. The network works with
scaled inputs x and normalised states v:

.. math::
   u = m + s\, N(x) \quad \text{(direct)}, \qquad
   u' = u + c\, N(x, v), \quad v = (u - m) / s \quad \text{(autoregressive)},

with mean m, deviation s and root mean square change c of each field. So a network that returns
zeros predicts the mean or, in autoregressive mode, that nothing changes.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal, Self

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from infra.errors import UserError
from infra.field_space import FieldSpace
from surrogates.batch import Batch
from surrogates.inputs import InputScaling, InputSpec
from surrogates.normalisation import Normalisation

__all__ = ["Mode", "NetworkSettings", "Surrogate"]

type Mode = Literal["direct", "autoregressive"]


class NetworkSettings(BaseModel):
    """Base of the settings of an architecture: immutable, unknown entries are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Surrogate(nn.Module, ABC):
    """A surrogate with its scaling, normalisation and loss; a subclass gives the network.

    A subclass has a `name`, its `Settings`, and the constructor of this class; it calls that
    first, and then makes its layers. It gives `_predict` and, where needed, `_impose`.

    Parameters
    ----------
    space
        Fields and mesh of a frame.
    inputs
        Names and ranges of parameters and time.
    mode
        ``"direct"`` or ``"autoregressive"``.
    settings
        Of the architecture.
    """

    name: ClassVar[str]
    Settings: ClassVar[type[NetworkSettings]]

    def __init__(
        self, space: FieldSpace, inputs: InputSpec, mode: Mode, settings: NetworkSettings
    ) -> None:
        super().__init__()
        if mode not in ("direct", "autoregressive"):
            raise UserError(
                f"Expected the mode 'direct' or 'autoregressive'; received {mode!r}. Change it."
            )
        self.space, self.inputs, self.settings = space, inputs, settings
        self.mode: Mode = mode
        self.scaling = InputScaling(inputs)
        self.normalisation = Normalisation(space.sizes)

    @classmethod
    def build(
        cls,
        space: FieldSpace,
        inputs: InputSpec,
        mode: Mode,
        settings: NetworkSettings,
        seed: int,
    ) -> Self:
        """Return a surrogate whose initial weights depend on the seed alone.

        PyTorch draws initial weights from its global generator: it is set for this call, and put
        back afterwards.

        Parameters
        ----------
        space, inputs, mode, settings
            As for the class.
        seed
            Of the initial weights.
        """
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            return cls(space, inputs, mode, settings)

    @property
    def autoregressive(self) -> bool:
        """Whether it goes on from a state."""
        return self.mode == "autoregressive"

    def forward(self, inputs: Tensor, state: Tensor | None = None) -> Tensor:
        """Predict frames.

        Parameters
        ----------
        inputs
            Physical inputs, (B, p) of any floating type; B may be 0.
        state
            Physical frames to go on from, (B, n) of any floating type; None in direct mode.

        Returns
        -------
        Tensor
            Physical frames, (B, n) float32.

        Raises
        ------
        UserError
            If a shape does not fit, or there is a state in direct mode or none in the other.
        """
        self._check(inputs, state)
        if len(inputs) == 0:
            return self._nothing(inputs)
        scaled = self.scaling(inputs).float()
        norm = self.normalisation
        if state is None:
            prediction = norm.denormalise(self._predict(scaled, None))
        else:
            state = state.float()
            change = self._predict(scaled, norm.normalise(state)).float()
            prediction = state + change * norm.spread(norm.change_scale)
        return self._impose(prediction, inputs)

    @torch.no_grad()
    def observe(self, batch: Batch) -> None:
        """Take the statistics of a batch into the normalisation, unless it is frozen."""
        moments = self.normalisation.moments(batch.target, batch.state, batch.weight)
        self.normalisation.merge(moments)

    def errors(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Return the normalised mean square error of each item and field, (B, F).

        It is measured in units of what the network has to find: the deviation of the field in
        direct mode, its root mean square change in autoregressive mode. So 1 is the error of
        predicting the mean, or that nothing changes.
        """
        norm = self.normalisation
        unit = norm.change_scale if self.autoregressive else norm.deviation
        square = ((prediction.float() - target.float()) / norm.spread(unit)).square()
        parts = torch.split(square, list(self.space.sizes), dim=1)
        return torch.stack([part.mean(dim=1) for part in parts], dim=1)

    def loss(
        self, prediction: Tensor, batch: Batch, denominator: float | Tensor | None = None
    ) -> Tensor:
        r"""Return :math:`\sum_b w_b e_b / d` with the mean error e of an item over its fields.

        Parameters
        ----------
        prediction
            Of this batch, (B, n).
        batch
            Targets and weights w.
        denominator
            The number d; None: the sum of the weights. Processes that share a batch give the sum
            over the whole of it, so that the sum of their losses is that of the whole batch.

        Returns
        -------
        Tensor
            A number; 0 for an empty batch or one of weight 0.
        """
        total = batch.weight.sum() if denominator is None else torch.as_tensor(denominator)
        weighted = (batch.weight * self.errors(prediction, batch.target).mean(dim=1)).sum()
        return weighted / total.to(weighted.device).clamp(min=torch.finfo(torch.float32).tiny)

    @torch.no_grad()
    def rollout(self, mu: Tensor, times: Tensor, start: Tensor | None = None) -> Tensor:
        """Predict trajectories.

        Parameters
        ----------
        mu
            Parameters without time, (B, p - 1).
        times
            Output times, s, (T,).
        start
            Frames at the first of the times, (B, n); None in direct mode.

        Returns
        -------
        Tensor
            (B, T, n) float32. In autoregressive mode its first frame is `start`, and every other
            one is the prediction from the one before.

        Raises
        ------
        UserError
            As for `forward`, or without times.
        """
        if times.ndim != 1 or len(times) == 0 or mu.ndim != 2:
            raise UserError(
                "Expected parameters (B, p - 1) and at least one time (T,); received shapes "
                f"{tuple(mu.shape)} and {tuple(times.shape)}."
            )
        rows = [torch.cat([mu, t.expand(len(mu), 1).to(mu)], dim=1).float() for t in times]
        if not self.autoregressive:
            return torch.stack([self(row, start) for row in rows], dim=1)
        self._check(rows[0], start)
        assert start is not None, "checked"
        frames = [start]
        for row in rows[:-1]:
            frames.append(self(row, frames[-1]))
        return torch.stack(frames, dim=1)

    @abstractmethod
    def _predict(self, x: Tensor, state: Tensor | None) -> Tensor:
        """Return what the network says, (B, n), in normalised units.

        Parameters
        ----------
        x
            Scaled inputs, (B, p), B >= 1.
        state
            Normalised frames, (B, n), or None in direct mode. Then the result is a normalised
            frame, else the change in units of the root mean square change.
        """

    def _impose(self, prediction: Tensor, inputs: Tensor) -> Tensor:  # noqa: ARG002 - for others
        """Return the physical prediction (B, n) with what is known put in; inputs are physical."""
        return prediction

    def _nothing(self, inputs: Tensor) -> Tensor:
        """Return no frames, (0, n), that still depend on every weight, for processes in step."""
        zero = sum((p.sum() * 0 for p in self.parameters()), start=inputs.new_zeros(()))
        return inputs.new_zeros((0, self.space.n_values)) + torch.real(zero)

    def _check(self, inputs: Tensor, state: Tensor | None) -> None:
        p, n = self.inputs.n_inputs, self.space.n_values
        if inputs.ndim != 2 or inputs.shape[1] != p:
            raise UserError(
                f"Expected inputs of shape (B, {p}), {', '.join(self.inputs.names)}; received "
                f"{tuple(inputs.shape)}. Give one row per item."
            )
        if (state is not None) != self.autoregressive:
            raise UserError(
                f"Expected {'a' if self.autoregressive else 'no'} state in {self.mode} mode; "
                f"received {'none' if state is None else 'one'}."
            )
        if state is not None and state.shape != (len(inputs), n):
            raise UserError(
                f"Expected a state of shape ({len(inputs)}, {n}); received {tuple(state.shape)}. "
                "Give the frame of all fields in the order of the stream."
            )
        self.normalisation.require_data()
