"""Files made to do harm, or by an accident that looks the same: each is a Problem or a table, in bounded time and memory.

Sizes are scaled down; by hand they were tried whole, as million_rows.md tells.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.data import archive, columnar, excel, gather
from engine.data.doctor import examine
from engine.data.files import open_file
from engine.data.profile import inspect
from engine.data.table import Table
from engine.errors import Refused
from engine.spec import DataSpec

LIMIT = 200_000
HEAD = "text,label\n"
ROWS = "".join(f"words of row {at} here,{('good', 'bad')[at % 2]}\n" for at in range(60))
SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def opened(folder: Path, name: str, content: bytes, limit_bytes: int = LIMIT) -> Table:
    (folder / name).write_bytes(content)
    return open_file(folder / name, limit_bytes)


def refusal(folder: Path, name: str, content: bytes, limit_bytes: int = LIMIT) -> str:
    with pytest.raises(Refused) as caught:
        opened(folder, name, content, limit_bytes)
    return caught.value.problems[0].message


def zipped(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in files.items():
            made.writestr(name, content)
    return packed.getvalue()


def lying(content: bytes, told: int) -> bytes:
    """A zip of one file that tells another size of it than it has."""
    made = bytearray(zipped({"a.csv": content}))
    struct.pack_into("<I", made, 22, told)
    struct.pack_into("<I", made, made.rfind(b"PK\x01\x02") + 24, told)
    return bytes(made)


def overlapping(entries: int, content: bytes) -> bytes:
    """A zip whose entries are all the same bytes of it: a few kB that unpack to any size (Fifield, "A better zip bomb", 2019)."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(content) + packer.flush()
    about = struct.pack("<IIIHH", zlib.crc32(content), len(packed), len(content), 5, 0)
    first = struct.pack("<4sHHHHH", b"PK\x03\x04", 20, 0, 8, 0, 0) + about + b"a.csv" + packed
    one = struct.pack("<4sHHHHHH", b"PK\x01\x02", 20, 20, 0, 8, 0, 0) + about + struct.pack("<HHHII", 0, 0, 0, 0, 0) + b"a.csv"
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, entries, entries, entries * len(one), len(first), 0)
    return first + entries * one + end


def workbook(sheet: str, shared: str = "") -> bytes:
    """A whole workbook but for this sheet, and these shared texts."""
    from openpyxl import Workbook

    book, saved = Workbook(), io.BytesIO()
    for row in (line.split(",") for line in (HEAD + ROWS).split()):
        book.active.append(row)
    book.save(saved)
    with zipfile.ZipFile(saved) as whole:
        files = {name: whole.read(name) for name in whole.namelist()}
    files["xl/worksheets/sheet1.xml"] = sheet.encode()
    if shared:
        kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
        part = f'<Override PartName="/xl/sharedStrings.xml" ContentType="{kind}"/></Types>'.encode()
        files["[Content_Types].xml"] = files["[Content_Types].xml"].replace(b"</Types>", part)
        files["xl/sharedStrings.xml"] = shared.encode()
    return zipped(files)


def sheet_of(rows: str) -> str:
    return f'<worksheet xmlns="{SHEET}"><sheetData>{rows}</sheetData></worksheet>'


LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha">' + "".join(f'<!ENTITY {chr(98 + at)} "{f"&{chr(97 + at)};" * 10}">' for at in range(9)) + "]>"


def test_zips_that_unpack_to_far_too_much_are_refused_whatever_they_tell_of_themselves(tmp_path: Path) -> None:
    assert "once it is unpacked" in refusal(tmp_path, "a.zip", zipped({"a.csv": HEAD.encode() + b"a,b\n" * 400_000}))
    assert "once it is unpacked" in refusal(tmp_path, "a.zip", overlapping(100, b"a,b\n" * 10_000))
    assert "damaged zip" in refusal(tmp_path, "a.zip", lying(HEAD.encode() + b"a,b\n" * 400_000, 100))
    assert not list(tmp_path.glob("**/table"))


def test_archives_within_archives_and_folders_within_folders_are_not_followed(tmp_path: Path) -> None:
    inner = zipped({"a.csv": (HEAD + ROWS).encode()})
    for _ in range(20):
        inner = zipped({"inner.zip": inner})
    assert "without a table" in refusal(tmp_path, "a.zip", inner)
    deep = zipped({"a/" * 5000 + "a.txt": b"one", "b/" * 5000 + "b.txt": b"two"})
    assert f"more than {archive.DEEPEST} deep" in refusal(tmp_path, "a.zip", deep)


def test_as_many_folders_texts_as_aclimdb_has_are_placed_at_once() -> None:
    from engine.data import folders

    names = [f"train/{('pos', 'neg')[at % 2]}/{at}.txt" for at in range(50_000)]  # 4 minutes where each looks at all the others
    assert len(folders.sorted_in([folders.Entry(zipfile.ZipInfo(name), name) for name in names])) == 50_000


def test_workbooks_that_were_made_to_do_harm_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, texts = "<row><c><v>1</v></c></row>", f'<sst xmlns="{SHEET}"><si><t>&j;</t></si></sst>'
    for told in (workbook(LAUGHS + sheet_of("<row><c><v>&j;</v></c></row>")), workbook(sheet_of(one), LAUGHS + texts)):
        assert "damaged Excel workbook" in refusal(tmp_path, "a.xlsx", told)
    monkeypatch.setattr(excel, "MUCH", 100_000)
    big = workbook(sheet_of("<row>" + "<c><v>1</v></c>" * 500 + "</row>"), "<si><t>x</t></si>" * 300_000)
    assert "which no table does" in refusal(tmp_path, "a.xlsx", big, 10_000_000)
    monkeypatch.setattr(excel, "LONGEST_ROW", 1 << 20)
    wide = "".join(f"<c><v>{at * 7919}</v></c>" for at in range(200_000))
    assert "has a row of more than 1 MB" in refusal(tmp_path, "a.xlsx", workbook(sheet_of(f"<row>{wide}</row>")), 10_000_000)


def test_rows_far_down_and_far_to_the_right_take_no_room(tmp_path: Path) -> None:
    far = sheet_of('<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>')
    assert "16,384 columns" in refusal(tmp_path, "a.xlsx", workbook(far))
    beyond = sheet_of('<row r="1"><c r="A1"><v>1</v></c></row><row r="2147483648"><c r="A2147483648"><v>1</v></c></row>')
    assert opened(tmp_path, "a.xlsx", workbook(beyond)).rows <= 1


def parquet(table: pa.Table) -> bytes:
    made = io.BytesIO()
    pq.write_table(table, made)
    return made.getvalue()


def test_parquet_columns_of_lists_are_text_and_far_too_long_ones_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nested = pa.table(
        {
            "text": [f"row {at} is here" for at in range(100)],
            "label": ["good", "bad"] * 50,
            "lists": [[["a", None], []]] * 100,
            "record": [{"a": {"b": at}} for at in range(100)],
            "map": pa.array([[("k", at)] for at in range(100)], pa.map_(pa.string(), pa.int64())),
        }
    )
    told = opened(tmp_path, "a.parquet", parquet(nested))
    assert (told.rows, told.column("lists")[0].as_py(), told.column("record")[1].as_py()) == (100, '[["a", null], []]', '{"a": {"b": 1}}')
    bomb = parquet(pa.table({"text": pa.array([["x" * 500] * 500] * 200), "label": ["a"] * 200}))
    assert len(bomb) < 20_000
    monkeypatch.setattr(columnar, "VALUES", 5_000)
    assert "once it is unpacked" in refusal(tmp_path, "a.parquet", bomb)
    monkeypatch.setattr(columnar, "MOST_VALUES", 50_000)
    assert "a column of lists with 100,000 values" in refusal(tmp_path, "a.parquet", bomb)


def test_more_rows_than_anybody_can_look_at_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather, "MOST_ROWS", 5_000)
    assert "more than 5,000 rows" in refusal(tmp_path, "a.csv", b"a\n" * 20_000)


MAKERS: dict[str, Callable[[], bytes]] = {
    "one line of a megabyte": lambda: b"x" * 1_000_000,
    "one cell of a megabyte": lambda: HEAD.encode() + b"word " * 200_000 + b",good\n",
    "a mark that never closes": lambda: (HEAD + '"open' + ROWS * 20).encode(),
    "a mark that never closes, late": lambda: (HEAD + ROWS * 20 + '"open' + ROWS).encode(),
    "nothing but marks": lambda: b'"' * 300_000,
    "marks upon marks": lambda: HEAD.encode() + b'"a""b,"c"\n' * 20_000,
    "nothing but commas": lambda: b"," * 500_000,
    "nothing but line ends": lambda: b"\n" * 500_000,
    "nothing but NUL": lambda: b"\0" * 500_000,
    "NUL between the words": lambda: (HEAD + ROWS).replace(" ", "\0 ").encode(),
    "NUL in the middle": lambda: (HEAD + ROWS).encode() + b"\0" * 100_000 + ROWS.encode(),
    "UTF-16 without a mark": lambda: (HEAD + ROWS).encode("utf-16-le"),
    "UTF-16 with half a character": lambda: (HEAD + ROWS).encode("utf-16")[:-1],
    "Bengali UTF-16 without a mark": lambda: (HEAD + "ভালো পণ্য,Positive\nখারাপ,Negative\n" * 40).encode("utf-16-be"),
    "two encodings by turns": lambda: HEAD.encode() + ("ভালো পণ্য,good\n".encode() + "café naïve,bad\n".encode("cp1252")) * 500,
    "UTF-8, then UTF-16": lambda: (HEAD + ROWS).encode() + ROWS.encode("utf-16-le"),
    "10,000 columns": lambda: (",".join(map(str, range(10_000))) + "\n").encode() * 5,
    "rows that grow": lambda: b"".join(b"a," * at + b"\n" for at in range(600)),
    "brackets within brackets": lambda: b"[" * 500_000,
    "objects within objects": lambda: b'{"a":' * 200_000,
    "a number of a million digits": lambda: b'[{"text": "a", "label": ' + b"9" * 1_000_000 + b"}]",
    "a string that never ends": lambda: b'[{"text": "' + b"x" * 1_000_000,
    "new names in every record": lambda: b"".join(b'{"text": "a b c", "k%d": 1}\n' % at for at in range(6_000)),
    "blanks in an array": lambda: b"[" + b" " * 1_000_000 + b"]",
}  # fmt: skip


@pytest.mark.parametrize("what", MAKERS)
def test_odd_files_are_a_table_or_a_problem(tmp_path: Path, what: str) -> None:
    try:
        table = opened(tmp_path, "odd.csv", MAKERS[what](), 10_000_000)
        _, problems = inspect(table, None, DataSpec("file:odd.csv"))
        examine(table, None, DataSpec("file:odd.csv"))
    except Refused as refused:
        problems = refused.problems
    assert all(one.message and one.fix and len(one.message) < 1000 for one in problems)


@pytest.mark.parametrize("word", ["@a", "a@", "&a", "<a ", "http://", "www.", "1-", "a.", "Ã¢", "্", "\u200b", "<br", "1 000 "])
def test_one_word_written_a_thousand_times_is_looked_at_at_once(tmp_path: Path, word: str) -> None:
    """Patterns that try every way took minutes for "@a" written 100,000 times."""
    text = HEAD + "".join(f"{word * 60_000} {at},{('good', 'bad')[at % 2]}\n" for at in range(22))
    table = opened(tmp_path, "odd.csv", text.encode(), 20_000_000)
    inspect(table, None, DataSpec("file:odd.csv"))
    assert examine(table, None, DataSpec("file:odd.csv")).findings
