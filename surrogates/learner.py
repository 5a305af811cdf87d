"""One replica of the weights with its optimiser: the arithmetic of a step."""

from collections.abc import Mapping
from typing import Any, final

import torch
from torch import Tensor, nn

from surrogates.batch import Batch
from surrogates.settings import TrainingSettings
from surrogates.surrogate import Surrogate

__all__ = ["Learner"]

_PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}


@final
class Learner:
    r"""Takes gradient steps; several learners that share a batch stay equal.

    With R learners, learner r minimises :math:`R \sum_{b \in r} w_b e_b / d` with d the sum of all
    weights of the batch. The mean of their gradients, which DistributedDataParallel forms, is then
    the gradient of the whole batch, whatever the parts' sizes.

    Parameters
    ----------
    surrogate
        The model, on its device.
    settings
        Optimiser, clipping, precision.
    module
        What is called to predict: the surrogate itself, or a wrapper that averages gradients.
    copies
        The number R of learners that share each batch.
    scored
        Whether the losses of the items are kept, see `item_losses`.
    """

    def __init__(
        self,
        surrogate: Surrogate,
        settings: TrainingSettings,
        module: nn.Module | None = None,
        copies: int = 1,
        *,
        scored: bool = False,
    ) -> None:
        self.surrogate = surrogate
        self._module = surrogate if module is None else module
        self._copies = copies
        self._clip = settings.clip
        self._precision = _PRECISIONS[settings.precision]
        self._device = next(surrogate.parameters()).device
        self._optimiser = _optimiser(surrogate, settings)
        self._scaler = torch.GradScaler(self._device.type, enabled=settings.precision == "float16")
        self._observing = True
        self._scored = scored
        self._item_losses = torch.empty(0, device=self._device)
        self.forget_losses()

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self._device

    @property
    def item_losses(self) -> Tensor:
        """Losses of the last step's items before it, (B,) float32; empty unless asked for."""
        return self._item_losses

    def observe(self, whole: Batch, follow: bool) -> None:
        """Let the normalisation follow a whole batch, or freeze it from now on."""
        if follow:
            self.surrogate.observe(whole.to(self._device))
        elif self._observing:
            self._observing = False
            self.surrogate.normalisation.freeze()

    def learn(self, part: Batch, denominator: Tensor, rate: float) -> None:
        """Take one step.

        Parameters
        ----------
        part
            This learner's items; at least one, of weight 0 if it has none.
        denominator
            Sum of the weights of the whole batch.
        rate
            Learning rate.
        """
        part = part.to(self._device, non_blocking=True)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self._optimiser.zero_grad(set_to_none=True)
        with torch.autocast(
            self._device.type, self._precision, enabled=self._precision is not None
        ):
            prediction = self._module(part.inputs, part.state)
        if self._scored:
            with torch.no_grad():
                errors = self.surrogate.errors(prediction, part.target)
            self._item_losses = errors.mean(dim=1)
        loss = self.surrogate.loss(prediction.float(), part, denominator.to(self._device))
        torch.autograd.backward([self._scaler.scale(loss * self._copies)])
        self._apply()
        self._note(loss.detach())

    def losses(self) -> Tensor:
        """Return sum and number of this learner's losses since `forget_losses`, (2,) float64."""
        return torch.stack([self._sum, self._sum.new_tensor(self._count)]).cpu()

    def forget_losses(self) -> None:
        """Begin the sum of the losses anew."""
        self._sum = torch.zeros((), dtype=torch.float64, device=self._device)
        self._count = 0

    def weights(self) -> dict[str, Tensor]:
        """Return weights and normalisation by name."""
        return dict(self.surrogate.state_dict())

    def optimiser_state(self) -> dict[str, Tensor]:
        """Return the optimiser's tensors by ``quantity/parameter``, and what else goes on.

        That is the state of the loss scaler and of PyTorch's generator, which dropout draws from.
        """
        state = {
            f"{quantity}/{name}": torch.as_tensor(value)
            for name, parameter in self.surrogate.named_parameters()
            for quantity, value in self._optimiser.state.get(parameter, {}).items()
        }
        scaler = self._scaler.state_dict()  # empty where there is none
        state |= {f"scaler/{k}": torch.tensor(v).double() for k, v in scaler.items()}
        return {**state, "generator/state": torch.get_rng_state()}

    def restore(self, weights: Mapping[str, Tensor], optimiser: Mapping[str, Tensor]) -> None:
        """Go on from `weights` and an `optimiser_state`."""
        self.surrogate.load_state_dict(dict(weights))
        names = [name for name, _ in self.surrogate.named_parameters()]
        entries: dict[int, dict[str, Any]] = {}
        scaler: dict[str, Any] = {}
        for key, value in optimiser.items():
            quantity, name = key.split("/", 1)
            if quantity == "scaler":
                scaler[name] = int(value) if name.startswith(("growth_i", "_")) else float(value)
            elif quantity == "generator":
                torch.set_rng_state(value)
            else:
                entries.setdefault(names.index(name), {})[quantity] = value
        groups = self._optimiser.state_dict()["param_groups"]
        self._optimiser.load_state_dict({"state": entries, "param_groups": groups})
        if scaler and self._scaler.is_enabled():
            self._scaler.load_state_dict(scaler)

    def _apply(self) -> None:
        if self._clip is not None:
            self._scaler.unscale_(self._optimiser)
            nn.utils.clip_grad_norm_(self.surrogate.parameters(), self._clip)
        self._scaler.step(self._optimiser)
        self._scaler.update()

    def _note(self, loss: Tensor) -> None:
        if self._scaler.is_enabled():  # the scaler leaves out steps that overflow, so do we
            loss = torch.where(torch.isfinite(loss), loss, 0.0)
        self._sum += loss
        self._count += 1


def _optimiser(surrogate: Surrogate, settings: TrainingSettings) -> torch.optim.Optimizer:
    parameters = list(surrogate.parameters())
    kind = torch.optim.AdamW if settings.optimiser == "adamw" else torch.optim.Adam
    return kind(
        parameters,
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
        # One kernel for all; it knows real numbers only.
        fused=not any(p.is_complex() for p in parameters),
    )
