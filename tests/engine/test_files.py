"""Every kind of file gives the same rows; and 400 damaged ones give a table or a Problem, never another error."""

from __future__ import annotations

import io
import json
import random
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.data import gather, kept
from engine.data.doctor import examine
from engine.data.files import open_file
from engine.data.profile import inspect
from engine.data.sources import load
from engine.data.table import Table
from engine.data.watch import Cancelled, Watch
from engine.errors import Problem, Refused
from engine.spec import DataSpec

LIMIT = 20_000_000
ROWS = [(f"শব্দ {number}: a review, with words", "good" if number % 3 else "bad", f"00{number}") for number in range(40)]
COLUMNS = ("text", "label", "code")


def arrow() -> pa.Table:
    return pa.table(dict(zip(COLUMNS, map(list, zip(*ROWS, strict=True)), strict=True)))


def parquet() -> bytes:
    told = io.BytesIO()
    pq.write_table(arrow(), told)
    return told.getvalue()


def arrow_file(*, stream: bool = False) -> bytes:
    told = io.BytesIO()
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(told, arrow().schema) as file:
        file.write_table(arrow())
    return told.getvalue()


def workbook() -> bytes:
    book = openpyxl.Workbook()
    book.active.title = "About"
    book.active.append(["A note"])
    sheet = book.create_sheet("Reviews")
    for row in (COLUMNS, *ROWS):
        sheet.append(row)
    told = io.BytesIO()
    book.save(told)
    return told.getvalue()


def zipped(files: dict[str, bytes | str]) -> bytes:
    told = io.BytesIO()
    with zipfile.ZipFile(told, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return told.getvalue()


def folders() -> bytes:
    """aclImdb's layout."""
    files: dict[str, bytes | str] = {"aclImdb/README": "about", "aclImdb/imdbEr.txt": "1.0", "aclImdb/train/unsup/0_0.txt": "no label"}
    for part in ("train", "test"):
        for label in ("pos", "neg"):
            files |= {f"aclImdb/{part}/{label}/{number}_7.txt": f"{part} {label} review {number}" for number in range(12)}
        files[f"aclImdb/{part}/urls_pos.txt"] = "http://one"
    return zipped(files)


RECORDS = [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]
CSV = "\n".join(",".join(f'"{cell}"' for cell in row) for row in (COLUMNS, *ROWS)).encode()
KINDS: dict[str, Callable[[], bytes]] = {
    "a.csv": lambda: CSV,
    "a.tsv": lambda: "\n".join("\t".join(row) for row in (COLUMNS, *ROWS)).encode(),
    "a.jsonl": lambda: "\n".join(json.dumps(one, ensure_ascii=False) for one in RECORDS).encode(),
    "array.json": lambda: json.dumps(RECORDS, indent=1).encode(),
    "rows.json": lambda: json.dumps([COLUMNS, *ROWS]).encode(),
    "data.json": lambda: json.dumps({"version": 1, "data": RECORDS}).encode(),
    "columns.json": lambda: json.dumps({name: [one[name] for one in RECORDS] for name in COLUMNS}).encode(),
    "a.parquet": parquet,
    "a.arrow": arrow_file,
    "a.stream": lambda: arrow_file(stream=True),
    "a.xlsx": workbook,
    "csv.zip": lambda: zipped({"reviews/a.csv": CSV, "__MACOSX/._a.csv": b"\0\1", "readme.md": "about"}),
    "xlsx.zip": lambda: zipped({"a.xlsx": workbook()}),
    "parquet.zip": lambda: zipped({"a.parquet": parquet()}),
}


def written(folder: Path, name: str, content: bytes) -> Path:
    (folder / name).write_bytes(content)
    return folder / name


def rows_of(table: Table) -> list[tuple[str | None, ...]]:
    return list(zip(*(column.to_pylist() for column in table.data.columns), strict=True))


def refused(path: Path, limit: int = LIMIT, sheet: str | None = None) -> Problem:
    with pytest.raises(Refused) as caught:
        open_file(path, limit, sheet=sheet)
    assert all(one.message and one.fix for one in caught.value.problems)
    return caught.value.problems[0]


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_of_file_gives_the_same_rows(tmp_path: Path, name: str) -> None:
    table = open_file(written(tmp_path, name, KINDS[name]()), LIMIT)
    assert table.columns == COLUMNS
    assert rows_of(table) == ROWS


TABLE = "review,Sentiment,date\n" + "".join(f"row {at} of some words,{('good', 'bad')[at % 2]},2024-01-{at + 1:02}\n" for at in range(20))


@pytest.mark.parametrize(
    ("above", "left_out"),
    [("Survey export 2024\n", 1), ("Survey export 2024,,\n,,\n", 1), ("Answers of May\n\n", 1), ("Our shop,,\nSurvey,,\n", 2)],
)
def test_titles_above_the_header_of_a_csv_are_left_out_and_told(tmp_path: Path, above: str, left_out: int) -> None:
    path = tmp_path / "export.csv"
    path.write_text(above + TABLE, "utf-8")
    opened = open_file(path, LIMIT)
    assert opened.columns == ("review", "Sentiment", "date")
    assert opened.rows == 20
    assert opened.column("review")[0].as_py() == "row 0 of some words"
    assert any(f"{left_out} row{'s' * (left_out > 1)} above the header left out" in note for note in opened.notes)


@pytest.mark.parametrize(
    "texts",
    [
        "text\n" + "".join(f"a text of words, and more of them {at}\n" for at in range(30)),
        "a text alone\n" + "".join(f"a text of words, and more of them {at}\n" for at in range(30)),
        ",label\n" + "".join(f"a text {at},good\n" for at in range(30)),
    ],
)
def test_no_row_of_texts_is_taken_for_a_title(tmp_path: Path, texts: str) -> None:
    path = tmp_path / "texts.csv"
    path.write_text(texts, "utf-8")
    assert not any("above the header" in note for note in open_file(path, LIMIT).notes)
    assert open_file(path, LIMIT).rows >= 30


@pytest.mark.parametrize("name", ["a.csv", "rows.json", "a.xlsx"])
def test_whether_the_first_row_names_the_columns_can_be_told(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, name, KINDS[name]())
    assert open_file(path, LIMIT, header=False).columns == ("column 1", "column 2", "column 3")
    assert open_file(path, LIMIT, header=False).rows == 41
    assert open_file(path, LIMIT, header=True).columns == COLUMNS


def test_the_fullest_sheet_is_taken_and_another_can_be_chosen(tmp_path: Path) -> None:
    path = written(tmp_path, "a.xlsx", workbook())
    assert (open_file(path, LIMIT).sheets, open_file(path, LIMIT).sheet) == (("Reviews", "About"), "Reviews")
    assert open_file(path, LIMIT, sheet="About").rows <= 1
    problem = refused(path, sheet="Elsewhere")
    assert problem.field == "data.sheet"
    assert "Reviews, About" in problem.message


def test_the_sheets_cells_are_as_they_are_shown(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (("text", "id", "label"), ("one", 7, 1.0), ("two", 508461291028357, 0.1), ("three", None, True)):
        book.active.append(row)
    book.active["B2"].number_format = "000"
    book.save(tmp_path / "a.xlsx")
    assert rows_of(open_file(tmp_path / "a.xlsx", LIMIT)) == [
        ("one", "007", "1"),
        ("two", "508461291028357", "0.1"),
        ("three", None, "TRUE"),
    ]


def test_class_numbers_that_a_parquet_file_names_become_their_names(tmp_path: Path) -> None:
    features = {"info": {"features": {"label": {"names": ["neg", "pos"], "_type": "ClassLabel"}}}}
    data = pa.table({"text": ["a", "b", "c"], "label": pa.array([1, 0, -1], pa.int64())})
    pq.write_table(data.replace_schema_metadata({"huggingface": json.dumps(features)}), tmp_path / "a.parquet")
    assert open_file(tmp_path / "a.parquet", LIMIT).column("label").to_pylist() == ["pos", "neg", None]


def test_folders_named_by_label_become_rows_and_those_below_test_the_given_test(tmp_path: Path) -> None:
    path = written(tmp_path, "aclImdb.zip", folders())
    table, test = load(DataSpec(f"file:{path}"), home=tmp_path)
    assert test is not None
    assert (table.rows, test.rows) == (24, 24)
    assert set(table.column("label").to_pylist()) == {"neg", "pos"}
    assert table.column("text")[0].as_py() == "train neg review 0"
    facts, problems = inspect(table, test, DataSpec(f"file:{path}"))
    assert (facts.text, facts.label, facts.given_test, [one for one in problems if one.severity == "error"]) == ("text", "label", 24, [])


def test_a_zip_with_train_and_test_gives_both_and_another_table_can_be_chosen(tmp_path: Path) -> None:
    path = written(tmp_path, "a.zip", zipped({"train.csv": CSV, "test.csv": CSV, "dev.csv": CSV}))
    table, test = load(DataSpec(f"file:{path}"), home=tmp_path)
    assert (table.rows, test.rows if test else 0, table.sheet) == (40, 40, "train.csv")
    table, test = load(DataSpec(f"file:{path}", sheet="dev.csv"), home=tmp_path)
    assert (table.sheet, test) == ("dev.csv", None)


@pytest.mark.parametrize("path", ["../../evil.csv", "/etc/evil.csv", "C:\\evil.csv", "a/../../evil.csv"])
def test_a_path_that_leads_out_of_the_zip_is_refused_and_nothing_written(tmp_path: Path, path: str) -> None:
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    assert "leads out of it" in refused(written(inside, "a.zip", zipped({path: CSV}))).message
    assert not list(tmp_path.rglob("evil*"))


def test_a_link_in_a_zip_is_no_text(tmp_path: Path) -> None:
    told = io.BytesIO(folders())
    with zipfile.ZipFile(told, "a") as archive:
        link = zipfile.ZipInfo("aclImdb/train/pos/99_7.txt")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    table = open_file(written(tmp_path, "a.zip", told.getvalue()), LIMIT)
    assert table.rows == 24
    assert "/etc/passwd" not in table.column("text").to_pylist()


def test_what_unpacks_to_far_too_much_is_refused_early(tmp_path: Path) -> None:
    bomb = zipped({"a.csv": b"text,label\n" + b"a" * 60_000_000})
    assert len(bomb) < 100_000
    assert "once it is unpacked" in refused(written(tmp_path, "a.zip", bomb), 10_000_000).message
    data = pa.table({"text": pa.array(["a" * 1_000_000] * 300).dictionary_encode(), "label": ["b"] * 300})
    pq.write_table(data, tmp_path / "a.parquet", compression="zstd")
    assert "once it is unpacked" in refused(tmp_path / "a.parquet", 10_000_000).message


def test_other_documents_and_locked_zips_are_refused_in_words(tmp_path: Path) -> None:
    assert "Word document" in refused(written(tmp_path, "a.docx", zipped({"word/document.xml": "<w/>"}))).message
    assert "zip within a zip" in refused(written(tmp_path, "b.zip", zipped({"a.csv": zipped({"b.csv": CSV})}))).message
    assert "without a table" in refused(written(tmp_path, "c.zip", zipped({"a.png": b"\x89PNG"}))).message
    locked = bytearray(zipped({"a.csv": CSV}))
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        locked[locked.index(mark) + place] |= 1
    assert "password" in refused(written(tmp_path, "d.zip", bytes(locked))).message


def test_broken_lines_of_json_are_left_out_and_told_with_their_numbers(tmp_path: Path) -> None:
    lines = [json.dumps({"text": f"text {at} of many", "label": "ab"[at % 2]}) for at in range(60)]
    lines[4], lines[7] = '{"text": "cut o', '["not", "an", "object"]'
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    table = open_file(tmp_path / "a.jsonl", LIMIT)
    assert table.rows == 58
    assert "2 broken lines left out: lines 5, 8" in table.notes
    (told,) = (one for one in examine(table, None, DataSpec("file:a.jsonl")).findings if one.id == "broken-json")
    assert (told.rows, told.examples) == (2, ("lines 5, 8",))
    (tmp_path / "b.jsonl").write_text("\n".join([*lines[:10], *["{"] * 10]))
    problem = refused(tmp_path / "b.jsonl")
    assert "12 of 20 lines hold no record: lines 5, 8, 11, 12, 13 and 7 more" in problem.message
    assert problem.fix


def test_many_rows_lie_on_disk_and_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather, "KEPT_BYTES", 1000)
    path = written(tmp_path, "a.zip", zipped({"train.csv": CSV + b'\n,,\n"more","bad","1"', "test.csv": CSV}))
    first = kept.opened(path, LIMIT, tmp_path)
    assert first.mapped
    monkeypatch.setattr(kept, "open_file", lambda *_, **__: pytest.fail("it was read again"))
    again = kept.opened(path, LIMIT, tmp_path)
    assert (again.columns, rows_of(again), again.notes, again.left_out) == (first.columns, rows_of(first), first.notes, first.left_out)
    assert again.row_numbers().to_pylist() == first.row_numbers().to_pylist()
    assert again.test is not None
    assert rows_of(again.test) == ROWS
    assert len(list((tmp_path / "tables").glob("*.arrow"))) == 2


def test_a_changed_file_is_read_anew_and_a_refused_one_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather, "KEPT_BYTES", 1000)
    path = written(tmp_path, "a.csv", CSV)
    assert kept.opened(path, LIMIT, tmp_path).rows == 40
    path.write_bytes(CSV + b'\n"more","bad","1"')
    assert kept.opened(path, LIMIT, tmp_path).rows == 41
    monkeypatch.setattr(gather, "BATCH", 8)
    before = len(list((tmp_path / "tables").iterdir()))
    written(tmp_path, "b.json", json.dumps(RECORDS * 3)[:-40].encode())
    with pytest.raises(Refused):
        kept.opened(tmp_path / "b.json", LIMIT, tmp_path)
    assert len(list((tmp_path / "tables").iterdir())) == before


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "array.json", "a.parquet", "a.arrow", "a.xlsx", "csv.zip"])
def test_reading_ends_when_it_is_cancelled(tmp_path: Path, name: str) -> None:
    watch = Watch()
    watch.cancel()
    with pytest.raises(Cancelled):
        open_file(written(tmp_path, name, KINDS[name]()), LIMIT, watch=watch)


def damaged(content: bytes, chance: random.Random) -> bytes:
    told = bytearray(content)
    for _ in range(chance.randint(1, 6)):
        place = chance.randrange(len(told) + 1)
        match chance.randrange(6):
            case 0:
                del told[place:]
            case 1:
                del told[place : place + chance.randint(1, 60)]
            case 2:
                told[place:place] = chance.randbytes(chance.randint(1, 40))
            case 3 if place < len(told):
                told[place] ^= 1 << chance.randrange(8)
            case 4:
                told[place : place + 4] = b"\xff\xff\xff\x7f"
            case _:
                told += told[place : place + 100]
    return bytes(told)


def inner(content: bytes, chance: random.Random) -> bytes:
    """A zip whose own structure is whole and of whose entries one is damaged."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files: dict[str, bytes | str] = {name: archive.read(name) for name in archive.namelist()}
    name = chance.choice(sorted(files))
    files[name] = damaged(bytes(files[name]), chance)  # type: ignore[arg-type]
    return zipped(files)


@pytest.mark.parametrize("name", [*KINDS, "aclImdb.zip"])
def test_damaged_files_give_a_table_or_a_problem_and_never_another_error(tmp_path: Path, name: str) -> None:
    whole, chance = KINDS.get(name, folders)(), random.Random(name)  # 27 of each of 15 kinds: 405
    for number in range(27):
        packed = whole.startswith(b"PK") and number % 2
        path = written(tmp_path, name, inner(whole, chance) if packed else damaged(whole, chance))
        try:
            table = open_file(path, LIMIT)
            assert len(set(table.columns)) == len(table.columns)
            _, problems = inspect(table, table.test, DataSpec(f"file:{name}"))
        except Refused as refusal:
            problems = refusal.problems
        assert all(one.message and one.fix for one in problems)
        assert not any(str(tmp_path) in one.message for one in problems)


@pytest.mark.parametrize("name", ["messy/ABSA_Restaurant.xlsx", "other/gsm8k_test.jsonl", "other/multi30k_en_fr_val.jsonl"])
def test_real_files_that_are_damaged_give_a_table_or_a_problem(shared_data: Path, tmp_path: Path, name: str) -> None:
    whole, chance = (shared_data / name).read_bytes(), random.Random(name)
    for _ in range(6):
        problems: tuple[Problem, ...] = ()
        try:
            open_file(written(tmp_path, Path(name).name, damaged(whole, chance)), LIMIT)
        except Refused as refusal:
            problems = refusal.problems
        assert all(one.message and one.fix for one in problems)


REAL = {  # the counts are those of shared/data/README.md
    "messy/ABSA_Restaurant.xlsx": (2059, ("SL", "Text", "Category", "Polarity")),
    "other/instructions_alpaca_en_demo.jsonl": (999, ("instruction", "input", "output")),
    "other/gsm8k_test.jsonl": (1319, ("question", "answer")),
}


@pytest.mark.parametrize("name", REAL)
def test_the_real_files_open_with_their_rows(shared_data: Path, name: str) -> None:
    table = open_file(shared_data / name, LIMIT)
    assert (table.rows, table.columns) == REAL[name]
