"""Try's two processes, with a toy model on the other side: quick to load, and able to hang, break off and be killed on demand."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from engine.errors import Refused
from engine.predict import Prediction, Predictor
from engine.store import Store
from engine.trained import open_trained
from tests.finished import CLASSES, finished_run
from tests.tiny import tiny

ROOT = Path(__file__).parents[2]

# The real other side (`main`, `serve`), with a toy in place of the model: its third class is the number of its process, its
# fourth the token it was given. Texts starting with ! make it do what they say.
TOY = """
import os, signal, sys
from pathlib import Path
from engine import predict

def answer(text):
    command, _, rest = text.partition(" ")
    if command == "!noise":
        print("a library that prints", flush=True)
    elif command == "!raise":
        raise ValueError(rest)
    elif command == "!exit":
        print(rest, file=sys.stderr, flush=True)
        os._exit(3)
    elif command == "!kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif command == "!hang":
        if rest:
            open(rest, "w").close()  # waits until the test has opened the other end
        signal.pause()
    good = min(1.0, len(text) / 1000) if command != "!noise" else 1.0
    return [1 - good, good, 0.0, 0.0]

def load(run_folder, home):
    if (run_folder / "broken").exists():
        from engine.errors import Problem, Refused
        raise Refused(Problem("run", "This run has no trained model.", "Train it."), Problem("run", "And another thing."))
    if (run_folder / "slow").exists():
        signal.pause()
    return ["bad", "good", str(os.getpid()), os.environ.get("HF_TOKEN", "no token")], lambda texts: [answer(text) for text in texts]

predict.load_model = load
sys.exit(predict.main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])))
"""


def toy(idle_seconds: float = 60) -> Callable[[Path, Path], list[str]]:
    return lambda run_folder, home: [sys.executable, "-c", TOY, str(run_folder), str(home), str(idle_seconds)]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "run-one").mkdir()
    return tmp_path / "run-one"


@pytest.fixture
def predictor(tmp_path: Path) -> Iterator[Predictor]:
    made = Predictor(tmp_path, command=toy(), load_seconds=30, answer_seconds=30)
    yield made
    made.close()


def process_of(prediction: Prediction) -> int:
    return int(list(prediction.probabilities)[2])


def wait_for_the_end(process: int) -> None:
    try:
        psutil.Process(process).wait(timeout=20)
    except psutil.NoSuchProcess:
        return


def test_a_text_gets_its_label_and_the_probability_of_every_class(predictor: Predictor, run: Path) -> None:
    short, long = predictor.ask(run, ["x" * 100, "x" * 900])
    assert (short.label, long.label) == ("bad", "good")
    assert list(short.probabilities)[:2] == ["bad", "good"]
    assert short.confidence == pytest.approx(0.9)
    assert 0 < short.milliseconds < 1000


def test_the_next_text_is_answered_by_the_same_process(predictor: Predictor, run: Path) -> None:
    assert process_of(predictor.ask(run, ["a"])[0]) == process_of(predictor.ask(run, ["b"])[0])


def test_line_separators_and_quotes_within_a_text_come_through(predictor: Predictor, run: Path) -> None:
    text = 'ভালো\u2028"\u0085\n\r\x1c\\' + "x" * 490
    assert predictor.ask(run, [text])[0].probabilities["good"] == pytest.approx(len(text) / 1000)


def test_what_a_library_prints_stands_among_no_answers(predictor: Predictor, run: Path) -> None:
    assert predictor.ask(run, ["!noise"])[0].label == "good"


def test_another_runs_model_takes_the_place_of_the_first(predictor: Predictor, run: Path, tmp_path: Path) -> None:
    first = process_of(predictor.ask(run, ["a"])[0])
    (tmp_path / "run-two").mkdir()
    assert process_of(predictor.ask(tmp_path / "run-two", ["a"])[0]) != first
    assert not psutil.pid_exists(first)


def test_a_model_that_was_written_anew_is_loaded_anew(predictor: Predictor, run: Path) -> None:
    first = process_of(predictor.ask(run, ["a"])[0])
    (run / "model").mkdir()
    assert process_of(predictor.ask(run, ["a"])[0]) != first


def test_releasing_a_run_ends_the_process_of_its_model_and_no_other(predictor: Predictor, run: Path, tmp_path: Path) -> None:
    first = process_of(predictor.ask(run, ["a"])[0])
    predictor.release(tmp_path / "run-two")
    assert predictor.processes() == [first]
    predictor.release(run)
    assert not psutil.pid_exists(first)
    assert predictor.processes() == []
    assert predictor.ask(run, ["a"])[0].label == "bad"


def test_the_process_ends_when_idle_and_comes_back_when_asked(run: Path, tmp_path: Path) -> None:
    predictor = Predictor(tmp_path, command=toy(idle_seconds=0.05))
    first = process_of(predictor.ask(run, ["a"])[0])
    wait_for_the_end(first)
    assert process_of(predictor.ask(run, ["a"])[0]) != first
    predictor.close()


def test_a_process_that_was_killed_between_two_texts_is_started_again(predictor: Predictor, run: Path) -> None:
    first = process_of(predictor.ask(run, ["a"])[0])
    os.kill(first, signal.SIGKILL)
    wait_for_the_end(first)
    assert predictor.ask(run, ["a"])[0].label == "bad"


def test_a_process_killed_in_the_middle_is_told_as_want_of_memory(predictor: Predictor, run: Path) -> None:
    with pytest.raises(Refused, match="want of memory"):
        predictor.ask(run, ["!kill"])
    assert predictor.ask(run, ["a"])[0].label == "bad"


def test_a_process_that_breaks_off_is_told_with_its_last_words_and_no_token(predictor: Predictor, run: Path) -> None:
    with pytest.raises(Refused, match=r"broke off \(code 3\)\. no room for ••••") as refused:
        predictor.ask(run, ["!exit no room for hf_abcdefghijk"])
    assert "hf_abc" not in str(refused.value)


def test_a_text_that_cannot_be_answered_leaves_the_process_alive(predictor: Predictor, run: Path) -> None:
    first = process_of(predictor.ask(run, ["a"])[0])
    with pytest.raises(Refused, match="ValueError: too odd") as refused:
        predictor.ask(run, ["!raise too odd"])
    assert refused.value.problems[0].field == "try"
    assert process_of(predictor.ask(run, ["a"])[0]) == first


def test_a_model_that_does_not_load_is_told_in_words_and_tried_again(predictor: Predictor, run: Path) -> None:
    (run / "broken").touch()
    with pytest.raises(Refused) as refused:
        predictor.ask(run, ["a"])
    assert [one.message for one in refused.value.problems] == ["This run has no trained model.", "And another thing."]
    (run / "broken").unlink()
    assert predictor.ask(run, ["a"])[0].label == "bad"


def test_a_process_that_does_not_start_is_told(run: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('there is no such thing')"]
    with pytest.raises(Refused, match=r"broke off .*there is no such thing"):
        Predictor(tmp_path, command=lambda *_: command).ask(run, ["a"])


def test_an_answer_that_takes_too_long_is_given_up(run: Path, tmp_path: Path) -> None:
    predictor = Predictor(tmp_path, command=toy(), answer_seconds=0.3)
    first = process_of(predictor.ask(run, ["a"])[0])
    with pytest.raises(Refused, match="did not answer within"):
        predictor.ask(run, ["!hang"])
    assert not psutil.pid_exists(first)
    predictor.close()


def test_a_model_that_takes_too_long_to_load_is_given_up(run: Path, tmp_path: Path) -> None:
    (run / "slow").touch()
    with pytest.raises(Refused, match="did not load within"):
        Predictor(tmp_path, command=toy(), load_seconds=0.3).ask(run, ["a"])


def test_closing_ends_the_process_in_the_middle_of_a_question(predictor: Predictor, run: Path, tmp_path: Path) -> None:
    process = process_of(predictor.ask(run, ["a"])[0])
    os.mkfifo(tmp_path / "reached")
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(predictor.ask, run, [f"!hang {tmp_path / 'reached'}"])
        (tmp_path / "reached").read_bytes()  # returns once the toy is at work on the question
        predictor.close()
        with pytest.raises(Refused, match="put away"):
            asked.result(timeout=20)
    assert not psutil.pid_exists(process)
    with pytest.raises(Refused, match="closing"):
        predictor.ask(run, ["a"])


def test_many_threads_get_each_their_own_answer(predictor: Predictor, run: Path) -> None:
    together = threading.Barrier(8)

    def ask(number: int) -> None:
        together.wait(timeout=20)
        for length in range(100 * number, 100 * number + 10):
            (prediction,) = predictor.ask(run, ["x" * length])
            assert prediction.probabilities["good"] == pytest.approx(length / 1000)

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(ask, number) for number in range(1, 9)]:
            done.result(timeout=60)


def test_blank_long_and_too_many_texts_are_refused_before_anything_starts(run: Path, tmp_path: Path) -> None:
    def never(*_: Path) -> list[str]:
        raise AssertionError("nothing should start")

    predictor = Predictor(tmp_path, command=never)
    for texts, words in (([], "no text"), ([" \n"], "is blank"), (["a", ""], "Text 2 is blank"), (["x"] * 1001, "1,001 texts")):
        with pytest.raises(Refused, match=words):
            predictor.ask(run, texts)
    with pytest.raises(Refused, match="100,001 characters") as refused:
        predictor.ask(run, ["", "x" * 100_001])
    assert len(refused.value.problems) == 2


def test_a_large_request_does_not_jam_the_pipe(predictor: Predictor, run: Path) -> None:
    assert len(predictor.ask(run, ["x" * 5000] * 1000)) == 1000


def test_the_process_is_given_no_token(predictor: Predictor, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secretsecret")
    assert list(predictor.ask(run, ["a"])[0].probabilities)[3] == "no token"


def test_the_process_ends_with_an_app_that_is_killed(run: Path, tmp_path: Path) -> None:
    app = f"""
import sys
from pathlib import Path
from engine.predict import Predictor
toy = {TOY!r}
predictor = Predictor(Path({str(tmp_path)!r}), command=lambda run, home: [sys.executable, "-c", toy, str(run), str(home), "600"])
print(list(predictor.ask(Path({str(run)!r}), ["a"])[0].probabilities)[2], flush=True)
sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", app], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as running:
        assert running.stdout is not None
        process = psutil.Process(int(running.stdout.readline()))
        running.kill()
        process.wait(timeout=20)


def test_a_real_model_answers_as_it_does_in_the_worker(tmp_path: Path) -> None:
    home = tmp_path / "home"
    run_id = finished_run(home, str(tiny("bert", tmp_path / "base")))
    folder = Store(home).folder(run_id)
    texts = ["A good<br />film", "একদম বাজে পণ্য"]
    expected = open_trained(folder / "model", home=home).probabilities(texts)
    predictor = Predictor(home)
    told = predictor.ask(folder, texts)
    predictor.close()
    assert [list(one.probabilities) for one in told] == [list(CLASSES)] * 2
    assert [list(one.probabilities.values()) for one in told] == [pytest.approx(row.tolist(), abs=1e-5) for row in expected]


def test_a_run_without_a_model_is_told_in_words(run: Path, tmp_path: Path) -> None:
    predictor = Predictor(tmp_path)
    with pytest.raises(Refused, match="no trained model"):
        predictor.ask(run, ["a"])
    predictor.close()


def test_the_pages_side_loads_no_torch() -> None:
    check = "import sys, engine.predict; sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'peft', 'numpy')))"
    assert subprocess.run([sys.executable, "-c", check], cwd=ROOT, check=False).returncode == 0
