"""The page's process and its server: what it loads, what it serves, whom it lets in."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import ROOT, Served, serving
from tests.ui import homes

LOOK_AROUND = """
import json, sys, time
from pathlib import Path
import app, os
app.silence(os.environ)
from engine.studio import Studio
from ui import shell
from ui.tabs import runs_events, train, train_events, try_
home, run_id = Path(sys.argv[1]), sys.argv[2]
studio = Studio(home, dispatch=False)
studio.facts.measure = lambda wait: None  # it would measure in a process of its own
page = shell.build(studio, home / "page")
shell.launch_options(studio)
with page:
    place = train.build(studio)
values = [place.fields[name].value for name in place.fields] + [field.value for field in place.knobs.values()]
names = [*place.fields]
order = [values[names.index(name)] for name in train.FIELDS] + values[len(names):]
drawn = train_events.on_change(studio, place, "", *order)
start = drawn[train_events.outputs(place).index(place.start)]
assert start["value"] == "Start training", start
assert len(drawn) == len(train_events.outputs(place))
runs_events.on_news(studio, run_id)
runs_events.on_judged(studio, run_id)
try_.on_open(studio, run_id, None)
shell.on_load(studio)
studio.close()
print(json.dumps(sorted(name for name in ("torch", "transformers", "peft", "sklearn", "datasets", "plotly") if name in sys.modules)))
"""


def test_the_pages_process_loads_neither_torch_nor_what_training_needs(home: Path) -> None:
    run_id = homes.finished(home, time.time())
    told = subprocess.run([sys.executable, "-c", LOOK_AROUND, str(home), run_id], cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout.splitlines()[-1]) == []


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("home")
    homes.finished(home, time.time())
    (home / "uploads" / "ab").mkdir(parents=True)
    (home / "uploads" / "ab" / "mine.csv").write_text("text,label\nprivate words,1\n")
    with serving(home) as served:
        yield served


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, answer.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode("utf-8", "replace")


def test_no_file_of_the_home_is_served(app: Served) -> None:
    files = [path for path in app.home.rglob("*") if path.is_file()]
    assert len(files) >= 5
    for path in [*files, ROOT / "app.py"]:
        status, text = get(f"{app.url}gradio_api/file={urllib.parse.quote(str(path))}")
        assert status in (403, 404), path
        assert "private words" not in text


def test_the_app_starts_without_a_word_of_warning(app: Served) -> None:
    assert [line for line in app.said if "warn" in line.lower()] == []


def test_the_page_names_no_other_host_to_load_from(app: Served) -> None:
    status, text = get(app.url)
    assert status == 200
    loaded = re.findall(r"""<(?:link|script|img)\b[^>]*(?:href|src)=["'](https?://[^"']+)""", text)
    assert [url for url in loaded if not url.startswith(app.url)] == []
    assert "fonts.googleapis.com" not in text


def test_handlers_are_not_offered_as_an_interface_for_programs(app: Served) -> None:
    _, text = get(f"{app.url}gradio_api/info")
    assert json.loads(text)["named_endpoints"] == {}


def test_a_page_that_others_can_reach_asks_for_the_password_that_was_printed(tmp_path: Path) -> None:
    with serving(tmp_path, "--host", "0.0.0.0", fresh=True) as served:
        assert served.process.stdout
        line = served.process.stdout.readline()
        user, password = re.findall(r"user (\S+), password (\S+)", line)[0]
        assert get(f"{served.url}config")[0] == 401
        body = urllib.parse.urlencode({"username": user, "password": password}).encode()
        with urllib.request.urlopen(f"{served.url}login", body, timeout=30) as answer:
            assert json.load(answer)["success"] is True


def test_the_owner_of_a_space_finds_name_and_password_in_its_log(tmp_path: Path) -> None:
    with serving(tmp_path, "--host", "127.0.0.1", SPACE_ID="ana/shur") as served:
        assert served.process.stdout
        assert re.search(r"user shur, password \S{16}", served.process.stdout.readline())
        assert get(f"{served.url}config")[0] == 401


def test_ending_the_app_leaves_nothing_of_the_page_behind(tmp_path: Path) -> None:
    with serving(tmp_path / "home", TMPDIR=str(tmp_path)) as served:
        assert list(tmp_path.glob("shur-page-*"))
    assert served.process.wait(30) == 0
    assert list(tmp_path.glob("shur-page-*")) == []
