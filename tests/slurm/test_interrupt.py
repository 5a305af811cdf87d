"""A flow that is interrupted takes its jobs in Slurm with it, and goes on when it is run again."""

import os
import signal
import subprocess
import sys
from typing import Any

import pytest

pytestmark = pytest.mark.slurm


def test_an_interrupted_flow_leaves_no_job_and_no_process(site: Any, expected: Any) -> None:
    study = site.study("ctrl", slow=True)
    command = ["run", "generate-ns-data", "--study", study, "--profile", site.profile()]
    with subprocess.Popen(
        [sys.executable, "-m", "flows.cli", *command],
        cwd=site.folder,
        env={k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        # Tests in the background may ignore SIGINT; a terminal's commands do not.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as flow:
        try:
            site.until_started("ctrl")
            flow.send_signal(signal.SIGINT)
            assert flow.wait(200.0) == 130
        finally:
            flow.kill()
    site.until(lambda: not site.slurm.output("squeue", "-h"), "the end of all jobs")
    site.until(lambda: not site.solvers("ctrl"), "the end of all processes")
    site.romflow(*command)
    assert site.checksums("ctrl") == expected[True]
