"""Files that nobody wrote by hand: put together by chance of what tables are made of, and real ones with bytes changed."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.data.doctor import examine
from engine.data.files import open_file
from engine.data.profile import inspect
from engine.errors import Problem, Refused
from engine.spec import DataSpec
from tests.engine.test_files import KINDS, folders

LIMIT = 1_000_000
PIECES = (
    ",", ",,", ";", "\t", "|", "\n", "\r\n", "\r", '"', '""', "\0", "\ufeff", "\u200d", "\u0085", "\x1a", " ", "text", "label", "good",
    "bad", "ভালো পণ্য", "ক্ষ", "é", "Ã©", "\U0001f600", "1", "-0", "1e999", "nan", "null", "2020-02-30", "<br/>", "&amp;", "=1+1",
    "{", "}", "[", "]", ":", '{"text": "a b", "label": "x"}', "[[", "]]", '\\ud800', "\\", "#REF!", "PK", "PAR1",
)  # fmt: skip
CODECS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "latin-1")
WHOLE = {**{name: make() for name, make in KINDS.items()}, "aclImdb.zip": folders()}
quick = settings(
    max_examples=200, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip


def told_of(name: str, content: bytes) -> tuple[Problem, ...]:
    """What is said of this file, from opening it to the doctor. Anything but a Refused is raised."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        data = DataSpec(f"file:{name}")
        try:
            table = open_file(path, LIMIT, folder=Path(folder) / "laid")
            assert len(set(table.columns)) == len(table.columns)
            assert all(column.type == "string" for column in table.data.columns)
            _, problems = inspect(table, table.test, data)
            examine(table, table.test, data)
        except Refused as refused:
            problems = refused.problems
        assert not any(folder in one.message for one in problems)
    assert all(one.message and one.fix for one in problems)
    return problems


@quick
@given(st.lists(st.sampled_from(PIECES), max_size=80), st.sampled_from(CODECS), st.sampled_from(("a.csv", "a.txt", "a.json", "a.jsonl")))
def test_text_put_together_of_what_tables_are_made_of_is_a_table_or_a_problem(pieces: list[str], codec: str, name: str) -> None:
    told_of(name, "".join(pieces).encode(codec, "replace"))


CELLS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.lists(st.integers(), max_size=3))
RECORDS = st.lists(st.dictionaries(st.sampled_from(("text", "label", "", " text", "ক")), CELLS, max_size=5), max_size=40)


@quick
@given(RECORDS, st.booleans())
def test_records_of_any_values_are_rows_or_a_problem(records: list[dict[str, object]], lines: bool) -> None:
    told = "\n".join(map(json.dumps, records)) if lines else json.dumps(records)
    told_of("a.jsonl" if lines else "a.json", told.encode())


@quick
@given(st.data())
def test_a_real_file_with_bytes_changed_is_a_table_or_a_problem(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(WHOLE)))
    content = bytearray(WHOLE[name])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content)))
        content[place : place + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=20))
    told_of(name, bytes(content))


@quick
@given(st.binary(max_size=300), st.sampled_from((b"", b"PK\x03\x04", b"PAR1", b"ARROW1\0\0", b"\xff\xff\xff\xff", b"[", b"text,label\n")))
def test_any_bytes_behind_any_beginning_are_a_table_or_a_problem(content: bytes, beginning: bytes) -> None:
    told_of("a.csv", beginning + content)
