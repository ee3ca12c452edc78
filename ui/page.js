// Which place is shown stands in the address (?place=runs, ?run=ID, ?place=runs&study=ID, ?place=try) and on <html data-place data-run
// data-study>, where theme.css reads it.
// Switching is done here at once; the server only hears of it and fills in what is shown.
(() => {
  const titles = { train: "Train · Shur", runs: "Runs · Shur", try: "Try · Shur" };
  const root = document.documentElement;

  const here = () => {
    const query = new URLSearchParams(location.search);
    const run = query.get("run") || "", study = run ? "" : query.get("study") || "";
    const place = query.get("place") || (run || study ? "runs" : "train");
    return { place: place in titles ? place : "train", run, study };
  };

  const show = ({ place, run, study }) => {
    root.dataset.place = place;
    root.dataset.run = place === "runs" ? run : "";
    root.dataset.study = place === "runs" ? study : "";
    document.title = titles[place];
    document.querySelectorAll("nav.places a").forEach((link) =>
      link.dataset.place === place ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current"));
    window.dispatchEvent(new Event("resize")); // a chart drawn while hidden has no width
  };

  const shur = (window.shur = { tell: null, charts: {} });

  shur.go = (place, run = "", study = "") => {
    const query = new URLSearchParams(location.search);
    ["place", "run", "study"].forEach((name) => query.delete(name));
    if (run) query.set(place === "try" ? "place" : "run", place === "try" ? "try" : run);
    else if (place !== "train") query.set("place", place);
    if (run && place === "try") query.set("run", run);
    if (study && !run) query.set("study", study);
    const text = query.toString();
    history.pushState({}, "", location.pathname + (text ? "?" + text : ""));
    show(here());
    window.scrollTo(0, 0);
    shur.tell?.(here());
  };

  // Called by the header once it stands; `tell` sends the place to the server.
  shur.start = (tell) => {
    shur.tell = tell;
    if (chosen() && !new URLSearchParams(location.search).has("__theme")) document.body.classList.toggle("dark", chosen() === "yes");
    show(here());
    document.addEventListener("click", (event) => {
      const pick = event.target.closest?.("button[data-pick]");
      if (pick) {
        shur.pressed = pick.id;
        if (pick.dataset.as === "mend") pick.setAttribute("aria-busy", "true"); // until the list is drawn anew
        if (pick.dataset.to) document.getElementById(pick.dataset.to)?.scrollIntoView();
        return shur[pick.dataset.as || "pick"]?.(pick.dataset.pick);
      }
      const use = event.target.closest?.("button[data-use]");
      if (use) return shur.use?.(use.dataset.use);
      const picture = event.target.closest?.("button[data-picture]");
      if (picture) return save(picture.dataset.picture);
      const link = event.target.closest?.("a[data-place]");
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
      event.preventDefault();
      shur.go(link.dataset.place, link.dataset.run || "", link.dataset.study || "");
    });
    document.addEventListener("change", (event) => {
      const box = event.target.closest?.(".put-right");
      if (box) return corrected(box);
      const list = event.target.closest?.("select[data-row]");
      if (!list) return;
      was(list);
      shur.relabel?.(JSON.stringify({ row: list.dataset.row, label: Number(list.value) }));
    });
    tell(here());
  };
  window.addEventListener("popstate", () => { show(here()); shur.tell?.(here()); });

  const was = (list) => { list.nextElementSibling.hidden = list.value === list.dataset.was; }; // the label before, told below the list

  // A row's number, or its tags by their places, as they stand now; the ticked names are told on the fold that holds them.
  const ticked = (box) => [...box.querySelectorAll("[data-tag]:checked")];
  const asWas = (box) => {
    const number = box.querySelector("[data-number]"), out = box.querySelector("[data-out]").checked;
    const now = number ? number.value.trim() : JSON.stringify(ticked(box).map((one) => Number(one.dataset.tag))).replaceAll(",", ", ");
    box.querySelector(".was").hidden = !out && now === (number || box).dataset.was;
    const told = box.querySelector("summary");
    if (told) told.textContent = ticked(box).map((one) => one.parentElement.textContent.trim()).join(", ") || "no tag";
  };
  const corrected = (box) => {
    asWas(box);
    const number = box.querySelector("[data-number]"), out = box.querySelector("[data-out]").checked;
    const now = number ? { number: number.value.trim() } : { tags: ticked(box).map((one) => Number(one.dataset.tag)) };
    shur.relabel?.(JSON.stringify({ row: box.dataset.row, ...(out ? { label: -1 } : now) }));
  };

  // A table of rows was drawn anew. Gradio keeps elements that are told as before, so a list that was changed by hand is set again;
  // and the keyboard goes on at the button that was pressed, or at the table where that is gone.
  shur.redrawn = (table) => requestAnimationFrame(() => setTimeout(() => {
    document.querySelectorAll(`${table} select[data-row]`).forEach((list) => {
      list.value = [...list.options].find((one) => one.defaultSelected)?.value ?? list.value;
      was(list);
    });
    document.querySelectorAll(`${table} .put-right`).forEach((box) => {
      box.querySelectorAll("input").forEach((one) => {
        if (one === document.activeElement && one.type === "text") return; // a number that is being written
        Object.assign(one, { value: one.defaultValue, checked: one.defaultChecked });
      });
      asWas(box);
    });
    if (!shur.pressed || document.activeElement !== document.body) return;
    const again = document.getElementById(shur.pressed);
    (again && !again.disabled ? again : document.querySelector(`${table} [tabindex]`))?.focus();
    shur.pressed = "";
  }));

  // Charts: figures arrive as plain data and are drawn into the element with the same data-chart. Plotly comes with Gradio's own
  // plot component, which makes a new plot for every value; react() keeps the old one, so a viewer's zoom outlives a redraw.
  shur.draw = (figures) => { Object.assign(shur.charts, figures || {}); drawn(); };
  const drawn = () => {
    const waiting = Object.entries(shur.charts).filter(([name, figure]) => {
      const element = document.querySelector(`[data-chart="${name}"]`);
      const box = name.startsWith("study-") && element?.closest("figure");  // which pictures a study has depends on what it varies
      if (box) box.hidden = !figure;
      if (box && !figure) return false;
      if (!window.Plotly || !element || !element.offsetParent) return true;
      const narrow = element.clientWidth < 480 && figure?.layout.meta?.narrow; // names then stand in a legend below, not in the plot
      const text = JSON.stringify(figure) + Boolean(narrow);
      if (figure && text !== element.shurDrawn) {
        Object.assign(element, { shurDrawn: text, shurFigure: figure });
        element.style.height = narrow ? `${narrow.height}px` : "";
        window.Plotly.react(element, figure.data, { ...figure.layout, ...narrow }, { responsive: true, displayModeBar: false, showTips: false });
        if (name === "confusion" && !element.shurCells) {
          element.shurCells = true;
          element.on("plotly_click", ({ points: [cell] }) => {
            shur.explore?.(JSON.stringify({ do: "cell", label: cell.y, said: cell.x }));
            document.getElementById("explorer")?.scrollIntoView();
          });
        }
      }
      return false;
    });
    shur.charts = Object.fromEntries(waiting);
    clearTimeout(shur.later);
    if (waiting.length && root.dataset.place === "runs") shur.later = setTimeout(drawn, 250);
  };
  window.addEventListener("resize", () => {
    document.querySelectorAll("[data-chart]").forEach((one) => { if (one.shurFigure) shur.charts[one.dataset.chart] ??= one.shurFigure; });
    drawn();
  });

  // A picture as PNG, twice as fine as on the screen, always dark on white so that it can be printed.
  const save = (name) => {
    const drawn = document.querySelector(`[data-chart="${name}"]`);
    if (!window.Plotly || !drawn?.data) return;
    const caption = drawn.getAttribute("aria-label"), room = 30; // pixels for the title, which the page has beside the picture
    const title = { text: caption, font: { size: 14 }, x: 0.02, xanchor: "left", y: 1, yref: "container", yanchor: "top", pad: { t: 10 } };
    const margin = { ...drawn.layout.margin, t: drawn.layout.margin.t + room };
    const layout = { ...drawn.layout, title, margin, paper_bgcolor: "#ffffff", plot_bgcolor: "#ffffff" };
    const size = { format: "png", scale: 2, width: drawn.clientWidth, height: drawn.clientHeight + room };
    window.Plotly.downloadImage({ data: drawn.data, layout }, { ...size, filename: name });
  };

  // Gradio's dark mode is a class on <body>; the choice outlives a reload, an address with __theme has the last word.
  shur.light = () => {
    const dark = document.body.classList.toggle("dark");
    try { localStorage.setItem("shur-dark", dark ? "yes" : "no"); } catch { /* storage may be shut */ }
  };
  const chosen = () => { try { return localStorage.getItem("shur-dark"); } catch { return null; } };

  shur.download = (name, text, type = "application/json") => {
    if (!text) return;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };

  // A page that goes away aborts its own requests, and Gradio tells each of them as an error of a page that is no more: first an
  // AbortError, then one for every request. (Gradio's own beforeunload listener comes before ours, so the first error is the sign.)
  const tell = console.error;
  let leaving = 0;
  console.error = (...what) => {
    if (what[0]?.name === "AbortError") leaving = performance.now() + 1000;
    if (performance.now() > leaving) tell.apply(console, what);
  };

  const where = here(); // before the first paint
  root.dataset.place = where.place;
  root.dataset.run = where.place === "runs" ? where.run : "";
  root.dataset.study = where.place === "runs" ? where.study : "";
})();
