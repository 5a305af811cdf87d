"""Laws of sessions whose frames come from several ranks."""

from collections.abc import Set

from infra.streaming.frames import Hello, StreamSpec, Verdict
from infra.streaming.reception import Reception
from infra.streaming.sessions import Peer


class Rank(Peer):
    """A rank that remembers what it is told."""

    def __init__(self, part: tuple[int, int]) -> None:
        super().__init__(part)
        self.told: list[str] = []

    def welcome(self, verdict: Verdict, held: Set[int], answered: int, allowed: int) -> None:
        del held, answered, allowed
        self.told.append(f"welcome {verdict.name}")

    def answer(self, step: int, verdict: Verdict) -> None:
        self.told.append(f"answer {step} {verdict.name}")

    def allow(self, frames: int) -> None:
        self.told.append(f"allow {frames}")

    def ended(self, verdict: Verdict) -> None:
        self.told.append(f"ended {verdict.name}")


def answer_all(reception: Reception) -> None:
    for ticket, _ in reception.take():
        reception.answer(ticket, Verdict.ACCEPTED, frozenset())


def test_a_rank_that_has_gone_on_hears_nothing_of_the_sample_that_it_left(
    spec: StreamSpec,
) -> None:
    reception, ranks = Reception(spec, 10.0), (Rank((0, 2)), Rank((2, spec.n_values)))
    for rank in ranks:
        reception.hello(rank, Hello(1, 5))
    answer_all(reception)
    first, second = ranks
    reception.ending(first, False, "diverged")
    answer_all(reception)
    assert first.told[-1] == "ended ACCEPTED"
    reception.hello(first, Hello(2, 6))
    answer_all(reception)
    before = list(first.told)
    reception.grant(8)
    reception.ending(second, False, "diverged")
    answer_all(reception)
    assert second.told[-1] == "ended ACCEPTED"
    assert "ended ACCEPTED" not in first.told[len(before) :]
    assert first.session is not None
    assert first.session.sample == 2
