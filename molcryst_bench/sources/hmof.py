"""hMOF: hypothetical metal-organic frameworks with simulated uptakes of CO2 and CH4.

The structures are those of Wilmer et al. 2012, the uptakes those of MOFX-DB. Each source holds
other records, so that only the first is a default: another one is chosen by its name.
"""

from __future__ import annotations

from molcryst_bench.sources.fetch import RawFile
from molcryst_bench.sources.hmof_jarvis import HmofJarvis
from molcryst_bench.sources.hmof_sample import HmofSample
from molcryst_bench.sources.mofxdb import Mofxdb
from molcryst_bench.sources.record import Dataset

_SAMPLE = RawFile(
    name="hmof-sample.zip",
    checksum="sha256:44658f34030a605becb18bda6a5fed0e3145999aba99b21bb57235b471d2b7d5",
    size=686_910,
    addresses=(),
    mirror="hmof/hmof-sample.zip",
)
_RECORDS = RawFile(
    name="mofxdb-hMOF-30-records.zip",
    checksum="sha256:33c28b0f2884c40f5784ddc945367a6187793ae92f0d26b4db1265c359fc326b",
    size=153_802,
    addresses=(),
    mirror="mofxdb/mofxdb-hMOF-30-records.zip",
)
# No checksum of the next two is published: theirs are recorded at the first download.
_BULK = RawFile(
    name="mofxdb-hMOF.zip",
    checksum="",
    size=0,
    addresses=("https://mof.tech.northwestern.edu/mofs.json?bulk=true&cifs=true&database=hMOF",),
    mirror="mofxdb/mofxdb-hMOF.zip",
)
_JARVIS = RawFile(
    name="hmof_db_9_18_2021.json.zip",
    checksum="",
    size=0,
    addresses=("https://figshare.com/ndownloader/files/30972655",),
)


def importer() -> Dataset:
    """Return the importer of hMOF."""
    sources = (
        HmofSample((_SAMPLE,)),
        Mofxdb((_BULK,)),
        Mofxdb((_RECORDS,), name="mofxdb-30"),
        HmofJarvis((_JARVIS,)),
    )
    return Dataset("hmof", sources, interchangeable=False)
