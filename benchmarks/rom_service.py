"""The query service under load, and its protocols beside their own servers.

python benchmarks/rom_service.py [--quick]
"""

import http.client
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from _report import ROOT, Report, arguments, interleaved, middle
from _rom_service_load import request_bytes, saturate, steady
from _rom_service_model import NAME, publish
from _rom_service_processes import (
    clients_python,
    direct,
    host_and_port,
    memory,
    server,
    their_server,
)

PATH = f"/api/models/{NAME}/query"
JSON = {"Content-Type": "application/json"}


def probe(i: int = 0) -> bytes:
    mu = {"height": 0.3 + 0.001 * (i % 400), "width": 0.3, "power": 5.0}
    select = {"kind": "probes", "points": [[0.4, 0.5], [0.6, 0.2], [0.123, 0.456]]}
    return json.dumps({"mu": mu, "select": select}).encode()


def load(report: Report, address: str, process: int, quick: bool) -> None:
    host, port = host_and_port(address)
    seconds = 8.0 if quick else 60.0
    requests = [request_bytes("POST", PATH, f"{host}:{port}", probe(i)) for i in range(200)]
    steady(host, port, requests, 200, 3.0)  # every buffer has been used once
    before = memory(process)
    found = steady(host, port, requests, 200, seconds)
    after = memory(process)
    report.section("200 connected clients, one probe query each per second")
    report.table(
        ["requests", "failures", "p50 ms", "p99 ms", "largest ms", "memory MB before", "after"],
        [(len(found.seconds), found.failures, found.quantile(0.5) * 1e3,
          found.quantile(0.99) * 1e3, max(found.seconds) * 1e3, before, after)],
    )  # fmt: skip
    report.at_most("failures under load", found.failures, 0)
    report.at_most("p99 under load, ms", found.quantile(0.99) * 1e3, 100)
    report.at_most("memory after over before the load", after / before, 1.05)


def throughput(report: Report, address: str, bare: str, quick: bool) -> None:
    host, port = host_and_port(address)
    other = host_and_port(bare)
    seconds, rounds, clients = (1.0, 3, 32) if quick else (5.0, 5, 32)
    ours = request_bytes("POST", PATH, f"{host}:{port}", probe())
    nothing = request_bytes("GET", "/", f"{other[0]}:{other[1]}")
    rates = interleaved(
        rounds,
        ours=lambda: saturate(host, port, ours, clients, seconds),
        bare=lambda: saturate(*other, nothing, clients, seconds),
    )
    report.section(f"Saturated: {clients} clients that ask again at once")
    report.note(
        "The bare route is `GET /` of a FastAPI application that returns `{'ok': True}`, behind "
        "the same server. Ours is a probe query: a body that is checked, the model, the trust."
    )
    report.table(
        ["route", "requests/s", "smallest", "largest"],
        [(name, middle(r), min(r), max(r)) for name, r in rates.items()],
    )
    ratios = [a / b for a, b in zip(rates["ours"], rates["bare"], strict=True)]
    report.at_least("probe queries per bare request", middle(ratios), 0.5)


def field(report: Report, address: str, quick: bool) -> None:
    connection = http.client.HTTPConnection(*host_and_port(address))
    repeats = 15 if quick else 100
    rows, size = [], 0
    for form in ("application/x-npy", "application/vnd.apache.arrow.stream", "application/json"):
        times = []
        for i in range(repeats):
            mu = [[0.3 + 0.001 * i, 0.3, 5.0]]
            body = json.dumps({"mu": mu, "select": "fields"})
            start = time.perf_counter()
            connection.request("POST", PATH, body, {**JSON, "Accept": form})
            content = connection.getresponse().read()
            times.append((time.perf_counter() - start) * 1e3)
        size = size or (len(content) - 128) // 8
        rows.append((form, middle(times), min(times), max(times), len(content)))
    report.section(f"One field of {size} doubles")
    report.table(["form", "ms", "smallest", "largest", "bytes"], rows)
    report.at_most("binary field, ms", rows[0][1], 25)


def protocols(report: Report, address: str, folder: str, quick: bool) -> None:
    script = str(ROOT / "_rom_service_umbridge.py")
    rounds, calls = ("3", "40") if quick else ("7", "300")
    with their_server("constant") as constant, their_server("model", folder) as same:
        command = [str(clients_python()), "-W", "ignore", script, "time", rounds, calls]
        servers = (f"ours={address}", f"theirs={same}", f"theirs, constants={constant}")
        done = subprocess.run(
            [*command, *servers], capture_output=True, text=True, env=direct(), check=True
        )
    seconds = json.loads(done.stdout)
    report.section("The stock UM-Bridge client, and our own batch route")
    report.note(
        "Their server is the protocol's own in Python; it serves the same reduced model, and "
        "beside it a model that returns constants without any computation."
    )
    rows = [(n, middle(s) * 1e3, min(s) * 1e3, max(s) * 1e3) for n, s in seconds.items()]
    report.table(["server", "ms per call", "smallest", "largest"], rows)
    ours, theirs = middle(seconds["ours"]), middle(seconds["theirs"])
    report.at_most("UM-Bridge call over its own server's", ours / theirs, 1.0)
    batch(report, address, 1 / theirs, 1 / ours, quick)


def batch(report: Report, address: str, theirs: float, ours: float, quick: bool) -> None:
    connection = http.client.HTTPConnection(*host_and_port(address))
    rng = np.random.default_rng(0)
    mu = np.column_stack([rng.uniform(0.2, 0.8, 1000), rng.uniform(0.2, 0.6, 1000), np.full(1000, 5.0)])  # fmt: skip  # noqa: E501
    body = json.dumps({"mu": mu.tolist(), "select": "quantities"})
    rates = []
    for _ in range(5 if quick else 30):
        start = time.perf_counter()
        connection.request("POST", PATH, body, JSON)
        reply = connection.getresponse()
        reply.read()
        assert reply.status == 200
        rates.append(1000 / (time.perf_counter() - start))
    report.table(
        ["way", "queries/s"],
        [("UM-Bridge calls, its own server", theirs), ("UM-Bridge calls, our server", ours),
         ("our batch route, 1000 queries in a request", middle(rates))],
    )  # fmt: skip
    report.at_least(
        "queries of the batch route per UM-Bridge call", middle(rates) / max(theirs, ours), 50
    )


def main() -> int:
    quick = arguments(__doc__).quick
    report = Report("rom_service", "The query service", quick=quick)
    with tempfile.TemporaryDirectory() as folder:
        publish(Path(folder), 10_000 if quick else 100_000)
        with server("ours", folder) as (address, process), server("bare") as (bare, _):
            load(report, address, process, quick)
            throughput(report, address, bare, quick)
            field(report, address, quick)
            protocols(report, address, folder, quick)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
