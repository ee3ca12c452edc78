"""Opening files: every encoding, delimiter and fault that people's tables have. Toys made here, and the real files where they are."""

from __future__ import annotations

import os
import re
import tracemalloc
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.data.profile import inspect
from engine.data.repairs import column_as_fixed, text_as_fixed
from engine.data.sources import LIMIT_BYTES, Table, clean, load, open_file, with_defaults
from engine.data.table import without_controls
from engine.errors import Problem, Refused
from engine.fix import Fix
from engine.spec import DataSpec

REVIEWS = [("I loved it, truly", "positive"), ("Dull; very dull", "negative"), ("Well | made", "positive"), ("Café crème", "negative")] * 10


def written(folder: Path, content: str | bytes, name: str = "table.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def table_of(content: str | bytes, folder: Path, encoding: str = "utf-8") -> Table:
    return open_file(written(folder, content, encoding=encoding), LIMIT_BYTES)


def refused(content: str | bytes, folder: Path, name: str = "table.csv") -> Problem:
    with pytest.raises(Refused) as caught:
        open_file(written(folder, content, name), LIMIT_BYTES)
    (problem,) = caught.value.problems
    assert problem.field == "data.source"
    assert problem.fix
    assert name in problem.message
    return problem


def csv_of(rows: list[tuple[str, ...]], delimiter: str = ",", end: str = "\n", header: tuple[str, ...] | None = ("text", "label")) -> str:
    lines = [delimiter.join(f'"{cell}"' if delimiter in cell or "\n" in cell else cell for cell in row) for row in rows]
    return end.join([*([delimiter.join(header)] if header else []), *lines]) + end


@pytest.mark.parametrize(
    ("encoding", "told"),
    [
        ("utf-8", "UTF-8,"),
        ("utf-8-sig", "UTF-8 with a byte-order mark"),
        ("utf-16", "UTF-16, little-endian"),
        ("utf-16-le", "UTF-16, little-endian, unmarked"),
        ("utf-16-be", "UTF-16, big-endian, unmarked"),
        ("utf-32", "UTF-32"),
        ("cp1252", "cp1252"),
    ],
)
def test_each_encoding_gives_the_same_rows_and_is_named(tmp_path: Path, encoding: str, told: str) -> None:
    table = table_of(csv_of(REVIEWS), tmp_path, encoding)
    assert table.columns == ("text", "label")
    assert list(zip(*(column.to_pylist() for column in table.data.columns), strict=True)) == REVIEWS
    assert table.notes[0].startswith(told) or told in table.notes[0]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be"])
def test_bengali_survives_each_unicode_encoding(tmp_path: Path, encoding: str) -> None:
    rows = [("খুব ভালো পণ্য, ধন্যবাদ", "ইতিবাচক"), ("একদম বাজে", "নেতিবাচক"), ("র‍্যাম কম", "নেতিবাচক")] * 8
    table = table_of(csv_of(rows), tmp_path, encoding)
    assert table.column("text").to_pylist()[:3] == [text for text, _ in rows[:3]]
    assert "\u200d" in table.column("text").to_pylist()[2]


@pytest.mark.parametrize(("delimiter", "told"), [(",", "comma"), ("\t", "tab"), (";", "semicolon"), ("|", "pipe")])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_each_delimiter_and_line_end_is_found_by_parsing(tmp_path: Path, delimiter: str, told: str, end: str) -> None:
    table = table_of(csv_of(REVIEWS, delimiter, end), tmp_path)
    assert list(zip(*(column.to_pylist() for column in table.data.columns), strict=True)) == REVIEWS
    assert told in table.notes[0]


def test_mixed_line_ends_and_newlines_within_cells_break_no_row(tmp_path: Path) -> None:
    table = table_of('text,label\r\n"first line\nsecond, line",good\n"a\r\nb",bad\rplain,good\r\n', tmp_path)
    assert table.column("text").to_pylist() == ["first line\nsecond, line", "a\r\nb", "plain"]
    assert any(note.startswith("Mixed line ends") for note in table.notes)


def test_control_characters_become_spaces_and_are_counted(tmp_path: Path) -> None:
    table = table_of("text,label\none\x00two,good\nthree\x85four,bad\nfive\x1b[0m,good\ntab\x0bhere,bad\n", tmp_path)
    assert table.column("text").to_pylist() == ["one two", "three four", "five [0m", "tab here"]
    assert "4 control characters became spaces" in table.notes


def test_a_next_line_character_does_not_end_a_row(tmp_path: Path) -> None:
    rows = [(f"start\x85end\u2028really {number}", "good" if number % 2 else "bad") for number in range(30)]
    assert table_of(csv_of(rows), tmp_path).rows == 30


def test_long_ids_and_leading_zeros_stay_as_they_are_written(tmp_path: Path) -> None:
    rows = [(str(508461291028357120 + number), f"0{number % 2}", f"text {number}") for number in range(30)]
    table = table_of(csv_of(rows, header=("id", "code", "text")), tmp_path)
    assert table.column("id").to_pylist() == [row[0] for row in rows]
    assert set(table.column("code").to_pylist()) == {"00", "01"}


def test_nameless_columns_are_named_by_their_place_and_doubled_names_told_apart(tmp_path: Path) -> None:
    table = table_of("text,,text,label\n" + "a b,1,c,good\nd e,2,f,bad\n" * 5, tmp_path)
    assert table.columns == ("text", "column 2", "text (2)", "label")


def test_a_delimiter_at_the_end_of_each_line_makes_no_column(tmp_path: Path) -> None:
    assert table_of("text,label,\n" + "fine,good,\npoor,bad,\n" * 5, tmp_path).columns == ("text", "label")


def test_a_header_is_told_from_data_by_what_stands_below(tmp_path: Path) -> None:
    rows = [(f"This is review number {number} and it goes on for a while", "good" if number % 2 else "bad") for number in range(30)]
    assert table_of(csv_of(rows, header=None), tmp_path).columns == ("column 1", "column 2")
    assert table_of(csv_of(rows, header=("What they wrote", "Verdict")), tmp_path).columns == ("What they wrote", "Verdict")
    numbered = [(text, "1" if label == "good" else "0") for text, label in rows]
    assert table_of(csv_of(numbered, header=("0", "1")), tmp_path).columns == ("0", "1")
    assert not table_of(csv_of([(label, text) for text, label in numbered], header=None), tmp_path).has_header


def test_empty_and_repeated_header_rows_are_left_out_counted_and_numbers_kept(tmp_path: Path) -> None:
    table = table_of("text,label\nfine,good\n\n,\npoor,bad\ntext,label\nwell,good\n", tmp_path)
    assert table.column("text").to_pylist() == ["fine", "poor", "well"]
    assert table.left_out == {"empty rows": 2, "repeated header rows": 1}
    assert table.row_numbers().to_pylist() == [1, 4, 6]


def test_rows_with_too_many_cells_are_left_out_and_said(tmp_path: Path) -> None:
    table = table_of(csv_of(REVIEWS) + "a, b and c,good\n", tmp_path)
    assert table.rows == 40
    assert table.left_out == {"rows with more cells than columns": 1}
    assert "the first is row 41" in table.notes[-1]


def test_a_table_whose_rows_mostly_do_not_fit_is_refused_with_the_row(tmp_path: Path) -> None:
    problem = refused("text,label\n" + "fine,good\n" * 10 + "yes, well, no,bad\n" * 8, tmp_path)
    assert "row 11" in problem.message
    assert "a comma in quotation marks" in problem.fix


def test_a_quotation_mark_that_never_closes_is_refused_with_its_line(tmp_path: Path) -> None:
    rows = "".join(f'"text {number}, with a comma",good\n' for number in range(30))
    problem = refused(f'text,label\n{rows}"this one never closes, sadly,bad\n' + "plain,good\n" * 30, tmp_path)
    assert "line 32" in problem.message


def test_stray_quotation_marks_in_a_tab_separated_file_swallow_no_rows(tmp_path: Path) -> None:
    rows = [
        (f'"{number} stars, she said' if number % 7 == 0 else f"text {number}", "good" if number % 2 else "bad") for number in range(60)
    ]
    table = table_of(csv_of(rows, "\t"), tmp_path)
    assert table.column("text").to_pylist() == [text for text, _ in rows]


def test_a_cell_of_a_million_characters_is_read(tmp_path: Path) -> None:
    table = table_of(csv_of([*REVIEWS, ("word " * 200_000, "good")]), tmp_path)
    assert len(table.column("text").to_pylist()[-1]) == 1_000_000


def test_a_few_damaged_bytes_do_not_turn_bengali_into_another_encoding(tmp_path: Path) -> None:
    content = csv_of([("খুব ভালো লেগেছে", "good"), ("একদম ভালো না", "bad")] * 20).encode()
    table = table_of(content[:300] + b"\xff" + content[300:], tmp_path)
    assert "could not be read" in " ".join(table.notes)
    assert table.column("text").to_pylist()[-1] == "একদম ভালো না"


PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + zlib.compress(os.urandom(100))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"\n\n  \n", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (PNG, "PNG"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(range(256)), "JPEG"),
        (b"PK\x03\x04\x14\x00" + bytes(100), "damaged zip archive or Excel"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "PDF"),
        (b"\x1f\x8b\x08" + bytes(range(200)), "compressed"),
        (bytes(range(256)) * 200, "binary"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "web page"),
    ],
    ids=["no bytes", "blanks", "only a mark", "png", "jpeg", "xlsx", "pdf", "gzip", "binary", "html"],
)
def test_what_is_no_table_is_refused_in_words(tmp_path: Path, content: bytes, words: str) -> None:
    assert words in refused(content, tmp_path).message


def test_a_file_over_the_limit_is_refused_with_both_sizes(tmp_path: Path) -> None:
    path = written(tmp_path, "x" * 3_000_000)
    with pytest.raises(Refused) as caught:
        open_file(path, 2_000_000)
    assert "3.0 MB" in str(caught.value)
    assert "2 MB" in str(caught.value)


def test_files_that_are_not_there_are_refused_both_at_once(tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        load(DataSpec("file:nowhere.csv", test="file:neither.csv"), home=tmp_path)
    assert [problem.field for problem in caught.value.problems] == ["data.source", "data.test"]


@pytest.mark.parametrize(
    "source", ["", "nonsense", "file:", "file:\x00", "file:" + "x" * 5000, "sample:none", "sample:../x", "hub:..", "hub:csv"]
)
def test_a_source_that_is_none_is_refused_in_words(tmp_path: Path, source: str) -> None:
    with pytest.raises(Refused) as caught:
        load(DataSpec(source), home=tmp_path)
    assert caught.value.problems[0].field == "data.source"
    assert caught.value.problems[0].fix


def test_a_relative_path_is_looked_for_here_and_then_in_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    (home / "uploads").mkdir(parents=True)
    written(home / "uploads", csv_of(REVIEWS))
    monkeypatch.chdir(tmp_path)
    table, test = load(DataSpec("file:uploads/table.csv"), home=home)
    assert (table.rows, test) == (40, None)


def test_a_test_file_whose_columns_differ_in_case_and_blanks_alone_is_read_by_the_same_names(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(csv_of([("a text", "good")]), "utf-8")
    (tmp_path / "test.csv").write_text(csv_of([("another", "bad")], header=(" Text", "LABEL")), "utf-8")
    _, test = load(DataSpec("file:train.csv", test="file:test.csv"), home=tmp_path)
    assert test is not None
    assert test.columns == ("text", "label")
    assert test.column("label")[0].as_py() == "bad"
    assert "Read 'Text' as 'text', 'LABEL' as 'label'" in test.notes
    (tmp_path / "test.csv").write_text(csv_of([("another", "bad")], header=("Text", "TEXT")), "utf-8")
    _, test = load(DataSpec("file:train.csv", test="file:test.csv"), home=tmp_path)
    assert test is not None
    assert test.columns == ("Text", "TEXT"), "which of them is meant cannot be known"


@pytest.mark.parametrize(("sample", "classes"), [("film-reviews-en", 2), ("product-reviews-bn", 3)])
def test_the_samples_open_with_300_distinct_rows_or_more(tmp_path: Path, sample: str, classes: int) -> None:
    table, _ = load(DataSpec(f"sample:{sample}"), home=tmp_path)
    assert len(set(table.column("text").to_pylist())) >= 300
    assert len(set(table.column("label").to_pylist())) == classes


def test_the_list_of_data_sets_fills_in_what_was_not_told() -> None:
    known = with_defaults(DataSpec("hub:stanfordnlp/imdb"))
    assert (known.text, known.label, known.train_split, known.test_split) == ("text", "label", "train", "test")
    assert with_defaults(DataSpec("hub:stanfordnlp/imdb", train_split="unsupervised")).train_split == "unsupervised"


def test_cleaning_keeps_joiners_signs_and_capitals() -> None:
    assert clean("র‍্যাম ক‌খ Ünï <br /><BR>ok\x00\x85", clean_html=True) == "র‍্যাম ক‌খ Ünï   ok  "
    assert clean("a<br />b", clean_html=False) == "a<br />b"
    assert clean("e\u0301", clean_html=False) == "é"


TORN = "খাবার খুব ভালো ছিল, “দাম” ১০০ টাকা 🙂"


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("codec", ["latin-1", "sloppy-windows-1252"])
def test_letters_that_were_read_as_latin_1_come_back_whole(codec: str, times: int) -> None:
    import pyarrow as pa

    damaged = TORN
    for _ in range(times):
        damaged = damaged.encode().decode(codec)
    values, controls = without_controls(pa.array([damaged, f"{damaged}\x00\x85 ", "an end\x85", None]))
    assert values.to_pylist() == [damaged, f"{damaged}   ", "an end ", None]
    assert controls == 3
    table = pa.chunked_array([values])
    mended, changed = column_as_fixed(table, "repair-encoding")
    assert mended.to_pylist() == [TORN, f"{TORN}   ", "an end ", None]
    assert changed.to_pylist() == [True, True, False, False]
    assert clean(text_as_fixed(clean(damaged, clean_html=False), [Fix("repair-encoding")]), clean_html=False) == mended[0].as_py()


@given(st.lists(st.text(), min_size=1, max_size=5))
def test_a_column_is_cleaned_as_each_text_is(texts: list[str]) -> None:
    import pyarrow as pa

    values, _ = without_controls(pa.array(texts, pa.string()))
    assert values.to_pylist() == [clean(text, clean_html=False) for text in texts]


BASES = [
    csv_of(REVIEWS).encode(),
    csv_of(REVIEWS, "\t", "\r\n").encode("utf-16"),
    csv_of(REVIEWS, ";").encode("cp1252"),
    csv_of([("খুব ভালো,\nসত্যি", "ভালো"), ("বাজে", "খারাপ")] * 15).encode(),
]
PIECES = [
    b'"',
    b'""',
    b",",
    b"\t",
    b"\n",
    b"\r",
    b"\r\n",
    b"\x00",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\x80",
    b"\x85",
    b"\xd8\x00",
    b";;;;",
    b"|",
    b"'",
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    content = bytearray(draw(st.sampled_from(BASES)))
    for _ in range(draw(st.integers(1, 8))):
        place = draw(st.integers(0, len(content)))
        match draw(st.sampled_from(("insert", "cut", "delete", "random", "repeat"))):
            case "insert":
                content[place:place] = draw(st.sampled_from(PIECES))
            case "cut":
                del content[place:]
            case "delete":
                del content[place : place + draw(st.integers(1, 40))]
            case "random":
                content[place:place] = draw(st.binary(max_size=30))
            case "repeat":
                content += content[place : place + 200]
    return bytes(content)


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.one_of(mutated(), st.binary(max_size=400)))
def test_any_damage_gives_a_table_or_a_refusal_never_another_error(tmp_path: Path, content: bytes) -> None:
    try:
        table = open_file(written(tmp_path, content), LIMIT_BYTES)
        assert len(set(table.columns)) == len(table.columns)
        _, problems = inspect(table, table, DataSpec("file:table.csv"))
    except Refused as refusal:
        problems = refusal.problems
    assert all(problem.message and problem.fix for problem in problems)


REAL = {
    "imdb/imdb_train_5k.csv": (5000, ("review", "sentiment"), "UTF-8, comma"),
    "imdb/imdb_test_2k.csv": (2000, ("review", "sentiment"), "UTF-8, comma"),
    "bengali/BnSentMix_named.csv": (14655, ("text", "label"), "UTF-8, comma"),
    "bengali/sentiment_train.tsv": (1957, ("id", "text", "class_label"), "UTF-8, tab"),
    "bengali/sentiment_dev.tsv": (419, ("id", "text", "class_label"), "UTF-8, tab"),
    "bengali/sentiment_test.tsv": (420, ("id", "text", "class_label"), "UTF-8, tab"),
    "other/banking77_train.csv": (10003, ("text", "category"), "UTF-8, comma"),
    "other/banking77_test.csv": (3080, ("text", "category"), "UTF-8, comma"),
    "messy/spam.csv": (5572, ("v1", "v2", "column 3", "column 4", "column 5"), "Western European (cp1252), comma"),
    "messy/ag_news_test.csv": (7600, ("column 1", "column 2", "column 3"), "UTF-8, comma"),
    "messy/BN_data_train.csv": (697, ("id", "text", "class"), "UTF-8, tab"),
    "messy/imdb_ratings_1k.csv": (1000, ("review", "sentiment", "rating"), "UTF-8, comma"),
}


@pytest.mark.parametrize("name", REAL)
def test_the_real_files_open_with_the_rows_that_their_list_states(shared_data: Path, name: str) -> None:
    rows, columns, told = REAL[name]  # the counts are those of shared/data/README.md
    table = open_file(shared_data / name, LIMIT_BYTES)
    assert (table.rows, table.columns) == (rows, columns)
    assert table.notes[0].startswith(told)


def test_the_real_ids_of_18_digits_are_not_rounded(shared_data: Path) -> None:
    table = open_file(shared_data / "messy/BN_data_train.csv", LIMIT_BYTES)
    assert table.column("id").to_pylist()[0] == "508461291028357120"


def test_opening_holds_a_few_times_the_size_of_the_file_at_most(tmp_path: Path) -> None:
    path = written(tmp_path, csv_of([(f"{number} " + "some words of a review " * 40, "good") for number in range(10_000)]))
    size = path.stat().st_size
    assert size > 9_000_000
    tracemalloc.start()  # sees Python's own objects, not arrow's buffers, which are the size of the file
    open_file(path, LIMIT_BYTES)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * size


def test_no_message_holds_a_path_of_this_machine(tmp_path: Path) -> None:
    for content in (b"", PNG, b'{"a": '):
        assert not re.search(r"/\w+/", refused(content, tmp_path).message)
