"""All notebooks from their first to their last cell, in a copy of the project."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from checkout import copy_checkout
from handmade import REPOSITORY
from nbclient import NotebookClient

NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
OF_MIRROR = "2_hypothetical_mofs"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of the quick profile, but for less dynamics."""
    folder = tmp_path_factory.mktemp("notebooks")
    copy_checkout(folder)
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["datasets"]["xtb"]["generate"]["trajectories"] = 1
    params["tracking"] = "none"
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_to_its_end(path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if path.stem == OF_MIRROR and "MOLCRYST_MIRROR" not in os.environ:
        pytest.skip("hMOF comes from the folder that MOLCRYST_MIRROR names")
    monkeypatch.setenv(
        "PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    )
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(root / "notebooks")}}
    NotebookClient(notebook, timeout=900, kernel_name="python3", resources=resources).execute()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_kept_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert cells
    assert not any(cell.outputs or cell.execution_count for cell in cells)
