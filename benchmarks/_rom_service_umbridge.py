"""UM-Bridge's own server, and times of its own client.

``constant PORT PACKAGES`` serves a model that returns constants at once, ``model PORT PACKAGES
FOLDER`` the reduced model; PACKAGES is a folder with the packages of the clients, which come after
our own. ``time ROUNDS CALLS NAME=URL ...`` calls each server in turn, and prints the seconds per
call of every round as JSON; it runs in the environment of the clients.
"""

import json
import sys
import time
from pathlib import Path

__all__: list[str] = []

POINT = [0.4, 0.3, 3.0]


def serve(kind: str, port: int, packages: str, folder: str | None) -> None:
    sys.path.append(packages)
    import umbridge

    if kind == "constant":
        answer = None
    else:
        from rom.registry import Registry

        answer = Registry(Path(str(folder))).load("plate")

    # The arguments are those of the protocol.
    class Plate(umbridge.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__("plate")

        def get_input_sizes(self, config: dict[str, object]) -> list[int]:  # noqa: ARG002
            return [3]

        def get_output_sizes(self, config: dict[str, object]) -> list[int]:  # noqa: ARG002
            return [1, 1]

        def __call__(self, parameters: list[list[float]], config: object) -> list[list[float]]:  # noqa: ARG002
            if answer is None:
                return [[1.0 / 3.0], [1.0 / 3.0]]
            return [v[0].tolist() for v in answer.query(parameters).values.values()]

        def supports_evaluate(self) -> bool:
            return True

    umbridge.serve_models([Plate()], port)


def calls(address: str, count: int) -> float:
    import umbridge

    model = umbridge.HTTPModel(address, "plate")
    model([POINT])
    start = time.perf_counter()
    for _ in range(count):
        model([POINT])
    return (time.perf_counter() - start) / count


def main(arguments: list[str]) -> None:
    if arguments[0] != "time":
        folder = arguments[3] if len(arguments) > 3 else None
        serve(arguments[0], int(arguments[1]), arguments[2], folder)
        return
    servers = dict(entry.split("=", 1) for entry in arguments[3:])
    seconds: dict[str, list[float]] = {name: [] for name in servers}
    for _ in range(int(arguments[1])):
        for name, address in servers.items():
            seconds[name].append(calls(address, int(arguments[2])))
    print(json.dumps(seconds))


if __name__ == "__main__":
    main(sys.argv[1:])
