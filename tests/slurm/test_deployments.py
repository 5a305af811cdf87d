"""``prefect deployment run .../slurm``: Prefect's server and worker here, the jobs in Slurm."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.environment import prefect_environment

pytestmark = [pytest.mark.slurm, pytest.mark.server]


@pytest.fixture
def url(site: Any) -> Iterator[str]:
    """Give the address of the services of ``romflow up`` at the site."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    site.romflow("up", "--port", str(port))
    try:
        yield f"http://127.0.0.1:{port}/api"
    finally:
        site.romflow("down")


def deploy(site: Any, url: str, name: str, study: Path) -> "subprocess.CompletedProcess[str]":
    """Run a deployment with a study as its parameter, and wait for its end."""
    settings = json.dumps(yaml.safe_load(study.read_text()))
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    return subprocess.run(
        [
            *(sys.executable, "-m", "prefect", "deployment", "run", name),
            *("--watch", "--param", f"study={settings}"),
        ],
        cwd=site.folder,
        env={**kept, **prefect_environment(), "PREFECT_API_URL": url},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


def test_a_deployment_whose_jobs_are_slurms_gives_the_same_data(
    site: Any, url: str, expected: Any
) -> None:
    study = Path(site.study("deployed"))
    done = deploy(site, url, "generate-ns-data/slurm", study)
    assert done.returncode == 0, done.stdout + done.stderr
    assert site.checksums("deployed") == expected[False]
    # The jobs went through Slurm: their scripts, and how they ended, are kept.
    assert list((site.root("deployed") / "slurm").rglob("*.sh"))
    assert not site.slurm.output("squeue", "-h")
