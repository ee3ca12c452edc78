"""What is found in the data, and how every fault of it is told: beside its field, with the value and a fix."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path

import pytest

from engine.data.profile import DataFacts, inspect, profile, scripts
from engine.data.sources import LIMIT_BYTES, Table, load, open_file
from engine.errors import Problem, Refused
from engine.spec import DataSpec

SPEC = DataSpec("file:data.csv")
WORDS = (
    "the food was cold and the waiter rude",
    "lovely rooms with a view of the sea",
    "we waited an hour for a taxi",
    "clean, quiet and cheap",
)


def rows_of(count: int, labels: Sequence[str] = ("good", "bad"), start: int = 0) -> list[tuple[str, ...]]:
    return [(f"{WORDS[place % 4]}, visit {place}", labels[place % len(labels)]) for place in range(start, start + count)]


def table_of(folder: Path, rows: Sequence[Sequence[str]], header: str = "text,label", name: str = "data.csv") -> Table:
    lines = [",".join(f'"{cell}"' for cell in row) for row in rows]
    path = folder / name
    path.write_text("\n".join([header, *lines]) + "\n")
    return open_file(path, LIMIT_BYTES)


def problems_of(table: Table, test: Table | None = None, spec: DataSpec = SPEC) -> list[Problem]:
    with pytest.raises(Refused) as caught:
        profile(table, test, spec)
    assert all(problem.fix for problem in caught.value.problems)
    return list(caught.value.problems)


def only(problems: list[Problem]) -> Problem:
    (problem,) = problems
    return problem


def test_columns_are_guessed_and_the_reason_names_the_values(tmp_path: Path) -> None:
    facts = profile(table_of(tmp_path, rows_of(40)), None, SPEC)
    assert (facts.text, facts.label) == ("text", "label")
    assert facts.label_why == "It holds 2 different values: bad, good."
    assert "words on average" in facts.text_why
    assert facts.classes == {"bad": 20, "good": 20}


def test_columns_are_guessed_from_values_where_names_say_nothing(tmp_path: Path) -> None:
    rows = [(f"{7_000_000 + place}", label, "2026-01-02", text, "3.5") for place, (text, label) in enumerate(rows_of(40))]
    facts = profile(table_of(tmp_path, rows, "a,b,c,d,e"), None, SPEC)
    assert (facts.text, facts.label) == ("d", "b")
    assert {one.name: one.role for one in facts.columns} == {"a": "id", "b": "label", "c": "other", "d": "text", "e": "other"}


def test_a_persons_choice_is_kept_against_the_guess(tmp_path: Path) -> None:
    rows = [(text, label, "new" if place % 3 else "old") for place, (text, label) in enumerate(rows_of(40))]
    facts = profile(table_of(tmp_path, rows, "text,label,state"), None, DataSpec("file:data.csv", label="state"))
    assert (facts.label, facts.label_why) == ("state", "You chose it.")
    assert facts.classes == {"new": 26, "old": 14}


def test_a_column_is_found_however_its_letters_are_composed(tmp_path: Path) -> None:
    table = table_of(tmp_path, rows_of(40), "crème,été")
    for form in ("NFC", "NFD"):
        told = DataSpec("file:x", text=unicodedata.normalize(form, "crème"), label=unicodedata.normalize(form, "été"))
        facts = profile(table, None, told)
        assert (facts.text, facts.label) == ("crème", "été")


def test_a_rating_beside_the_feeling_is_not_taken_for_the_label(tmp_path: Path) -> None:
    rows = [(text, str(place % 5), ("ভালো", "খারাপ")[place % 2]) for place, (text, _) in enumerate(rows_of(40))]
    assert profile(table_of(tmp_path, rows, "লেখা,rating,অনুভূতি"), None, SPEC).label == "অনুভূতি"
    worded = [(text, ("low", "high")[place % 2], ("ভালো", "খারাপ", "মাঝারি")[place % 3]) for place, (text, _) in enumerate(rows_of(40))]
    assert profile(table_of(tmp_path, worded, "লেখা,rating,অনুভূতি"), None, SPEC).label == "অনুভূতি"


def test_numbers_as_labels_stay_the_names_that_they_are(tmp_path: Path) -> None:
    assert profile(table_of(tmp_path, rows_of(40, ("0", "1"))), None, SPEC).classes == {"0": 20, "1": 20}
    assert set(profile(table_of(tmp_path, rows_of(40, ("01", "1.0"))), None, SPEC).classes) == {"01", "1.0"}


def test_missing_labels_and_blank_texts_are_dropped_counted_and_said(tmp_path: Path) -> None:
    rows = [*rows_of(40), ("no label here", ""), ("nor here", "nan"), ("  ", "good"), ("", "bad"), ("blank label", "  ")]
    facts = profile(table_of(tmp_path, rows), None, SPEC)
    assert facts.dropped == {"without a label": 3, "with an empty text": 2}
    assert (facts.rows, facts.usable) == (45, 40)


def test_blanks_around_labels_make_no_class_of_their_own(tmp_path: Path) -> None:
    facts = profile(table_of(tmp_path, rows_of(40, ("good ", "good", " bad", "bad"))), None, SPEC)
    assert facts.classes == {"bad": 20, "good": 20}
    assert "Blanks around 20 labels were removed" in facts.notes


def test_line_break_tags_are_cleaned_and_said_unless_the_knob_is_off(tmp_path: Path) -> None:
    table = table_of(tmp_path, [(f"{text}<br /><br />end", label) for text, label in rows_of(40)])
    facts = profile(table, None, SPEC)
    assert "<br /> became a space in 40 texts" in facts.notes
    assert not any("<br" in text for text in facts.texts_sample)
    assert "<br" in facts.sample[0]["text"]
    assert all("<br" in text for text in profile(table, None, SPEC, clean_html=False).texts_sample)


def test_lengths_are_those_of_the_cleaned_texts(tmp_path: Path) -> None:
    facts = profile(
        table_of(tmp_path, [("two words" if place % 2 else "now  four<br />words here", str(place % 2)) for place in range(40)]), None, SPEC
    )
    assert facts.words == (2, 3, 4)
    assert facts.longest_words == 4
    assert facts.chars == (9, 14, 20)  # of 9 and 20 characters, half each


def test_a_header_without_rows_is_refused(tmp_path: Path) -> None:
    problem = only(problems_of(table_of(tmp_path, [])))
    assert problem.field == "data.source"
    assert "only a header: text, label" in problem.message


def test_one_column_is_refused(tmp_path: Path) -> None:
    problem = only(problems_of(table_of(tmp_path, [(text,) for text, _ in rows_of(40)], "text")))
    assert (problem.field, "one column, 'text'" in problem.message) == ("data.source", True)


def test_one_class_is_refused_with_its_name(tmp_path: Path) -> None:
    problem = only(problems_of(table_of(tmp_path, rows_of(40, ("good",))), spec=DataSpec("file:data.csv", label="label")))
    assert (problem.field, "'good' in all 40 rows" in problem.message) == ("data.label", True)


def test_one_class_is_refused_also_where_the_label_was_guessed(tmp_path: Path) -> None:
    problem = only(problems_of(table_of(tmp_path, rows_of(40, ("good",)))))
    assert problem.field == "data.label"


def test_fewer_than_20_usable_rows_are_refused_with_what_was_left_out(tmp_path: Path) -> None:
    problem = only(problems_of(table_of(tmp_path, [*rows_of(18), ("no label", "")])))
    assert problem.field == "data.source"
    assert "18 usable rows (1 row left out: 1 without a label)" in problem.message


def test_a_class_with_one_row_is_refused_with_the_row(tmp_path: Path) -> None:
    problem = only(problems_of(table_of(tmp_path, [*rows_of(40), ("odd one", "godo")])))
    assert (problem.field, "'godo' (row 41)" in problem.message) == ("data.label", True)


def test_free_text_as_the_label_is_refused_with_its_figures(tmp_path: Path) -> None:
    problem = only(problems_of(table_of(tmp_path, rows_of(40)), spec=DataSpec("file:data.csv", text="label", label="text")))
    assert problem.field == "data.label"
    assert "'text' has 40 different values in 40 rows" in problem.message
    assert "looks like text, not a label" in problem.message


def test_an_id_as_the_label_is_refused(tmp_path: Path) -> None:
    table = table_of(tmp_path, [(text, f"u-{place:04}") for place, (text, _) in enumerate(rows_of(40))], "text,user")
    problem = only(problems_of(table, spec=DataSpec("file:data.csv", label="user")))
    assert "looks like an id" in problem.message
    assert only(problems_of(table)).field == "data.label"


def test_a_measurement_as_the_label_is_refused(tmp_path: Path) -> None:
    table = table_of(tmp_path, [(text, f"{place % 60 / 7:.3f}") for place, (text, _) in enumerate(rows_of(180))], "text,score")
    assert "looks like a measurement" in only(problems_of(table, spec=DataSpec("file:data.csv", label="score"))).message


def test_named_columns_that_are_not_there_are_all_told_with_the_nearest(tmp_path: Path) -> None:
    problems = problems_of(table_of(tmp_path, rows_of(40)), spec=DataSpec("file:data.csv", text="txet", label="Label"))
    assert [problem.field for problem in problems] == ["data.text", "data.label"]
    assert "its columns are text, label" in problems[0].message
    assert [problem.fix for problem in problems] == ["Did you mean 'text'?", "Did you mean 'label'?"]


def test_the_same_column_cannot_be_text_and_label(tmp_path: Path) -> None:
    problems = problems_of(table_of(tmp_path, rows_of(40)), spec=DataSpec("file:data.csv", text="label", label="label"))
    assert only(problems).field == "data.label"


def test_facts_are_there_for_choosing_columns_even_when_the_data_is_refused(tmp_path: Path) -> None:
    facts, problems = inspect(table_of(tmp_path, rows_of(40)), None, DataSpec("file:data.csv", text="txet"))
    assert problems
    assert [one.name for one in facts.columns] == ["text", "label"]
    assert len(facts.sample) == 8


def test_a_second_file_is_counted(tmp_path: Path) -> None:
    facts = profile(table_of(tmp_path, rows_of(40)), table_of(tmp_path, rows_of(20, start=35), name="test.csv"), SPEC)
    assert (facts.usable, facts.given_test, facts.test_classes) == (40, 20, {"bad": 10, "good": 10})


def test_pooling_counts_both_files_together(tmp_path: Path) -> None:
    spec = DataSpec("file:data.csv", resplit=True)
    facts = profile(table_of(tmp_path, rows_of(40)), table_of(tmp_path, rows_of(20), name="test.csv"), spec)
    assert (facts.rows, facts.usable, facts.given_test, facts.classes) == (60, 60, None, {"bad": 30, "good": 30})


def test_a_second_file_without_the_columns_is_refused_with_those_it_lacks(tmp_path: Path) -> None:
    test = table_of(tmp_path, rows_of(20), "text,verdict", "test.csv")
    problem = only(problems_of(table_of(tmp_path, rows_of(40)), test))
    assert problem.field == "data.test"
    assert "test.csv lacks the column 'label'; it has text, verdict" in problem.message


def test_a_second_file_without_a_header_is_refused_with_the_line_to_add(tmp_path: Path) -> None:
    rows = rows_of(20)
    test = table_of(tmp_path, rows[1:], ",".join(f'"{cell}"' for cell in rows[0]), "test.csv")
    problem = only(problems_of(table_of(tmp_path, rows_of(40)), test))
    assert "test.csv has no header row" in problem.message
    assert problem.fix.endswith("text,label")


def test_test_labels_that_were_never_learnt_are_refused_with_their_names(tmp_path: Path) -> None:
    test = table_of(tmp_path, rows_of(20, ("good", "awful")), name="test.csv")
    problem = only(problems_of(table_of(tmp_path, rows_of(40)), test))
    assert (problem.field, "awful" in problem.message, "bad, good" in problem.fix) == ("data.test", True, True)


def test_a_second_file_without_usable_rows_is_refused(tmp_path: Path) -> None:
    test = table_of(tmp_path, [(text, "") for text, _ in rows_of(20)], name="test.csv")
    assert "20 without a label" in only(problems_of(table_of(tmp_path, rows_of(40)), test)).message


def test_several_faults_are_told_at_once(tmp_path: Path) -> None:
    test = table_of(tmp_path, rows_of(20, ("good", "awful")), name="test.csv")
    fields = [problem.field for problem in problems_of(table_of(tmp_path, rows_of(10, ("good",))), test, DataSpec("file:x", label="label"))]
    assert fields == ["data.source", "data.label", "data.test"]


def test_scripts_are_told_by_the_share_of_their_letters() -> None:
    assert scripts(["ভালো good"]) == pytest.approx({"Bengali": 0.5, "Latin": 0.5})
    assert scripts(["12 !"]) == {}


REAL = {  # text, label, classes, from shared/data/README.md
    "imdb/imdb_train_5k.csv": ("review", "sentiment", 2),
    "imdb/imdb_test_2k.csv": ("review", "sentiment", 2),
    "bengali/BnSentMix_named.csv": ("text", "label", 4),
    "bengali/sentiment_train.tsv": ("text", "class_label", 3),
    "bengali/sentiment_dev.tsv": ("text", "class_label", 3),
    "bengali/sentiment_test.tsv": ("text", "class_label", 3),
    "other/banking77_train.csv": ("text", "category", 77),
    "other/banking77_test.csv": ("text", "category", 77),
    "messy/spam.csv": ("v2", "v1", 2),
    "messy/ag_news_test.csv": ("column 3", "column 1", 4),
    "messy/BN_data_train.csv": ("text", "class", 3),
    "messy/imdb_ratings_1k.csv": ("review", "sentiment", 2),
}


def real(shared_data: Path, name: str, test: str | None = None) -> DataFacts:
    spec = DataSpec(f"file:{shared_data / name}", f"file:{shared_data / test}" if test else None)
    return profile(*load(spec, home=shared_data), spec)


@pytest.mark.parametrize("name", REAL)
def test_the_columns_of_the_real_files_are_guessed_right(shared_data: Path, name: str) -> None:
    facts = real(shared_data, name)
    assert (facts.text, facts.label, len(facts.classes)) == REAL[name]
    assert facts.usable == facts.rows


def test_a_real_file_of_five_rows_is_refused_for_that_alone(shared_data: Path) -> None:
    table = open_file(shared_data / "messy/banglish_ecommerce_sentiment_v1.csv", LIMIT_BYTES)
    facts, problems = inspect(table, None, SPEC)
    assert (facts.text, facts.label) == ("text", "label")
    assert "5 usable rows" in only(list(problems)).message
