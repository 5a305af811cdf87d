"""Questions that arrive together are answered together: one call of the model for all of them.

A query of one model costs much the same for one parameter point as for ten. Questions that the
event loop has received in one of its turns wait for the end of the turn, not longer.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from rom.answer import Answer
from rom.served_model import ServedModel
from rom.service.question import Question

__all__ = ["Batcher", "part_of"]


@final
@dataclass(frozen=True, eq=False)
class _Waiting:
    model: ServedModel
    question: Question
    answer: asyncio.Future[Answer]


@final
class Batcher:
    """See the module. Used by one event loop.

    Parameters
    ----------
    ask
        Answers a question at once.
    limit
        Questions that are answered together.
    """

    def __init__(self, ask: Callable[[ServedModel, Question], Answer], limit: int = 64) -> None:
        self._ask, self._limit = ask, limit
        self._groups: dict[tuple[object, ...], list[_Waiting]] = {}

    async def answer(self, model: ServedModel, question: Question) -> Answer:
        """Return the answer to a question.

        Raises
        ------
        RomflowError
            As `ask` does.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(model, question, loop.create_future())
        key = (id(model), question.select, question.times, question.policy, question.units)
        group = self._groups.setdefault(key, [])
        if not group:
            loop.call_soon(self._flush, key)
        group.append(waiting)
        if len(group) >= self._limit:
            self._flush(key)
        return await waiting.answer

    def _flush(self, key: tuple[object, ...]) -> None:
        group = self._groups.pop(key, [])
        if len(group) == 1:
            self._alone(group[0])
        elif group:
            self._together(group)

    def _alone(self, waiting: _Waiting) -> None:
        try:
            answer = self._ask(waiting.model, waiting.question)
        except Exception as error:  # noqa: BLE001 - raised where the answer is awaited
            _settle(waiting.answer, error)
        else:
            _settle(waiting.answer, answer)

    def _together(self, group: list[_Waiting]) -> None:
        mu = np.concatenate([w.question.mu for w in group])
        try:
            answer = self._ask(group[0].model, replace(group[0].question, mu=mu))
        except Exception:  # noqa: BLE001 - each learns what is wrong with its own question
            for waiting in group:
                self._alone(waiting)
            return
        start = 0
        for waiting in group:
            stop = start + len(waiting.question.mu)
            _settle(waiting.answer, part_of(answer, slice(start, stop)))
            start = stop


def part_of(answer: Answer, part: slice) -> Answer:
    """Return the answer to some of the queries."""
    return replace(
        answer,
        values={name: values[part] for name, values in answer.values.items()},
        eta=answer.eta[part],
        in_range=answer.in_range[part],
        score=answer.score[part],
        distance=answer.distance[part],
        reasons=answer.reasons[part],
    )


def _settle(future: asyncio.Future[Answer], result: Answer | Exception) -> None:
    if future.done():  # its client has gone
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
