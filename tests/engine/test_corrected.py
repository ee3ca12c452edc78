"""Corrected labels: what is written comes back, every other row stays in its part, and what does not fit is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.data import corrected
from engine.data.corrected import Correction
from engine.data.profile import inspect, profile
from engine.data.sources import load
from engine.data.split import Prepared, Split, prepare
from engine.errors import Refused
from engine.spec import DataSpec

WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=40).map(str.strip).filter(bool)
LABELS = st.sampled_from(("bad", "ভালো", "so-so, mostly"))
CORRECTIONS = st.builds(Correction, st.integers(1, 10**6), WORDS, LABELS, st.one_of(st.none(), LABELS), st.just("20261126-0101-run-ab12"))


@given(st.lists(CORRECTIONS, max_size=8))
def test_a_file_of_corrections_comes_back_as_it_was_written(corrections: list[Correction]) -> None:
    again = corrected.from_csv(corrected.to_csv(corrections))
    assert [(one.key, one.old, one.new, one.run) for one in again] == [(one.key, one.old, one.new, one.run) for one in corrections]


def test_a_very_long_text_with_line_ends_comes_back_too() -> None:
    one = Correction(7, 'a line\nand "another", long\r\n' * 20_000, "bad", None)
    assert corrected.from_csv(corrected.to_csv([one])) == (one,)


HEAD = "row,text,old label,new label\n"


@pytest.mark.parametrize("text", ["", "row,text\n1,a\n", f"{HEAD}seven,a,b,c\n", f'{HEAD}1,"a'])
def test_what_is_no_file_of_corrections_is_refused_in_words(text: str) -> None:
    with pytest.raises(Refused, match="file of corrections"):
        corrected.from_csv(text)


def test_a_row_is_known_by_its_text_too_whatever_blanks_and_tags_were_cleaned() -> None:
    assert corrected.key(3, "so  good<br />film ") == corrected.key(3, "so good film")
    assert corrected.key(3, "ক্ষয়") == corrected.key(3, "ক্ষয়"), "NFC"
    assert corrected.key(3, "so good film") != corrected.key(3, "so good, film")
    assert corrected.key(3, "so good film") != corrected.key(4, "so good film")


def test_later_corrections_count_and_one_taken_back_falls_away() -> None:
    first = [Correction(1, "a", "x", "y"), Correction(2, "b", "x", "y"), Correction(3, "c", "x", "y")]
    then = [Correction(1, "a", "y", "x"), Correction(2, "b", "y", "z"), Correction(4, "d", "x", None)]
    assert [(one.row, one.old, one.new) for one in corrected.joined(first, then)] == [(2, "x", "z"), (3, "x", "y"), (4, "x", None)]


def _data(tmp_path: Path) -> DataSpec:
    lines = [f"text number {at} of this,{('bad', 'good', 'so-so')[at % 3]}" for at in range(90)]
    (tmp_path / "data.csv").write_text("text,label\n" + "\n".join(lines) + "\n", "utf-8")
    return DataSpec(f"file:{tmp_path / 'data.csv'}")


def _with(tmp_path: Path, data: DataSpec, *corrections: Correction) -> DataSpec:
    (tmp_path / "corrections.csv").write_bytes(corrected.to_csv(corrections).encode())
    return replace(data, corrections=f"file:{tmp_path / 'corrections.csv'}")


def _rows(prepared: Prepared) -> dict[int, tuple[str, str]]:
    """Row number -> part and label."""
    parts = {"train": prepared.train, "validation": prepared.validation, "test": prepared.test}
    told = ((name, zip(part.numbers, part.labels, strict=True)) for name, part in parts.items())
    return {number: (name, prepared.classes[label]) for name, pairs in told for number, label in pairs}


def test_every_other_row_keeps_its_part_and_its_label(tmp_path: Path) -> None:
    data = _data(tmp_path)
    before = _rows(prepare(data, Split(), home=tmp_path))
    first, second = (next(number for number, (part, _) in before.items() if part == name) for name in ("train", "test"))
    third = next(number for number, (part, _) in before.items() if part == "test" and number != second)

    def text(number: int) -> str:
        return f"text number {number - 1} of this"

    wrong = [Correction(number, text(number), before[number][1], "so-so") for number in (first, second)]
    gone = Correction(third, text(third), before[third][1], None)
    again = prepare(_with(tmp_path, data, *wrong, gone), Split(), home=tmp_path)
    after = _rows(again)
    assert after == {**{n: told for n, told in before.items() if n != third}, **{one.row: (before[one.row][0], "so-so") for one in wrong}}
    assert again.sha256 != prepare(data, Split(), home=tmp_path).sha256, "a plan for other labels is another plan"


def test_the_preview_says_what_the_corrections_do_and_has_the_sum_of_the_run(tmp_path: Path) -> None:
    spec = _with(tmp_path, _data(tmp_path), Correction(1, "text number 0 of this", "bad", "good"),
                 Correction(2, "text number 1 of this", "good", None))  # fmt: skip
    found = corrected.opened(spec.corrections, tmp_path)
    table, test = load(spec, home=tmp_path)
    facts, problems = inspect(table, test, spec, corrections=found)
    assert problems == ()
    assert {"1 label was corrected", "1 row is left out by a correction"} <= set(facts.notes)
    assert facts.sha256 == prepare(spec, Split(), home=tmp_path).sha256
    assert facts.sha256 != profile(table, test, spec).sha256


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (Correction(1, "another text", "bad", "good"), "row 1 does not hold the text 'another text'"),
        (Correction(1, "text number 0 of this", "good", "bad"), "row 1 is labelled 'bad', not 'good'"),
        (Correction(1, "text number 0 of this", "bad", "great"), "has the label 'great'"),
    ],
)
def test_a_correction_that_does_not_fit_the_data_is_refused(tmp_path: Path, one: Correction, words: str) -> None:
    with pytest.raises(Refused, match=words):
        prepare(_with(tmp_path, _data(tmp_path), one), Split(), home=tmp_path)


def test_a_class_is_not_emptied_by_corrections(tmp_path: Path) -> None:
    gone = [Correction(at + 1, f"text number {at} of this", "bad", "good") for at in range(0, 87, 3)]
    with pytest.raises(Refused, match="leave 1 row of 'bad'; 3 are needed"):
        prepare(_with(tmp_path, _data(tmp_path), *gone), Split(), home=tmp_path)


def test_a_missing_file_of_corrections_is_told(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"no file of corrections 'gone\.csv'"):
        prepare(replace(_data(tmp_path), corrections="file:gone.csv"), Split(), home=tmp_path)


def _others(tmp_path: Path, corrections: list[Correction], target: str) -> tuple[DataSpec, Path]:
    lines = [f'text number {at} of this,"{at % 5 + 0.5}",{at % 2},{int(at % 3 == 0)}' for at in range(90)]
    (tmp_path / "data.csv").write_text("text,price,rude,late\n" + "\n".join(lines) + "\n", "utf-8")
    (tmp_path / "made.csv").write_text(corrected.to_csv(corrections), "utf-8")
    columns = {"label": "price"} if target == "number" else {"labels": ("rude", "late")}
    return DataSpec("file:data.csv", text="text", target=target, corrections="file:made.csv", **columns), tmp_path  # type: ignore[arg-type]


def _there(found: Prepared) -> dict[int, object]:
    return {
        number: target
        for part in (found.train, found.validation, found.test)
        for number, target in zip(part.numbers, part.targets, strict=True)
    }


def test_numbers_are_put_right_and_rows_left_out_and_no_other_row_moves(tmp_path: Path) -> None:
    made = [Correction(2, "text number 1 of this", "1.5", "7"), Correction(6, "text number 5 of this", "0.5", None)]
    data, home = _others(tmp_path, made, "number")
    plain, found = (prepare(one, Split(), home=home) for one in (replace(data, corrections=None), data))
    before, after = _there(plain), _there(found)
    assert (before[2], after[2]) == (1.5, 7.0)
    assert set(before) - set(after) == {6}
    assert {number for number in after if after[number] != before[number]} == {2}
    assert set(found.test.numbers) <= set(plain.test.numbers)
    assert any("1 number was corrected" in note for note in found.notes)


def test_tags_are_put_right_and_what_no_row_has_is_refused(tmp_path: Path) -> None:
    data, home = _others(tmp_path, [Correction(2, "text number 1 of this", '["rude"]', '["late", "rude"]')], "tags")
    found = prepare(data, Split(), home=home)
    assert found.classes == ("rude", "late")
    assert _there(found)[2] == (1, 1)
    for target, old, new, told in (
        ("tags", '["rude"]', '["kind"]', "the tag 'kind'"),
        ("tags", '["rude"]', "late", "no list"),
        ("number", "1.5", "much", "no number"),
        ("number", "9", "7", "is labelled '1.5'"),
    ):
        data, home = _others(tmp_path, [Correction(2, "text number 1 of this", old, new)], target)
        with pytest.raises(Refused, match=told):
            prepare(data, Split(), home=home)
