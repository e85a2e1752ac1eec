"""Sites with a scheduler: Slurm, PBS Pro, Kubernetes."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from molcryst_bench.base.settings import Settings
from molcryst_bench.bench.executors.blocks import Blocks


class Slurm(Blocks):
    """A cluster with Slurm."""

    commands: ClassVar[tuple[str, ...]] = ("sbatch", "squeue", "scancel", "srun")

    kind: Literal["slurm"]
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    gres: str | None = Field(default=None, description="such as gpu:4")
    memory_per_node: PositiveInt | None = Field(default=None, description="GB")
    exclusive: bool = Field(default=False, description="let nobody else on the nodes")
    scheduler_options: str = Field(default="", description="more lines, such as '#SBATCH --...'")
    srun_options: str = Field(default="", description="more words for srun")

    def provider(self) -> Any:
        """Return Parsl's provider of Slurm jobs, which are warned before their time is over."""
        from parsl.launchers import SrunLauncher
        from parsl.providers import SlurmProvider

        options = [
            *self.scheduler_options.splitlines(),
            f"#SBATCH --cpus-per-task={self.workers_per_node * self.threads}",
            f"#SBATCH --signal=USR1@{round(self.grace)}",
        ]
        cores = f"--cpus-per-task={self.workers_per_node * self.threads}"
        return SlurmProvider(
            partition=self.partition,
            account=self.account,
            qos=self.qos,
            constraint=self.constraint,
            gres=self.gres,
            nodes_per_block=self.nodes_per_block,
            mem_per_node=self.memory_per_node,
            init_blocks=self.blocks.start,
            min_blocks=self.blocks.min,
            max_blocks=self.blocks.max,
            walltime=self.walltime,
            scheduler_options="\n".join([*options, ""]),
            worker_init=self.start_of_worker,
            exclusive=self.exclusive,
            cmd_timeout=60,
            launcher=SrunLauncher(debug=False, overrides=f"{cores} {self.srun_options}".strip()),
        )


class Pbs(Blocks):
    """A cluster with PBS Pro."""

    commands: ClassVar[tuple[str, ...]] = ("qsub", "qstat", "qdel")

    kind: Literal["pbs"]
    queue: str | None = None
    account: str | None = None
    cpus_per_node: PositiveInt = Field(default=1, description="of the machine")
    select_options: str = Field(default="", description="such as ngpus=4")
    scheduler_options: str = Field(default="", description="more lines, such as '#PBS -l ...'")
    launcher: Literal["single", "mpiexec"] = Field(
        default="single", description="mpiexec for blocks of several nodes"
    )
    bind_option: str = Field(default="--bind-to", description="of mpiexec; --cpu-bind at ALCF")
    mpiexec_options: str = Field(default="", description="more words for mpiexec")

    def provider(self) -> Any:
        """Return Parsl's provider of PBS jobs."""
        from parsl.launchers import MpiExecLauncher, SingleNodeLauncher
        from parsl.providers import PBSProProvider

        launcher: Any = SingleNodeLauncher(debug=False)
        if self.launcher == "mpiexec":
            options = self.mpiexec_options
            launcher = MpiExecLauncher(False, bind_cmd=self.bind_option, overrides=options)
        return PBSProProvider(
            queue=self.queue,
            account=self.account,
            nodes_per_block=self.nodes_per_block,
            cpus_per_node=self.cpus_per_node,
            select_options=self.select_options,
            scheduler_options=self.scheduler_options,
            init_blocks=self.blocks.start,
            min_blocks=self.blocks.min,
            max_blocks=self.blocks.max,
            walltime=self.walltime,
            worker_init=self.start_of_worker,
            launcher=launcher,
        )


class Volume(Settings):
    """A persistent volume of a Kubernetes cluster."""

    claim: str
    path: str = Field(description="where pods see it")


class Kubernetes(Blocks):
    """Pods of a Kubernetes cluster; image and volumes hold the project."""

    kind: Literal["kubernetes"]
    image: str
    namespace: str = "default"
    cpu: PositiveFloat = 1.0
    memory: str = Field(default="4Gi", description="of a pod")
    volumes: list[Volume] = Field(default=[], description="persistent ones")
    service_account: str | None = None
    secret: str | None = Field(default=None, description="with which the image is pulled")
    limits: dict[str, str] = Field(default={}, description="such as nvidia.com/gpu: 1")
    inherit_environment: bool = Field(
        default=False, description="the image has a Python of its own"
    )

    def problems(self) -> list[str]:
        """Say which packages are missing."""
        from importlib import util

        missing = util.find_spec("kubernetes") is None
        own = ["kubernetes is not installed: pip install kubernetes"] if missing else []
        return [*super().problems(), *own]

    def provider(self) -> Any:
        """Return Parsl's provider of pods."""
        from parsl.providers import KubernetesProvider

        return KubernetesProvider(
            image=self.image,
            namespace=self.namespace,
            nodes_per_block=self.nodes_per_block,
            init_blocks=self.blocks.start,
            min_blocks=self.blocks.min,
            max_blocks=self.blocks.max,
            init_cpu=self.cpu,
            max_cpu=self.cpu,
            init_mem=self.memory,
            max_mem=self.memory,
            extra_limits=self.limits or None,
            extra_requests=self.limits or None,
            worker_init=self.start_of_worker,
            persistent_volumes=[(volume.claim, volume.path) for volume in self.volumes],
            service_account_name=self.service_account,
            secret=self.secret,
        )
