"""Settings of a training: model, reservoir, reception, schedule, optimiser, logging. No torch here.

They are the text form that a study, a job file and the command line share, so every mistake is
found before a process is started.
"""

from typing import Any, Literal, Self, final

from pydantic import BaseModel, ConfigDict, Field, model_validator

from infra.streaming.transport import Transport, is_loopback

__all__ = [
    "LoggingSettings",
    "ModelSettings",
    "ReceptionSettings",
    "ReservoirSettings",
    "ScheduleSettings",
    "TrainingSettings",
]

_STRICT = ConfigDict(extra="forbid", frozen=True)
_GIGABYTE = 10**9


@final
class ModelSettings(BaseModel):
    """Which surrogate is trained.

    Attributes
    ----------
    name : architecture, as in `surrogates.architectures`
    mode : ``direct`` gives the fields at (mu, t); ``autoregressive`` steps from one output time to
        the next
    settings : the architecture's own settings
    """

    model_config = _STRICT

    name: str = "mlp"
    mode: Literal["direct", "autoregressive"] = "direct"
    settings: dict[str, Any] = Field(default_factory=dict)


@final
class ReservoirSettings(BaseModel):
    """Where arrivals wait and from where batches are drawn.

    Attributes
    ----------
    kind : policy; ``levelled`` keeps the number of views even, the others are published ones
    capacity : largest number of items held
    threshold : items that are kept back for mixing while reception goes on; none: the policy's
        own choice
    memory : largest size of the items held, bytes; the capacity is cut to it
    patience : ``hold`` keeps new arrivals waiting until an item has had its planned views,
        ``keep-up`` makes room at once
    place : where the items lie; ``auto``: with the weights, that is on the GPU if there is one
        and one process, else in main memory
    """

    model_config = _STRICT

    kind: Literal["levelled", "published", "firo", "fifo"] = "levelled"
    capacity: int = Field(6000, ge=1)
    threshold: int | None = Field(None, ge=0)
    memory: int = Field(2 * _GIGABYTE, ge=1)
    patience: Literal["hold", "keep-up"] = "hold"
    place: Literal["auto", "cpu", "pinned"] = "auto"

    @model_validator(mode="after")
    def _threshold_can_be_met(self) -> Self:
        if self.threshold is not None and self.threshold >= self.capacity > 1:
            raise ValueError(
                f"threshold: expected less than the capacity {self.capacity}, "
                f"received {self.threshold}; lower it or raise the capacity"
            )
        return self


@final
class ReceptionSettings(BaseModel):
    """How long simulations are waited for, and what may lie between them and the reservoir.

    Attributes
    ----------
    first_client : longest wait for the first simulation, seconds
    client : a simulation silent for so long counts as away, seconds; its sample stays open
    inbox : largest size of the frames received and not yet in the reservoir, bytes
    spool : largest size of the frames that simulations keep on disk while the trainer is away
        or slow, bytes; beyond it they wait
    keep_partial : whether frames of samples that end early are trained on
    transport : ``local`` where simulations run on the trainer's machine, ``tcp`` (encrypted) where
        they do not; ``auto`` is what the places of both ask for
    interface : network address on which simulations are awaited; none: the loopback address for
        ``local``, all of the machine's (``*``) for ``tcp``
    failures_every : seconds between looks at the dataset's failure records; a sample that has one
        is waited for no longer
    drain : whether frames are received, and forgotten, until all simulations are through, if the
        training ends before them; else they find nobody
    """

    model_config = _STRICT

    first_client: float = Field(600.0, gt=0)
    client: float = Field(120.0, gt=0)
    inbox: int = Field(_GIGABYTE // 4, ge=1)
    spool: int = Field(10 * _GIGABYTE, ge=0)
    keep_partial: bool = True
    transport: Literal["auto", "local", "tcp"] = "auto"
    interface: str | None = None
    failures_every: float = Field(2.0, gt=0)
    drain: bool = False

    @model_validator(mode="after")
    def _one_that_others_reach(self) -> Self:
        outside = self.interface is not None and not is_loopback(self.interface)
        if self.transport == "local" and outside:
            raise ValueError(
                "transport: expected tcp where other machines reach the trainer, received local "
                f"with the interface {self.interface}"
            )
        return self

    @property
    def carried(self) -> Transport:
        """How frames travel; ``auto`` as the interface asks for it."""
        if self.transport != "auto":
            return self.transport
        return "local" if self.interface is None or is_loopback(self.interface) else "tcp"


@final
class ScheduleSettings(BaseModel):
    """How the learning rate falls.

    Attributes
    ----------
    kind : ``constant``, ``halving`` (times one half every `every`), or ``cosine`` (to `floor` at
        the end of the budget)
    unit : what `every` and `warmup` count: steps, or samples drawn (repeats included)
    every : period of halving
    warmup : the rate rises linearly over so many units first
    floor : last rate of ``cosine``, as a part of the first
    """

    model_config = _STRICT

    kind: Literal["constant", "halving", "cosine"] = "constant"
    unit: Literal["steps", "samples"] = "steps"
    every: int | None = Field(None, ge=1)
    warmup: int = Field(0, ge=0)
    floor: float = Field(0.0, ge=0, le=1)

    @model_validator(mode="after")
    def _period(self) -> Self:
        if (self.kind == "halving") != (self.every is not None):
            raise ValueError(
                "every: expected with kind `halving` and only with it, "
                f"received {self.every} with kind `{self.kind}`"
            )
        return self


@final
class LoggingSettings(BaseModel):
    """Where metrics go besides standard output and ``history.csv``.

    Attributes
    ----------
    tensorboard : whether TensorBoard event files are written into the run folder
    mlflow : tracking address of MLflow; nothing is sent without it
    experiment : MLflow's experiment
    interval : least time between two progress lines, seconds
    """

    model_config = _STRICT

    tensorboard: bool = False
    mlflow: str | None = None
    experiment: str = "romflow"
    interval: float = Field(1.0, ge=0)


@final
class TrainingSettings(BaseModel):
    """Optimiser, budget and everything that is done between steps.

    A training that goes on from a checkpoint keeps its budget, batch and seed; `seconds` may
    change until it is finished.

    Attributes
    ----------
    batch : items of one step, over all processes
    optimiser, learning_rate, weight_decay : Adam with its L2 term, or AdamW
    clip : largest norm of the gradient; none: not limited
    schedule : of the learning rate
    passes, steps : the budget, one of the two: mean views of an item, or gradient steps
    seconds : training ends early when it has taken so long
    precision : of the forward pass; weights, gradients and optimiser stay in float32
    device : ``cpu``, ``cuda`` or ``cuda:0``
    processes, threads : trainer processes, and threads of each
    observe : part of the budget during which the model's normalisation follows the data
    validation_every : steps between validations; one more comes at the end
    validation_batch : frames evaluated at once between two admissions
    patience : validations without improvement after which training stops; none: never
    improvement : smallest relative fall of the error that counts as one
    checkpoint_every : least seconds between checkpoints; large ones are made less often, so that
        they take a twentieth of the time at most. One more comes at the end
    keep_journal : whether all arrivals are kept, for a replay
    logging : TensorBoard and MLflow
    seed : of the weights and of the draws
    """

    model_config = _STRICT

    batch: int = Field(10, ge=1)
    optimiser: Literal["adam", "adamw"] = "adam"
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    clip: float | None = Field(None, gt=0)
    schedule: ScheduleSettings = ScheduleSettings()
    passes: float | None = Field(None, ge=1)
    steps: int | None = Field(None, ge=1)
    seconds: float | None = Field(None, gt=0)
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    device: str = Field("cpu", pattern=r"^(cpu|cuda(:\d+)?)$")
    processes: int = Field(1, ge=1, le=64)
    threads: int = Field(1, ge=1)
    observe: float = Field(0.25, gt=0, le=1)
    validation_every: int = Field(100, ge=1)
    validation_batch: int = Field(32, ge=1)
    patience: int | None = Field(None, ge=1)
    improvement: float = Field(0.0, ge=0, lt=1)
    checkpoint_every: float = Field(60.0, ge=0)
    keep_journal: bool = False
    logging: LoggingSettings = LoggingSettings()
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _budget(self) -> Self:
        if (self.passes is None) == (self.steps is None):
            raise ValueError(
                "passes, steps: expected one of the two, "
                f"received passes {self.passes} and steps {self.steps}"
            )
        if self.precision == "float16" and self.device == "cpu":
            raise ValueError(
                "precision: float16 needs a GPU; give `device: cuda`, or take bfloat16"
            )
        return self

    def planned_steps(self, items: int) -> int:
        """Return the number of steps if all of so many items come."""
        if self.steps is not None:
            return self.steps
        assert self.passes is not None, "checked above"
        return max(1, -(-round(self.passes * items) // self.batch))

    def planned_views(self, items: int) -> float:
        """Return the mean number of views of an item if all of so many come."""
        if self.passes is not None:
            return self.passes
        assert self.steps is not None, "checked above"
        return self.steps * self.batch / max(items, 1)
