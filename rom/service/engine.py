"""Runs questions: short ones at once in the event loop, long ones in a few threads."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import final

import numpy as np
from numpy.typing import NDArray

from infra.errors import RomflowError
from rom.answer import Answer, Gradient
from rom.selection import Select
from rom.served_model import ServedModel
from rom.service.batching import Batcher
from rom.service.metrics import Metrics
from rom.service.problem import Problem, ServiceError
from rom.service.question import Question, numbers_per_query, time_count
from rom.service.settings import ServiceSettings
from rom.service.trust_view import trusted

__all__ = ["Engine"]

# Up to so many queries and multiplications a question is answered in the event loop: about 1 ms.
_SHORT_QUERIES = 8
_SHORT_WORK = 1_000_000
# Selections whose rows are known to be prepared.
_PREPARED = 48
_HUGE = float(np.finfo(np.float64).max)


@final
class Engine:
    """See the module. Used by one event loop.

    Parameters
    ----------
    settings
        Limits.
    executor
        The threads.
    metrics
        Told of answers.
    """

    def __init__(
        self, settings: ServiceSettings, executor: ThreadPoolExecutor, metrics: Metrics
    ) -> None:
        self._settings, self._executor, self._metrics = settings, executor, metrics
        self._batcher = Batcher(_ask)
        self._prepared: OrderedDict[tuple[str, int, Select], None] = OrderedDict()
        self._queued = 0

    async def answer(self, model: ServedModel, question: Question, limit: int) -> Answer:
        """Return the answer; out of range it is flagged or refused, as the policy says.

        Parameters
        ----------
        model, question
            Who is asked what.
        limit
            Numbers that the reply may hold.

        Raises
        ------
        ServiceError
            If there are too many queries or numbers, a query is out of range and refused, an
            answer is not finite, or all threads are busy.
        UserError
            If the question does not fit the model.
        """
        self._require_work(model, question, 1)
        numbers = self._require_size(model, question, limit)
        if self._is_short(model, question, numbers):
            answer = await self._batcher.answer(model, question)
        else:
            answer = await self.run(_ask, model, question)
            self._remember(model, question)
        tolerance = self._settings.tolerance_of(model.card)
        untrusted = len(question.mu) - int(trusted(answer, tolerance).sum())
        self._metrics.queries(model.name, len(question.mu), untrusted)
        return answer

    async def gradient(self, model: ServedModel, question: Question, limit: int) -> Gradient:
        """Return derivatives; raises as `answer`, but does not refuse what is out of range."""
        self._require_work(model, question, len(model.parameters.names))
        numbers = self._require_size(model, question, limit // len(model.parameters.names))
        if self._is_short(model, question, numbers * len(model.parameters.names)):
            return _differentiate(model, question)
        gradient = await self.run(_differentiate, model, question)
        self._remember(model, question)
        return gradient

    async def run[**P, R](
        self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs
    ) -> R:  # fmt: skip
        """Call a function in a thread.

        Raises
        ------
        ServiceError
            With the status 503 if too many wait for one.
        """
        if self._queued >= self._settings.threads + self._settings.waiting:
            message = "Expected a free thread; all are busy and too many wait. Try again in 1 s."
            raise ServiceError(Problem(503, "busy", message, headers={"Retry-After": "1"}))
        self._queued += 1
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._executor, lambda: function(*args, **kwargs))
        # Counted until it has run, also if the one who asked has gone.
        future.add_done_callback(lambda _: self._ended())
        return await future

    def _ended(self) -> None:
        self._queued -= 1

    def _require_work(self, model: ServedModel, question: Question, factor: int) -> None:
        """Refuse what would take much memory on the way to a small answer."""
        needed = len(question.mu) * time_count(model, question) * model.rank * factor
        if needed > self._settings.work_limit:
            raise ServiceError.of(
                413,
                "too_large_question",
                f"queries x times x modes of at most {self._settings.work_limit}",
                str(needed),
                "Send fewer queries or times in one request.",
            )

    def _require_size(self, model: ServedModel, question: Question, limit: int) -> int:
        queries = len(question.mu)
        if queries > self._settings.batch_limit:
            raise ServiceError.of(
                413,
                "too_many_queries",
                f"at most {self._settings.batch_limit} queries in one request",
                str(queries),
                "Send them in parts.",
            )
        numbers = queries * numbers_per_query(model, question)
        if numbers > limit:
            raise ServiceError.of(
                413,
                "too_large_answer",
                f"a question for at most {limit} numbers in a reply of this form",
                f"one for {numbers}",
                "Ask for fewer queries, times or places, or for a binary reply.",
            )
        return numbers

    def _is_short(self, model: ServedModel, question: Question, numbers: int) -> bool:
        if len(question.mu) > _SHORT_QUERIES or numbers * model.rank > _SHORT_WORK:
            return False
        if model.card.kind == "structure":  # each query is a run in time
            return False
        if question.select.kind in ("quantities", "coefficients"):
            return True
        key = (model.name, model.version, question.select)
        if key not in self._prepared:
            return False
        self._prepared.move_to_end(key)
        return True

    def _remember(self, model: ServedModel, question: Question) -> None:
        self._prepared[(model.name, model.version, question.select)] = None
        if len(self._prepared) > _PREPARED:
            self._prepared.popitem(last=False)


def _ask(model: ServedModel, question: Question) -> Answer:
    with np.errstate(all="ignore"):
        answer = model.query(
            question.mu,
            question.times,
            question.select,
            units=dict(question.units),
            policy="flag",
        )
    policy = question.policy or model.card.trust.policy
    if policy == "refuse" and not answer.in_range.all():
        raise _out_of_range(answer)
    _require_finite(answer.values)
    if np.isfinite(answer.eta).all() and np.isfinite(answer.score).all():
        return answer
    return _bounded(answer)


def _differentiate(model: ServedModel, question: Question) -> Gradient:
    with np.errstate(all="ignore"):
        gradient = model.gradient(
            question.mu, question.times, question.select, units=dict(question.units)
        )
    _require_finite(gradient.values)
    return gradient


def _require_finite(values: Mapping[str, NDArray[np.float64]]) -> None:
    bad = [name for name, array in values.items() if not np.isfinite(array).all()]
    if bad:
        raise ServiceError.of(
            422,
            "not_finite",
            "parameters for which the model has finite answers",
            f"some for which {', '.join(bad)} would be infinite or no number",
            "Ask within the trained range.",
        )


def _bounded(answer: Answer) -> Answer:
    """Return an answer whose distances and indicator are numbers that JSON knows."""
    return replace(
        answer,
        eta=np.nan_to_num(answer.eta, nan=_HUGE, posinf=_HUGE),
        score=np.nan_to_num(answer.score, nan=_HUGE, posinf=_HUGE),
        distance=np.nan_to_num(answer.distance, nan=_HUGE, posinf=_HUGE),
    )


def _out_of_range(answer: Answer) -> RomflowError:
    found = "; ".join(f"query {i}: {r}" for i, r in enumerate(answer.reasons) if r)
    return ServiceError.of(
        422,
        "out_of_range",
        f"queries in the trained range of {answer.model}",
        found[:1000],
        "Ask within the range, or allow flagged answers.",
    )
