"""What the service counts, for Prometheus."""

from typing import final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

__all__ = ["METRICS_TYPE", "Metrics"]

METRICS_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 20.0)


@final
class Metrics:
    """Counters of one service; each service has its own registry."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "romflow_requests",
            "Requests by route and status.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "romflow_request_seconds",
            "Time of a request, by route.",
            ("route",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._queries = Counter(
            "romflow_queries", "Queries by model.", ("model",), registry=self._registry
        )
        self._untrusted = Counter(
            "romflow_untrusted_answers",
            "Answers out of range or with an indicator above the tolerance, by model.",
            ("model",),
            registry=self._registry,
        )
        self._loaded = Gauge(
            "romflow_models_loaded", "Models that are held loaded.", registry=self._registry
        )
        self._jobs = Counter(
            "romflow_jobs", "Jobs that were started, by kind.", ("kind",), registry=self._registry
        )
        self._counts: dict[tuple[str, str, int], Counter] = {}
        self._times: dict[str, Histogram] = {}
        self._asked: dict[str, Counter] = {}

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        key = (method, route, status)
        # Looking labels up costs more than counting.
        count = self._counts.get(key)
        if count is None:
            count = self._counts[key] = self._requests.labels(method, route, str(status))
        count.inc()
        time = self._times.get(route)
        if time is None:
            time = self._times[route] = self._seconds.labels(route)
        time.observe(seconds)

    def queries(self, model: str, count: int, untrusted: int) -> None:
        """Count answers."""
        counter = self._asked.get(model)
        if counter is None:
            counter = self._asked[model] = self._queries.labels(model)
        counter.inc(count)
        if untrusted:
            self._untrusted.labels(model).inc(untrusted)

    def loaded(self, count: int) -> None:
        """Say how many models are held."""
        self._loaded.set(count)

    def job(self, kind: str) -> None:
        """Count a job."""
        self._jobs.labels(kind).inc()

    def text(self) -> bytes:
        """Return all of it in the text format of Prometheus."""
        return generate_latest(self._registry)
