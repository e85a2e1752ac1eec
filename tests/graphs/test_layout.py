from __future__ import annotations

import numpy as np
import pytest
from numpy.dtypes import StringDType

from molcryst_bench.graphs.layout import ArraySpec, array_digest, id_digest, store_digest

VALUES = np.arange(12, dtype=np.float32).reshape(4, 3)
SPEC = ArraySpec("nodes/position", np.dtype(np.float32), (4, 3))


def test_digests_are_those_of_schema_version_1() -> None:
    """Pinned: stores out there carry them. Another digest needs another schema version."""
    positions = array_digest(SPEC, [VALUES])
    names = np.array(["a", "b"], StringDType())
    ids = array_digest(ArraySpec("graphs/id", StringDType(), (2,)), [names])
    assert positions[:16] == "46ce9ee359b40008"
    assert ids[:16] == "e6444e59132465ef"
    assert store_digest({"graphs/id": ids, "nodes/position": positions})[:16] == "1ad2367e7b331d51"


def test_the_digest_does_not_depend_on_blocks_or_byte_order() -> None:
    expected = array_digest(SPEC, [VALUES])
    assert array_digest(SPEC, [VALUES[:1], VALUES[1:1], VALUES[1:]]) == expected
    assert array_digest(SPEC, [np.asfortranarray(VALUES)]) == expected
    assert array_digest(SPEC, [VALUES.astype(">f4")]) == expected


@pytest.mark.parametrize(
    "other",
    [
        ArraySpec("nodes/velocity", np.dtype(np.float32), (4, 3)),
        ArraySpec("nodes/position", np.dtype(np.float32), (2, 6)),
        ArraySpec("nodes/position", np.dtype(np.int32), (4, 3)),
    ],
    ids=["name", "shape", "type"],
)
def test_the_same_bytes_under_another_name_shape_or_type_are_something_else(
    other: ArraySpec,
) -> None:
    same_bytes = VALUES.view(other.dtype).reshape(other.shape)
    assert array_digest(other, [same_bytes]) != array_digest(SPEC, [VALUES])


def test_the_digest_sees_where_one_id_ends_and_the_next_begins() -> None:
    spec = ArraySpec("graphs/id", StringDType(), (2,))
    digests = {
        array_digest(spec, [np.array(ids, StringDType())])
        for ids in (["ab", "c"], ["a", "bc"], ["c", "ab"])
    }
    assert len(digests) == 3


def test_the_digest_of_a_set_of_ids_sees_members_but_not_their_order() -> None:
    assert id_digest(["b", "a"]) == id_digest(["a", "b"])
    assert id_digest(["a", "b"]) != id_digest(["ab"])
    assert id_digest(["a", "b"]) != id_digest(["a", "b", "b"])


def test_the_store_digest_sees_which_array_has_which_digest() -> None:
    assert store_digest({"a": "1", "b": "2"}) == store_digest({"b": "2", "a": "1"})
    assert store_digest({"a": "1", "b": "2"}) != store_digest({"a": "2", "b": "1"})
