"""Small files beside results that one can do without: whole, but not worth waiting for a disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def write_note(path: Path, content: Any) -> None:
    """Write JSON in one step, without making sure that it outlasts a crash of the machine."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(content, sort_keys=True, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)
