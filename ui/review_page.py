"""The page of one who judges rows: one row at a time, by keyboard alone if one likes, every answer kept at once.

It is no Gradio page: whoever has its link needs no password, and its link leads to nothing else. Nothing is fetched from elsewhere.
"""

from __future__ import annotations

import json
import secrets
from html import escape
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from engine.errors import Refused
from engine.reviews import Reviews, Said, Sheet

if TYPE_CHECKING:
    from starlette.routing import Router

PATH = "/review/{run_id}/{number:int}/{secret}"
MOST_BYTES = 2000  # of an answer
HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"}


def link(sheet: Sheet, place: int) -> str:
    """The link of this person, relative to the app's own page."""
    return f"review/{sheet.run_id}/{sheet.number}/{sheet.people[place].secret}"


def add(router: Router, reviews: Reviews) -> None:
    """Lets the app answer such links, before anything else that it answers."""

    async def show(request: Request) -> Response:
        try:
            sheet, place = await run_in_threadpool(reviews.of_link, **_asked(request))
        except Refused as refused:
            return HTMLResponse(_document("", "".join(f"<p>{escape(str(one))}</p>" for one in refused.problems), "", ""), 404, HEADERS)
        said = await run_in_threadpool(reviews.said, sheet, place)
        nonce = secrets.token_urlsafe(12)
        only = f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; base-uri 'none'"
        return HTMLResponse(page(sheet, place, said, nonce), headers={**HEADERS, "Content-Security-Policy": only})

    async def keep(request: Request) -> Response:
        body = await request.body() if int(request.headers.get("content-length") or MOST_BYTES + 1) <= MOST_BYTES else b""
        try:
            told = json.loads(body)
            row, question, answer = int(told["row"]), str(told["question"]), told["answer"]
            sheet, place = await run_in_threadpool(reviews.of_link, **_asked(request))
            await run_in_threadpool(reviews.say, sheet, place, row, question, None if answer is None else str(answer))
        except Refused as refused:
            return JSONResponse({"problem": " ".join(map(str, refused.problems))}, 404, HEADERS)
        except (ValueError, KeyError, TypeError):
            return JSONResponse({"problem": "This is no answer."}, 400, HEADERS)
        return JSONResponse({"kept": True}, headers=HEADERS)

    router.routes[:0] = [Route(PATH, show, methods=["GET"]), Route(PATH, keep, methods=["POST"])]


def _asked(request: Request) -> dict[str, Any]:
    return {name: request.path_params[name] for name in ("run_id", "number", "secret")}


def page(sheet: Sheet, place: int, said: Said, nonce: str) -> str:
    """The whole page, with the rows and what this person has said so far."""
    rows = [
        {
            "text": one.text,
            **({} if one.second is None else {"second": one.second}),
            **(
                {"written": one.predicted, "wanted": one.label, "cut": one.cut}
                if sheet.writes
                else {"predicted": one.predicted}
                if sheet.shows_answer
                else {}
            ),
        }
        for one in sheet.rows
    ]
    questions = [{"id": one, "words": sheet.words(one), "choices": sheet.choices(one)} for one in sheet.questions]
    told = {"rows": rows, "questions": questions, "said": said}
    held = json.dumps(told, ensure_ascii=True).replace("<", "\\u003c")
    return _document(sheet.people[place].name, BODY, f'<script nonce="{nonce}" type="application/json" id="told">{held}</script>', nonce)


def _document(name: str, body: str, held: str, nonce: str) -> str:
    who = f'<p class="soft">Answers of {escape(name)}</p>' if name else ""
    script = f'<script nonce="{nonce}">{SCRIPT}</script>' if held else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>Review · Shur</title><style nonce="{nonce}">{STYLE}</style></head>'
        f"<body><main><header><b>Shur</b>{who}</header>{body}</main>{held}{script}</body></html>\n"
    )


BODY = """<progress id="progress" max="1" value="0" aria-label="Rows judged"></progress>
<p class="soft" id="count" role="status"></p>
<p class="soft" id="given" hidden>What the model was given</p>
<article id="text" tabindex="-1"></article><article id="second" hidden></article><p id="predicted" hidden></p>
<section id="writing" hidden><p class="soft">What the model wrote</p><article id="written" tabindex="0"></article>
<p class="soft" id="cut">It stops here because no more tokens were allowed in the test.</p>
<details id="wanted"><summary>What was wanted <kbd>w</kbd></summary><p id="right"></p></details></section>
<div id="questions"></div>
<nav><button type="button" id="back">← Back</button><button type="button" id="next">Next →</button>
<button type="button" id="undo">Take back <kbd>u</kbd></button></nav>
<p class="soft">Keys: those on the buttons answer, ← and → go back and on, u takes the last answer back. Every answer is kept at once;
close the page whenever you like, and go on from the same link.</p>
<p id="problem" role="alert"></p>"""

STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #56616f; --line: #d5dbe2; --ground: #fff; --mine: #0b5fa5; --on: #fff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ecf1; --soft: #a7b1bf; --line: #39424f; --ground: #12161c; --mine: #8cc4f5;
  --on: #12161c; } }
body { margin: 0; color: var(--ink); background: var(--ground); font: 16px/1.5 system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial,
  'Noto Sans Bengali', 'Nirmala UI', 'Kohinoor Bangla', sans-serif; }
main { max-width: 720px; margin: 0 auto; padding: 16px; } header { display: flex; gap: 16px; align-items: baseline; }
.soft { color: var(--soft); font-size: 14px; margin: 4px 0; } progress { width: 100%; accent-color: var(--mine); }
article { font-size: 21px; line-height: 1.6; min-height: 144px; max-height: 45vh; overflow: auto; white-space: pre-wrap;
  overflow-wrap: anywhere; padding: 16px; margin: 12px 0; border: 1px solid var(--line); border-radius: 8px; }
article[hidden] { display: none; } #text:focus { outline: none; }
#writing article, .given { min-height: 32px; } #right { white-space: pre-wrap; overflow-wrap: anywhere; }
summary { cursor: pointer; padding: 9px 0; } :is(summary, article):focus-visible { outline: 3px solid var(--mine); outline-offset: 2px; }
fieldset { border: 0; padding: 0; margin: 16px 0; } legend { font-weight: 650; padding: 0 0 8px; }
button { font: inherit; color: inherit; background: none; border: 1px solid var(--line); border-radius: 8px; padding: 9px 14px;
  margin: 0 8px 8px 0; min-height: 44px; cursor: pointer; overflow-wrap: anywhere; }
button[aria-pressed=true] { background: var(--mine); border-color: var(--mine); color: var(--on); }
button:disabled { opacity: .45; cursor: default; }
button:focus-visible { outline: 3px solid var(--mine); outline-offset: 2px; }
kbd { font: 12px ui-monospace, monospace; border: 1px solid currentColor; border-radius: 4px; padding: 0 5px; margin-left: 6px; }
#problem { color: #b3261e; } @media (prefers-color-scheme: dark) { #problem { color: #f2b8b5; } }
"""

SCRIPT = """
'use strict';
const told = JSON.parse(document.getElementById('told').textContent);
const {rows, questions, said} = told, KEYS = '123456789' + '0qwertyiopasdfghjklzxcvbnm', done = [];
const by = id => document.getElementById(id);
const whole = row => questions.every(one => said[row] && said[row][one.id] !== undefined);
let at = rows.findIndex((_, row) => !whole(row));
if (at < 0) at = rows.length - 1;
const open = row => Math.max(0, questions.findIndex(one => !(said[row] && said[row][one.id] !== undefined)));
const made = (name, words) => { const one = document.createElement(name); one.textContent = words; return one; };

function draw() {
  const count = rows.filter((_, row) => whole(row)).length;
  by('progress').value = count / rows.length;
  const all = count === rows.length;
  by('count').textContent = all ? `All ${rows.length} rows are judged. Thank you.` : `Row ${at + 1} of ${rows.length}; ${count} judged`;
  by('text').textContent = rows[at].text;
  by('second').hidden = rows[at].second === undefined;
  by('second').textContent = rows[at].second || '';
  by('predicted').hidden = rows[at].predicted === undefined;
  by('predicted').textContent = `The model says: ${rows[at].predicted}`;
  const writes = rows[at].written !== undefined;
  by('given').hidden = by('writing').hidden = !writes;
  by('text').classList.toggle('given', writes);
  by('written').textContent = rows[at].written || 'Nothing.';
  by('right').textContent = rows[at].wanted || '';
  by('cut').hidden = !rows[at].cut;
  const now = open(at);
  by('questions').replaceChildren(...questions.map((question, place) => {
    const field = made('fieldset', '');
    field.append(made('legend', question.words));
    question.choices.forEach((choice, number) => {
      const button = made('button', choice), mine = said[at] && said[at][question.id] === choice;
      button.type = 'button';
      button.setAttribute('aria-pressed', String(Boolean(mine)));
      if (place === now && KEYS[number]) {
        button.append(made('kbd', KEYS[number]));
        button.setAttribute('aria-keyshortcuts', KEYS[number]);
      }
      button.addEventListener('click', () => {
        const row = at;
        queue(() => answer(row, question, choice));
      });
      field.append(button);
    });
    return field;
  }));
  by('back').disabled = at === 0;
  by('next').disabled = at === rows.length - 1;
  by('undo').disabled = done.length === 0;
}

async function send(row, question, choice) {
  try {
    const kept = await fetch(location.pathname, {method: 'POST', body: JSON.stringify({row, question, answer: choice})});
    if (!kept.ok) throw new Error((await kept.json()).problem);
    by('problem').textContent = '';
    return true;
  } catch (error) {
    by('problem').textContent = `This answer was not kept: ${error.message}. Try again.`;
    return false;
  }
}

let last = Promise.resolve();
const queue = step => { last = last.then(step); };

async function answer(row, question, choice) {
  const before = said[row] ? said[row][question.id] : undefined;
  if (!await send(row, question.id, choice)) return;
  said[row] = {...said[row], [question.id]: choice};
  done.push({row, question, before});
  if (at === row && whole(row) && before === undefined && at < rows.length - 1) go(at + 1); else draw();
}

// Keys may come faster than answers are kept: each answers what is open once those before it are, of the row that was seen, and no other.
function byKey(number) {
  const row = at, over = whole(row);
  queue(() => {
    const question = questions[open(row)];
    if (over === whole(row) && question.choices[number] !== undefined) return answer(row, question, question.choices[number]);
  });
}

async function undo() {
  const one = done.pop();
  if (!one || !await send(one.row, one.question.id, one.before === undefined ? null : one.before)) return;
  if (one.before === undefined) delete said[one.row][one.question.id]; else said[one.row][one.question.id] = one.before;
  go(one.row);
}

function go(row) {
  at = Math.min(rows.length - 1, Math.max(0, row));
  by('wanted').open = false;
  draw();
  by('text').scrollTop = by('written').scrollTop = 0;
  by('text').focus({preventScroll: true});
}

by('back').addEventListener('click', () => go(at - 1));
by('next').addEventListener('click', () => go(at + 1));
by('undo').addEventListener('click', () => queue(undo));
document.addEventListener('keydown', event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === 'ArrowLeft') go(at - 1);
  else if (event.key === 'ArrowRight') go(at + 1);
  else if (event.key === 'u') queue(undo);
  else if (event.key === 'w' && rows[at].written !== undefined) by('wanted').open = !by('wanted').open;
  else {
    const number = event.key.length === 1 ? KEYS.indexOf(event.key) : -1;
    if (number < 0 || !questions.some(one => number < one.choices.length)) return;
    byKey(number);
  }
  event.preventDefault();
});
draw();
"""
