"""Questions that arrive together are answered as if they had come alone."""

import asyncio
import json
import socket
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from httpx import Client

from rom.answer import Answer
from rom.reduced_model import ReducedModel
from rom.selection import Select
from rom.service.batching import Batcher
from rom.service.engine import Engine
from rom.service.metrics import Metrics
from rom.service.problem import ServiceError
from rom.service.question import Question
from rom.service.settings import ServiceSettings


def run_apart[T](work: Coroutine[Any, Any, T]) -> T:
    """Run in a thread: the browser's driver, used by other tests, has a loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


MU = np.random.default_rng(1).uniform([0.2, 1.0], [0.8, 10.0], (12, 2))
PROBES = Select.probes([[0.2, 0.3], [0.7, 0.7]])


def questions(select: Select) -> list[Question]:
    return [Question(row[np.newaxis], None, select) for row in MU]


async def together(
    ask: Callable[[ReducedModel, Question], Answer], model: ReducedModel, asked: list[Question]
) -> list[Answer | BaseException]:
    batcher = Batcher(ask, limit=8)
    return await asyncio.gather(
        *(batcher.answer(model, question) for question in asked), return_exceptions=True
    )


@pytest.mark.parametrize("select", [PROBES, Select.quantities()], ids=["probes", "quantities"])
def test_answers_of_a_group_are_those_of_single_questions(
    spot: ReducedModel, select: Select
) -> None:
    sizes = []

    def ask(model: ReducedModel, question: Question) -> Answer:
        sizes.append(len(question.mu))
        return model.query(question.mu, question.times, question.select)

    answers = run_apart(together(ask, spot, questions(select)))
    assert sizes == [8, 4]
    for row, answer in zip(MU, answers, strict=True):
        assert isinstance(answer, Answer)
        alone = spot.query(row[np.newaxis], None, select)
        for name, values in alone.values.items():
            np.testing.assert_allclose(answer.values[name], values, rtol=1e-12)
        np.testing.assert_allclose(answer.eta, alone.eta, rtol=1e-9)
        assert answer.reasons == alone.reasons


def test_a_bad_question_disturbs_no_other(spot: ReducedModel) -> None:
    def ask(model: ReducedModel, question: Question) -> Answer:
        if (question.mu == MU[3]).all(axis=1).any():
            raise ServiceError.of(422, "bad", "another", "this")
        return model.query(question.mu, question.times, question.select)

    answers = run_apart(together(ask, spot, questions(PROBES)))
    assert [isinstance(answer, ServiceError) for answer in answers] == [i == 3 for i in range(12)]


def test_different_questions_are_not_mixed(spot: ReducedModel) -> None:
    asked = [Question(MU[:1], None, PROBES), Question(MU[:1], None, Select.coefficients())]

    def ask(model: ReducedModel, question: Question) -> Answer:
        return model.query(question.mu, question.times, question.select)

    first, second = run_apart(together(ask, spot, asked))
    assert isinstance(first, Answer)
    assert isinstance(second, Answer)
    assert list(first.values) == ["temperature", "flux"]
    assert list(second.values) == ["coefficients"]


def test_a_busy_service_says_so_and_recovers() -> None:
    go = Event()

    async def run() -> int:
        settings = ServiceSettings(threads=1, waiting=1)
        engine = Engine(settings, ThreadPoolExecutor(1), Metrics())
        waiting = [asyncio.ensure_future(engine.run(go.wait, 60)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(ServiceError) as error:
            await engine.run(int)
        assert error.value.problem.headers == {"Retry-After": "1"}
        go.set()
        await asyncio.gather(*waiting)
        assert await engine.run(int) == 0
        return error.value.problem.status

    assert run_apart(run()) == 503


def test_clients_that_ask_at_once_get_their_own_answers(client: Client, spot: ReducedModel) -> None:
    def ask(row: list[float]) -> list[float]:
        body = {"mu": [row], "select": {"kind": "probes", "points": [[0.2, 0.3]]}}
        values = client.post("/api/models/spot/query", json=body).json()["values"]
        return [values["temperature"][0][0][0], values["flux"][0][0][0]]

    with ThreadPoolExecutor(6) as pool:
        received = np.array(list(pool.map(ask, MU.tolist())))
    expected = spot.query(MU, None, Select.probes([[0.2, 0.3]])).values
    np.testing.assert_allclose(received[:, 0], expected["temperature"][:, 0, 0], rtol=1e-12)
    np.testing.assert_allclose(received[:, 1], expected["flux"][:, 0, 0], rtol=1e-12)


def test_requests_sent_in_one_piece_are_answered_in_order(live: str) -> None:
    """Replies are gathered before they are written; nothing is lost or mixed on one connection."""
    parts = urlsplit(live)
    assert parts.hostname is not None
    count, request = 5, b""
    for i in range(count):
        body = json.dumps({"mu": [[0.3 + 0.1 * i, 2.0]]}).encode()
        head = f"POST /api/models/spot/query HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        head += "Connection: close\r\n\r\n" if i == count - 1 else "\r\n"
        request += head.encode() + body
    with socket.create_connection((parts.hostname, parts.port or 0), 60) as connection:
        connection.sendall(request)
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    replies = [
        json.loads(r.partition(b"\r\n\r\n")[2]) for r in received.split(b"HTTP/1.1 200 OK")[1:]
    ]
    assert [round(r["mu"][0][0], 6) for r in replies] == [0.3, 0.4, 0.5, 0.6, 0.7]
