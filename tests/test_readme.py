"""What the README tells people to type is there, and works as it stands."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import click
import pytest
from ase.build import molecule
from ase.io import write
from handmade import REPOSITORY
from small_pipeline import SETTINGS, Project, make_project

from molcryst_bench.cli.main import molcryst

README = (REPOSITORY / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
FIRST_CELLS = re.findall(r"^\| (`molcryst .*?) \|", README, re.MULTILINE)
CELL = "leaderboard/results/qm9/homo/schnet/0"
OF_DYNAMICS = "leaderboard/results/xtb/ethanol"
OF_OTHERS = ("CELL=", "git ", "srun ", "pip ", "wandb ", "dvc ")

# What the test does not run, and why.
NAMES_A_VERB = "tells its name alone; it is run with arguments"
LONG = "takes long; its own tests run it on less"
OF_FORCES = "needs models of forces; a notebook runs it"
NOT_RUN = {
    "molcryst data build qm9 --all": LONG,
    "molcryst data audit qm9": LONG,
    "molcryst train qm9/homo schnet": LONG,
    "molcryst tune qm9/homo schnet": LONG,
    "molcryst tune qm9/homo schnet --trials 100 --workers 2": LONG,
    "molcryst searches": "needs a search",
    "molcryst searches runs/tune": "needs a search",
    "molcryst md CELL ethanol": OF_FORCES,
    "molcryst transfer": OF_FORCES,
    "molcryst transfer --output figures": OF_FORCES,
    f"molcryst md {OF_DYNAMICS}/torchmd_net/0 ethanol --time-step 0.5 --steps 20000": OF_FORCES,
    f"molcryst md {OF_DYNAMICS}/schnet CCCO mine.xyz --replicas 32 --equilibration 2000": OF_FORCES,
    "molcryst submit": NAMES_A_VERB,
    "molcryst explain": NAMES_A_VERB,
    "molcryst embed": NAMES_A_VERB,
    "molcryst rogi": NAMES_A_VERB,
    "molcryst interpret": NAMES_A_VERB,
    "molcryst report --serve": "ends when it is stopped",
    "molcryst doctor": "checks what the command with an executor checks",
    "molcryst submit check my-model": "refuses what is not filled in yet",
}


def in_blocks() -> list[str]:
    lines = [
        line.removeprefix("$ ")
        for _, block in BLOCKS
        for line in re.sub(r"\\\n\s*", "", block).splitlines()
        if line.startswith("$ ")
    ]
    return [re.split(r"\s+#\s", line)[0].strip() for line in lines]


def commands() -> list[str]:
    """Return all commands of the project, without repetition, in the order of the README."""
    of_table = [name for cell in FIRST_CELLS for name in re.findall(r"`(molcryst .*?)`", cell)]
    typed = [line for line in in_blocks() if not line.startswith(OF_OTHERS)]
    return list(dict.fromkeys([*of_table, *typed]))


@pytest.mark.parametrize("command", commands())
def test_its_verbs_and_options_exist(command: str) -> None:
    program, *words = shlex.split(command)
    assert program == "molcryst"
    verb: click.Command = molcryst
    while isinstance(verb, click.Group) and words:
        context = click.Context(verb)
        _, found, words = verb.resolve_command(context, words)
        assert found is not None
        verb = found
    known = {name for each in verb.params for name in (*each.opts, *each.secondary_opts)}
    assert {word for word in words if word.startswith("-")} <= known


def test_every_command_that_is_not_run_is_still_told() -> None:
    assert NOT_RUN.keys() <= set(commands())


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose pipeline has run, with structures of a user."""
    made = make_project(tmp_path_factory.mktemp("readme"))
    made.run()
    _give_structures(made.root)
    shutil.copy(made.root / "conf/executors/local.yaml", made.root / "my-cluster.yaml")
    shutil.copy(made.root / "leaderboard/results.parquet", made.root / "old.parquet")
    return made


def _give_structures(root: Path) -> None:
    names = ("CH4", "CH3OH", "H2CO", "NH3", "H2O", "C2H6", "C2H4", "C2H2", "HCN", "CH3CHO")
    (root / "structures").mkdir()
    for name in names:
        atoms = molecule(name, vacuum=5, pbc=True)
        write(root / "structures" / f"{name}.cif", atoms)
    rows = [f"{name},{len(name)}.5" for name in names]
    (root / "labels.csv").write_text("\n".join(["name,gap", *rows]))
    write(root / "methanol.xyz", molecule("CH3OH"))


def run(project: Project, line: str) -> str:
    done = subprocess.run(
        ["bash", "-c", f"CELL={CELL}; {line}"],
        cwd=project.root,
        env=project.environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_its_commands_run_one_after_the_other(project: Project) -> None:
    for line in commands():
        if line not in NOT_RUN:
            assert run(project, line).strip(), line
            project.set_params(SETTINGS)


@pytest.mark.slow
def test_its_python_runs(project: Project) -> None:
    blocks = [block for language, block in BLOCKS if language == "python"]
    chosen = [block for block in blocks if "qm9/homo" in block]
    assert len(chosen) == 2
    ends_here = chosen[1].replace("\nmb.rogi(X, y)", "\n# mb.rogi(X, y)")
    (project.root / "readme.py").write_text(chosen[0] + ends_here)
    run(project, "python readme.py")
    assert {path.suffix for path in project.root.glob("amide.*")} == {".svg", ".pdf", ".png"}
