"""What the doctor's buttons do to the spec."""

from __future__ import annotations

import html
import json
import re

from engine.data.doctor import Checkup
from engine.data.finding import Finding, Remedy
from engine.spec import DataSpec, RunSpec
from ui import doctor

REMEDIES = (
    Remedy("Leave them out", ("drop-conflicts",)),
    Remedy("Weigh them", settings={"class_weights": "balanced"}),
    Remedy("Read Aspect beside the text", second="Aspect"),
)


def test_each_button_of_a_finding_makes_its_change_and_no_other() -> None:
    checkup = Checkup((Finding("contradictions", "Contradictions", 2, 2, "They contradict.", remedies=REMEDIES),), ())
    told = [html.unescape(one) for one in re.findall(r'data-pick="([^"]*)"', doctor.card(checkup, {}))]
    spec = RunSpec(DataSpec("sample"), "model")
    made = [doctor.changed(spec, one) for one in told]
    assert [one.data.fixes for one in made] == [("drop-conflicts",), (), ()]
    assert [one.settings for one in made] == [{}, {"class_weights": "balanced"}, {}]
    assert [one.data.second for one in made] == [None, None, "Aspect"]


def test_a_button_that_says_nothing_readable_changes_nothing() -> None:
    spec = RunSpec(DataSpec("sample", second="b"), "model")
    for picked in ("", "[]", "{", json.dumps({"second": 3, "fixes": "x", "settings": []})):
        assert doctor.changed(spec, picked) == spec
