"""People judge some of a run's test rows: which rows, who, what they said; kept beside the run, one file for each person.

    RUN/review/N/sheet.json    rows, questions, people with the secret of each one's link (Sheet)
    RUN/review/N/K.json        what person K said: place of the row -> question -> answer

A link's secret opens that person's answers and the texts of this sheet, and nothing else. Sheets are never changed, only followed by new
ones, so that no answer is ever lost.
"""

from __future__ import annotations

import dataclasses
import hmac
import json
import random
import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from engine import account as accounts
from engine.account import Account
from engine.agreement import Agreement, agreement
from engine.answers import Answer, read
from engine.errors import Problem, Refused
from engine.rating import Rating, rating
from engine.slices import script
from engine.store import Store, write_whole
from engine.tasks import all_tasks

Row = TypeVar("Row")
FEWEST_ROWS, MOST_ROWS = 10, 500
MOST_PEOPLE, LONGEST_NAME = 20, 60
CANNOT_TELL = "cannot tell"
RATINGS = ("1", "2", "3", "4", "5")
QUESTIONS = {
    "label": "Which label fits?",
    "accuracy": "Is the model's answer right? 1: wrong, 5: right",
    "fluency": "Is the text well written? 1: hardly readable, 5: flawless",
    "relevance": "Does the text belong to the task? 1: not at all, 5: entirely",
    "tone": "Is the tone fitting? 1: not at all, 5: entirely",
}
OF_WRITTEN = {  # the same, of what a model wrote and not of what it read
    **QUESTIONS,
    "accuracy": "Is what the model wrote right and complete? 1: wrong, 5: right",
    "fluency": "Is what the model wrote well written? 1: hardly readable, 5: flawless",
    "relevance": "Does it keep to what the model was given? 1: not at all, 5: entirely",
}


@dataclass(frozen=True)
class Asked:
    """One row that is judged."""

    row: int  # 1-based number in its source
    text: str
    label: str  # of the file; where there are no classes, what was wanted
    predicted: str  # or written
    second: str | None = None  # what the model read beside the text
    cut: bool = False  # what was written stops at the limit of new tokens


@dataclass(frozen=True)
class Person:
    name: str
    secret: str  # of the link


@dataclass(frozen=True)
class Sheet:
    """What was asked of whom."""

    run_id: str
    number: int  # of the run's sheets, from 1
    classes: tuple[str, ...]  # none where the run gives none
    questions: tuple[str, ...]  # ids of QUESTIONS
    people: tuple[Person, ...]
    rows: tuple[Asked, ...]
    writes: bool = False  # people rate what the model wrote

    @property
    def shows_answer(self) -> bool:
        """Whether people see what the model said; it would sway those who give a label, so only where they judge that."""
        return self.writes or "accuracy" in self.questions

    def words(self, question: str) -> str:
        return (OF_WRITTEN if self.writes else QUESTIONS)[question]

    def choices(self, question: str) -> tuple[str, ...]:
        return (*self.classes, CANNOT_TELL) if question == "label" else RATINGS


Said = dict[int, dict[str, str]]  # place of the row -> question -> answer


def sample(answers: Sequence[Answer], count: int, *, seed: int = 0) -> tuple[Answer, ...]:
    """So many varied rows in a chance order: one after the other from every kind of row, no text (or pair of texts) twice.

    A kind is what the label is, what the model said, whether it was sure, how long the text is, and its script.
    """
    half = _middle([one.text for one in answers])
    ordered = sorted(answers, key=lambda one: (one.row, one.text))
    return _varied(
        [(_folded(one.text, one.second or ""),
          (one.label, one.predicted, one.confidence > 0.8, len(one.text) > half, script(one.text)), one) for one in ordered],
        count, seed,
    )  # fmt: skip


def sample_written(answers: Sequence[accounts.Sample], count: int, *, seed: int = 0) -> tuple[accounts.Sample, ...]:
    """As `sample`, of a run that gives no classes; no prompt twice.

    A kind is how long the prompt is, how long the answer, its script, how it ended, and whether it is just what was wanted.
    """
    given, made = _middle([one.prompt for one in answers]), _middle([one.written for one in answers])
    ordered = sorted(answers, key=lambda one: (one.number, one.prompt))
    return _varied(
        [(_folded(one.prompt),
          (len(one.prompt) > given, len(one.written) > made, script(one.written), one.ended, one.written == one.wanted), one)
         for one in ordered],
        count, seed,
    )  # fmt: skip


def _middle(texts: Sequence[str]) -> int:
    """The length of the middle one."""
    return sorted(map(len, texts))[len(texts) // 2] if texts else 0


def _folded(*texts: str) -> tuple[str, ...]:
    return tuple(" ".join(one.casefold().split()) for one in texts)


def _varied(told: Sequence[tuple[object, object, Row]], count: int, seed: int) -> tuple[Row, ...]:
    """So many of the rows, one after the other from every kind. `told`: of each what may not come twice, its kind, and the row."""
    dice = random.Random(seed)
    kinds: dict[object, list[Row]] = {}
    seen: set[object] = set()
    for same, kind, row in told:
        if same not in seen:
            seen.add(same)
            kinds.setdefault(kind, []).append(row)
    piles = [dice.sample(pile, len(pile)) for pile in kinds.values()]
    taken: list[Row] = []
    while len(taken) < count and piles:
        dice.shuffle(piles)
        taken += [pile.pop() for pile in piles][: count - len(taken)]
        piles = [pile for pile in piles if pile]
    return tuple(dice.sample(taken, len(taken)))


def writes(account: Account) -> bool:
    """Whether the run that this is the account of writes, and does not say numbers or tags."""
    task = all_tasks().get(account.task)
    return task is None or task.writes is not None


def offered(account: Account | None) -> tuple[str, ...]:
    """What people can be asked about a run: where there are no classes, no label."""
    return tuple(one for one in QUESTIONS if account is None or one != "label")


class Reviews:
    """The sheets of one home's runs. Any thread may ask."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._guard = threading.Lock()

    def make(self, run_id: str, names: Sequence[str], count: int, *, questions: Sequence[str] = ("label",), seed: int = 0) -> Sheet:
        """A new sheet. Raises Refused with everything that is wrong with what is asked, or for a run without answers."""
        names = [" ".join(one.split()) for one in names if one.strip()]
        folder = self._store.folder(run_id)
        account = _account(folder)
        problems = _problems(names, count, questions, offered(account))
        if problems:
            raise Refused(*problems)
        classes: tuple[str, ...] = ()
        if account is None:
            answers = read(folder)
            rows = tuple(Asked(one.row, one.text, one.label, one.predicted, one.second) for one in sample(answers, count, seed=seed))
            classes = tuple(answers[0].probabilities) if answers else ()
        else:
            drawn = sample_written(accounts.texts(folder), count, seed=seed)
            rows = tuple(Asked(one.number, one.prompt, one.wanted, one.written, cut=one.ended == "length") for one in drawn)
        if len(rows) < FEWEST_ROWS:
            raise Refused(_too_few(len(rows), account))
        people = tuple(Person(name, secrets.token_urlsafe(16)) for name in names)
        with self._guard:
            numbers = self._numbers(run_id)
            sheet = Sheet(
                run_id, max(numbers, default=0) + 1, classes, tuple(one for one in QUESTIONS if one in questions), people, rows,
                account is not None and writes(account),
            )  # fmt: skip
            folder = self._folder(sheet)
            folder.mkdir(parents=True)
            write_whole(
                folder / "sheet.json", json.dumps(dataclasses.asdict(sheet), ensure_ascii=False, indent=1).encode("utf-8", "replace")
            )
        return sheet

    def newest(self, run_id: str) -> Sheet | None:
        """The run's newest sheet; None where there is none, or it cannot be read. Raises Refused for no run."""
        return next((sheet for number in reversed(self._numbers(run_id)) if (sheet := self._read(run_id, number))), None)

    def of_link(self, run_id: str, number: int, secret: str) -> tuple[Sheet, int]:
        """The sheet and the place of the person whom this link was given to. Raises Refused for any other."""
        sheet = self._read(run_id, number)
        for place, person in enumerate(sheet.people if sheet else ()):
            if sheet is not None and hmac.compare_digest(person.secret.encode(), secret.encode()):
                return sheet, place
        raise Refused(Problem("review", "This link leads to no review.", "Ask for a new one; the run may have been deleted."))

    def said(self, sheet: Sheet, place: int) -> Said:
        """What this person has said so far. Answers that the sheet does not know are passed over."""
        try:
            told = json.loads((self._folder(sheet) / f"{place}.json").read_text("utf-8"))
            return {int(row): {str(name): str(answer) for name, answer in each.items()} for row, each in told.items() if each}
        except (OSError, ValueError, AttributeError):
            return {}

    def say(self, sheet: Sheet, place: int, row: int, question: str, answer: str | None) -> None:
        """Keeps an answer; None takes it back. Raises Refused for what the sheet does not ask."""
        known = 0 <= row < len(sheet.rows) and question in sheet.questions and (answer is None or answer in sheet.choices(question))
        if not known:
            raise Refused(Problem("review", "This was not asked.", "Load the page again."))
        with self._guard:
            told = self.said(sheet, place)
            each = {**told.get(row, {}), question: answer}
            told[row] = {name: value for name, value in each.items() if value is not None}
            write_whole(self._folder(sheet) / f"{place}.json", json.dumps(told, ensure_ascii=False).encode("utf-8", "replace"))

    def _numbers(self, run_id: str) -> list[int]:
        return sorted(int(one.name) for one in (self._store.folder(run_id) / "review").glob("*") if one.name.isdecimal())

    def _folder(self, sheet: Sheet) -> Path:
        return self._store.folder(sheet.run_id) / "review" / str(sheet.number)

    def _read(self, run_id: str, number: int) -> Sheet | None:
        try:
            told = json.loads((self._store.folder(run_id) / "review" / str(int(number)) / "sheet.json").read_text("utf-8"))
            return Sheet(
                run_id, number, tuple(told["classes"]), tuple(told["questions"]),
                tuple(Person(**one) for one in told["people"]), tuple(Asked(**one) for one in told["rows"]),
                bool(told.get("writes")),
            )  # fmt: skip
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _account(folder: Path) -> Account | None:
    """Of a run that gives no classes; None for another."""
    try:
        return accounts.from_json((folder / accounts.FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return None


def _too_few(rows: int, account: Account | None) -> Problem:
    if account is None or not writes(account):
        return Problem("run", "This run has too few answers to test rows for people to judge.", "Judge a run with more test rows.")
    return Problem(
        "run", f"This run wrote {rows} different answers in its test, too few for people to judge.",
        f"Set “Rows written in the test” to {FEWEST_ROWS} or more, 100 to 200 are usual, and train again.",
    )  # fmt: skip


def _problems(names: Sequence[str], count: int, questions: Sequence[str], known: Sequence[str]) -> list[Problem]:
    found = []
    if not names:
        found.append(Problem("review.people", "Nobody is named.", "Write the names of those who shall judge, one a line."))
    if len(names) > MOST_PEOPLE or any(len(one) > LONGEST_NAME for one in names):
        found.append(Problem("review.people", f"At most {MOST_PEOPLE} people, of {LONGEST_NAME} letters each.", "Name fewer, or shorter."))
    if len({one.casefold() for one in names}) < len(names):
        found.append(Problem("review.people", "A name stands there twice.", "Tell them apart."))
    if not FEWEST_ROWS <= count <= MOST_ROWS:
        found.append(
            Problem("review.rows", f"{count} rows were asked for.", f"Between {FEWEST_ROWS} and {MOST_ROWS}; 100 to 200 are usual.")
        )
    if not questions or not set(questions) <= set(known):
        found.append(Problem("review.questions", "No question is asked, or one that is not known.", f"Choose among {', '.join(known)}."))
    return found


# What they said


@dataclass(frozen=True)
class Beside:
    """A person beside the file's labels and the model, on the rows that the person gave a label."""

    name: str
    done: int  # rows with every question answered
    judged: int  # rows with a label
    like_file: int
    like_model: int


@dataclass(frozen=True)
class Outcome:
    """A sheet's answers so far."""

    people: tuple[Beside, ...]
    agreements: tuple[tuple[str, Agreement], ...]  # by question; none for one person
    model: Agreement | None  # the model beside the label that most people gave
    disputed: tuple[tuple[Asked, tuple[str | None, ...]], ...]  # rows whose label the people give differently
    ratings: tuple[tuple[str, Rating], ...] = ()  # by question of 1 to 5


def outcome(sheet: Sheet, said: Sequence[Said]) -> Outcome:
    """What comes of the answers. `said`: of each person, in the sheet's order."""
    people = tuple(_beside(sheet, person.name, told) for person, told in zip(sheet.people, said, strict=True))
    busy = [told for told in said if told]
    answers = {question: [_column(sheet, told, question) for told in busy] for question in sheet.questions}
    agreements = tuple(
        (question, agreement(columns, scale=None if question == "label" else sheet.choices(question)))
        for question, columns in answers.items()
        if len(columns) > 1
    )
    labels = answers.get("label", [])
    by_row = list(zip(*labels, strict=True)) if labels else []
    most = [_most(row) for row in by_row]
    model = agreement([[one.predicted for one in sheet.rows], most]) if most else None
    disputed = tuple((asked, row) for asked, row in zip(sheet.rows, by_row, strict=bool(by_row)) if len({one for one in row if one}) > 1)
    rated = ((question, [_column(sheet, told, question) for told in said]) for question in sheet.questions if question != "label")
    return Outcome(people, agreements, model, disputed, tuple((question, rating(columns)) for question, columns in rated))


def _beside(sheet: Sheet, name: str, told: Said) -> Beside:
    labels = {row: each["label"] for row, each in told.items() if "label" in each and row < len(sheet.rows)}
    return Beside(
        name,
        sum(set(sheet.questions) <= set(each) for each in told.values()),
        len(labels),
        sum(label == sheet.rows[row].label for row, label in labels.items()),
        sum(label == sheet.rows[row].predicted for row, label in labels.items()),
    )


def _column(sheet: Sheet, told: Said, question: str) -> list[str | None]:
    return [told.get(row, {}).get(question) for row in range(len(sheet.rows))]


def _most(row: Sequence[str | None]) -> str | None:
    """The label that most gave; None where there is none, or two as many."""
    given = [one for one in row if one is not None and one != CANNOT_TELL]
    ranked = sorted(set(given), key=given.count, reverse=True)
    if not ranked or (len(ranked) > 1 and given.count(ranked[0]) == given.count(ranked[1])):
        return None
    return ranked[0]


def table(sheet: Sheet, said: Sequence[Said]) -> list[dict[str, Any]]:
    """Each row with everybody's answers, for export."""
    lines = []
    for place, asked in enumerate(sheet.rows):
        line: dict[str, Any] = dataclasses.asdict(asked)
        if all(one.second is None for one in sheet.rows):
            del line["second"]
        if not sheet.writes:
            del line["cut"]
        if not sheet.classes:
            line = {{"label": "wanted", "predicted": "written"}.get(name, name): value for name, value in line.items()}
        for person, told in zip(sheet.people, said, strict=True):
            line |= {f"{person.name}: {question}": told.get(place, {}).get(question) for question in sheet.questions}
        lines.append(line)
    return lines
