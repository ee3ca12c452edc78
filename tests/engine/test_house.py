"""The house stands as it was drawn: who may import whom, and a page's process without torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENGINE = ROOT / "engine"
# Each may import only from those before it, also inside functions. A folder counts as one.
ORDER = (
    "errors", "fix", "knobs", "events", "spec", "store", "limits", "hardware", "held",
    "shapes", "encoder_decoders", "pooling", "families", "wordpieces", "conversion", "gguf_header", "gguf_conversion", "packaged", "hub",
    "model_files", "data", "intake", "models",
    "methods", "baselines", "scoring", "resampling", "redrawn", "text_words", "text_metrics", "likeness", "decoding",
    "generation", "conversation",
    "enough", "verdict", "evaluate", "told", "number_metrics", "number_baselines", "tag_metrics", "tag_baselines",
    "chat", "tasks", "catalog",
    "memory", "published", "speed", "letters", "augment", "asked", "deciding", "rules", "checks", "plan", "repair", "fitting", "measured",
    "tokens", "checkpoint", "calibration", "answers", "mislabelled", "slices", "account", "agreement", "rating", "reviews",
    "occlusion", "again", "suspecting", "features", "patience", "train", "trained", "accounting", "judging", "loading",
    "asking", "markdown", "written_card",
    "card", "merge", "export", "opening", "resources", "measure",
    "worker", "side_process", "predict", "playground", "obituary", "processes", "supervisor", "measuring",
    "uploads", "taking_in", "facts", "made_examples", "reading", "writers", "shelf", "playing",
    "coach", "edge_cases", "probed", "timing", "untuned", "judged", "probe", "probing",
    "comparison", "criterion", "ranking", "varied", "findings", "study", "study_run", "study_advice", "study_result", "studies",
    "drawing", "study_report", "document", "token_fit", "explorer", "reasons",
    "rows_shown", "guide",
    "studio", "interrupts", "compare_command", "fit_command", "inspect_command", "judge_command", "write_command",
    "readiness", "gathered", "report", "account_report", "reported", "report_command", "spec_options", "train_command",
    "listing", "__main__",
)  # fmt: skip
FORBIDDEN = {"ui", "app", "gradio", "plotly"}
HEAVY = {"torch", "transformers", "peft", "accelerate", "sklearn", "datasets"}
FILES = sorted(path for path in ENGINE.rglob("*.py") if path != ENGINE / "__init__.py")


def _unit(path: Path) -> str:
    return path.relative_to(ENGINE).with_suffix("").parts[0]


def _imports(tree: ast.AST) -> list[str]:
    """Every module that is imported below this node, "engine.store" for `from engine import store` too."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [one.name for one in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found += [f"engine.{one.name}" for one in node.names] if node.module == "engine" else [node.module]
    return found


def _at_import_time(tree: ast.Module) -> list[str]:
    """What is imported when the file itself is: not in functions, not for types alone."""
    found = []
    for node in tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom, ast.Try)):
            found += _imports(node)
    return found


def test_every_file_of_the_engine_has_its_place_in_the_order() -> None:
    assert {_unit(path) for path in FILES} == set(ORDER)
    assert len(ORDER) == len(set(ORDER))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ENGINE)))
def test_a_file_imports_only_from_those_above_it_and_never_the_page(path: Path) -> None:
    own = ORDER.index(_unit(path))
    for name in _imports(ast.parse(path.read_text("utf-8"))):
        assert name.split(".")[0] not in FORBIDDEN, name
        if name.startswith("engine."):
            unit = name.split(".")[1]
            assert unit in ORDER[: own + 1], f"{path.name} imports {name}, which stands below it"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ENGINE)))
def test_no_file_imports_a_heavy_library_before_it_is_needed(path: Path) -> None:
    heavy = {name.split(".")[0] for name in _at_import_time(ast.parse(path.read_text("utf-8")))} & HEAVY
    assert not heavy


@pytest.mark.parametrize(
    "module",
    ["engine.studio", "engine.__main__", "engine.supervisor", "engine.plan", "engine.predict", "engine.playground", "engine.export"],
)
def test_the_page_s_side_comes_without_torch(module: str) -> None:
    told = f"import sys, {module}; print(sorted(set(sys.modules) & {HEAVY | {'gradio', 'plotly'}!r}))"
    done = subprocess.run([sys.executable, "-c", told], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_there_is_one_border_where_any_exception_is_caught_in_each_process() -> None:
    """`except Exception` stands in the worker, in the prediction server and in the page's handlers; elsewhere the caught are named.

    wordpieces.py calls a library that raises bare Exception for a damaged file.
    """
    broad = {
        str(path.relative_to(ROOT))
        for path in [*FILES, *(ROOT / "ui").rglob("*.py")]
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ExceptHandler) and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException"))
    }
    assert broad <= {
        "engine/worker.py",
        "engine/predict.py",
        "engine/playing.py",
        "engine/merge.py",
        "engine/measure.py",
        "engine/probe.py",
        "engine/intake.py",
        "engine/wordpieces.py",
        "ui/border.py",
    }


def test_the_tests_of_a_file_stay_together_where_processes_share_them(request: pytest.FixtureRequest) -> None:
    """What shares a fixture that takes seconds must not be dealt out to both; pytest 9.2 with pytest-xdist 3.8 did so unasked."""
    if not getattr(request.config.option, "loadgroup", False):
        pytest.skip("only where pytest runs with --dist loadgroup, as in .ci/run")
    assert request.node.nodeid.endswith("@tests/engine/test_house.py")
