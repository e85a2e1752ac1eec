"""A dataset for other programs: a table of its records, described in Croissant's JSON-LD.

Croissant: Akhtar et al., DEEM 2024, doi 10.1145/3650203.3663326; version 1.0 of the format.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from molcryst_bench.base.files import checksum_of, whole_file
from molcryst_bench.graphs.split import SUBSETS
from molcryst_bench.graphs.store import GraphStore
from molcryst_bench.sources.card import Card

TABLE, DESCRIPTION = "records.parquet", "croissant.json"
_SPLIT = "split_"  # before the name of a split, in the name of its column
_UNUSED = "unused"
_VERSION = "1.0.0"
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def export_dataset(store: GraphStore, card: Card, folder: Path) -> Path:
    """Write ``records.parquet`` and ``croissant.json``, which describes it; return the latter.

    The table has a row for each record: its id, all targets of whole records in their units
    (float64), and for each split the name of the subset. Structures and values of single atoms are
    in the store.

    Args:
        store: of the dataset, with its splits beside it.
        card: of the dataset.
        folder: where to write.

    Raises:
        StoreError: if a shard is damaged, or a split was made for other records.
    """
    path = folder / TABLE
    with whole_file(path) as partial:
        pq.write_table(_table(store, card), partial, compression="zstd")
    with whole_file(folder / DESCRIPTION) as partial:
        text = json.dumps(_description(store, card, path), indent=2, ensure_ascii=False)
        partial.write_text(text + "\n", encoding="utf-8")
    return folder / DESCRIPTION


def _table(store: GraphStore, card: Card) -> pa.Table:
    names = np.array([*SUBSETS, _UNUSED])  # of subsets; unused ones count from the end
    columns: dict[str, Any] = {"id": store.ids.tolist()}
    columns |= {name: store.read(f"targets/{name}") for name in _targets(store)}
    columns |= {f"{_SPLIT}{s}": names[store.split(s).subset].tolist() for s in _splits(store, card)}
    return pa.table(columns)


def _targets(store: GraphStore) -> list[str]:
    return [name for name, target in store.targets.items() if target.level == "graph"]


def _splits(store: GraphStore, card: Card) -> list[str]:
    there = store.splits.names()
    return [name for name in card.splits if name in there]


def _description(store: GraphStore, card: Card, path: Path) -> dict[str, Any]:
    sample = store.attributes["provenance"]["sample"]
    part = f"{len(store):,} of {card.records:,} records" if sample else f"{len(store):,} records"
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": card.name,
        "alternateName": card.title,
        "description": f"{card.description.strip()} This table: ids, targets of whole records and "
        f"splits of {part}, from the graph store with digest {store.digest}; structures and values "
        "of single atoms are in that store.",
        "license": card.licence,
        "citeAs": "; ".join(f"{each.text}, doi:{each.doi}" for each in card.citations),
        "url": f"https://doi.org/{card.citations[0].doi}" if card.citations else "",
        "version": _VERSION,
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": TABLE,
                "name": TABLE,
                "contentUrl": TABLE,
                "contentSize": f"{path.stat().st_size} B",
                "encodingFormat": "application/x-parquet",
                "sha256": checksum_of(path),
            }
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "records",
                "name": "records",
                "key": {"@id": "records/id"},
                "field": _fields(store, card),
            }
        ],
    }


def _fields(store: GraphStore, card: Card) -> list[dict[str, Any]]:
    fields = [_field("id", "Name of the record", "sc:Text")]
    for name in _targets(store):
        target = store.targets[name]
        words = f"{target.description or name}, in {target.unit}"
        fields.append(_field(name, words, "cr:Float64"))
    for name in _splits(store, card):
        subsets = f"{', '.join(SUBSETS)} or {_UNUSED}"
        words = f"Subset in the {name} split ({subsets}): {card.splits[name].description}"
        fields.append(_field(f"{_SPLIT}{name}", words, "sc:Text"))
    return fields


def _field(name: str, description: str, kind: str) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"records/{name}",
        "name": name,
        "description": description,
        "dataType": kind,
        "source": {"fileObject": {"@id": TABLE}, "extract": {"column": name}},
    }
