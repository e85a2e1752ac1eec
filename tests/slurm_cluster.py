"""A real Slurm of one node, started without root's system services and ended with the block.

Its munge key, configuration, state and logs are in one folder; nothing else is touched. Also a
script: ``python tests/slurm_cluster.py FOLDER`` runs one until Ctrl-C and says how to talk to it.
"""

from __future__ import annotations

import contextlib
import os
import platform
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scancel", "scontrol", "sinfo")
_START_SECONDS = 120.0
_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])

CONFIGURATION = """
ClusterName=molcryst
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
MpiDefault=none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
ReturnToService=2
KillWait=5
MessageTimeout=60
SchedulerParameters=sched_interval=2,sched_min_interval=0,batch_sched_delay=0
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory=1000 State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """Say why there can be no Slurm here; nothing if there can."""
    lacking = [name for name in NEEDED if shutil.which(name, path=_PATH) is None]
    if lacking:
        return f"{', '.join(lacking)} not found: apt-get install slurm-wlm munge"
    return "" if os.geteuid() == 0 else "slurmd runs jobs as root alone"


class Cluster:
    """One node with some cores."""

    def __init__(self, folder: Path, cores: int) -> None:
        self.folder = folder.resolve()
        self.cores = cores
        self.host = platform.node().partition(".")[0]
        self.daemons: list[subprocess.Popen[bytes]] = []
        self.environment = {
            **os.environ,
            "PATH": _PATH,
            "SLURM_CONF": str(self.folder / "slurm.conf"),
        }

    def command(self, *words: str) -> str:
        """Run one of Slurm's commands."""
        done = subprocess.run(
            words, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}{done.stdout}"
        return done.stdout

    def jobs(self, *states: str) -> list[str]:
        """Return the numbers of jobs in one of some states, the oldest first."""
        listed = self.command("squeue", "--noheader", "--format=%i %T").splitlines()
        pairs = [line.split() for line in listed]
        return sorted((n for n, state in pairs if not states or state in states), key=int)

    def start(self) -> None:
        """Start munge, the controller and the node, and wait until it is idle."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._start_munge()
        for name in ("state", "spool"):
            (self.folder / name).mkdir(exist_ok=True)
        ports = {"controller_port": _free_port(), "node_port": _free_port()}
        words = {"host": self.host, "folder": self.folder, "cores": self.cores, **ports}
        (self.folder / "slurm.conf").write_text(CONFIGURATION.format(**words))
        self._start_daemon("slurmctld", "-D")
        self._start_daemon("slurmd", "-D", "-N", self.host)
        self._wait_until_idle()

    def stop(self) -> None:
        """End all jobs and daemons."""
        subprocess.run(
            ["scancel", "--user=root"], env=self.environment, capture_output=True, check=False
        )
        _wait(lambda: not self.jobs(), 30.0)
        for daemon in reversed(self.daemons):
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def _start_munge(self) -> None:
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))
        self.folder.chmod(0o755)
        files = {
            "socket": "munge.socket",
            "pid-file": "munged.pid",
            "log-file": "munged.log",
            "seed-file": "munge.seed",
            "key-file": "munge.key",
        }
        options = [f"--{name}={self.folder / file}" for name, file in files.items()]
        self._start_daemon("munged", "--foreground", "--force", *options)
        _wait((self.folder / "munge.socket").exists, _START_SECONDS)

    def _start_daemon(self, *words: str) -> None:
        with (self.folder / f"{words[0]}.out").open("wb") as output:
            daemon = subprocess.Popen(
                words,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.daemons.append(daemon)

    def _wait_until_idle(self) -> None:
        def idle() -> bool:
            for daemon in self.daemons:
                if daemon.poll() is not None:
                    raise RuntimeError(self._last_words())
            done = subprocess.run(
                ["sinfo", "--noheader", "--format=%T"],
                env=self.environment,
                capture_output=True,
                text=True,
                check=False,
            )
            return done.stdout.strip() == "idle"

        if not _wait(idle, _START_SECONDS):
            raise RuntimeError(self._last_words())

    def _last_words(self) -> str:
        logs = [*self.folder.glob("*.log"), *self.folder.glob("*.out")]
        return "\n".join(f"{log.name}: {log.read_text()[-800:]}" for log in logs)


@contextmanager
def slurm_cluster(folder: Path, cores: int = 2) -> Iterator[Cluster]:
    """Yield a cluster whose state is in a folder."""
    cluster = Cluster(folder, cores)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait(condition, seconds: float) -> bool:  # noqa: ANN001
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.2)
    return False


def _raise_interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):  # also in the background
        signal.signal(number, _raise_interrupt)
    with slurm_cluster(Path(sys.argv[1])) as running:
        print(f"export SLURM_CONF={running.environment['SLURM_CONF']}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()
