"""What a split of rows with tags keeps in its share in every part. Pure."""

from __future__ import annotations

import json
from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc

LEAST = 10  # rows of a stratum, so that it can be cut in three
NO_TAG = "no tag"
OTHERS = "others"


def strata(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """What the split keeps in its share in every part: each row's combination of tags, or of a rare one its rarest tag.

    Combinations of fewer than 10 rows go together by their rarest tag, and what is rare then too, together; so no part lacks what the
    others have plenty of, and every stratum can be cut in three.
    """
    rows = {one["values"]: one["counts"] for one in pc.value_counts(cells).to_pylist()}
    of_tag = Counter[str]()
    for cell, count in rows.items():
        for tag in json.loads(cell):
            of_tag[tag] += count
    common = {cell for cell, count in rows.items() if count >= LEAST}
    name = {cell: " + ".join(json.loads(cell)) or NO_TAG for cell in common}
    for cell in rows.keys() - common:
        told = json.loads(cell)
        name[cell] = f"with {min(told, key=lambda tag: (of_tag[tag], tag))}" if told else OTHERS
    for _ in range(2):  # first into the others, then these into the largest
        sizes = Counter[str]()
        for cell, count in rows.items():
            sizes[name[cell]] += count
        small = {one for one, count in sizes.items() if count < LEAST}
        into = OTHERS if small - {OTHERS} else max(sizes, key=lambda one: (sizes[one], one), default=OTHERS)
        name = {cell: into if one in small else one for cell, one in name.items()}
    known, told_names = pa.array(list(name), pa.string()), pa.array(list(name.values()), pa.string())
    return pa.chunked_array([told_names.take(pc.index_in(chunk, known)) for chunk in cells.chunks], pa.string())
