"use strict";
(() => {
  const make = (tag, text, className) => {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (className) element.className = className;
    return element;
  };

  // Tables: a click on a head sorts by it, a second one the other way, a third gives the order of the study.
  const keyOf = (row, column) => {
    const cell = row.cells[column];
    return "rank" in cell.dataset ? cell.dataset.rank : cell.textContent.trim();
  };
  const compare = (a, b, numeric, sign) => {
    if (a === b) return 0;
    if (a === "") return 1;
    if (b === "") return -1;
    return sign * (numeric ? Number(a) - Number(b) : a.localeCompare(b, undefined, { numeric: true }));
  };
  const makeSortable = (table) => {
    const body = table.tBodies[0];
    const original = [...body.rows];
    const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
    const sortBy = (head, column) => {
      const numeric = head.classList.contains("num");
      const first = numeric ? "descending" : "ascending";
      const second = numeric ? "ascending" : "descending";
      const now = head.getAttribute("aria-sort");
      const next = now === first ? second : now === second ? "none" : first;
      heads.forEach((other) => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", next);
      const sign = next === "descending" ? -1 : 1;
      const ranked = original.slice();
      if (next !== "none") {
        const byNumber = original.every((row) => "rank" in row.cells[column].dataset);
        ranked.sort((a, b) => compare(keyOf(a, column), keyOf(b, column), byNumber, sign));
      }
      body.append(...ranked);
    };
    heads.forEach((head, column) => {
      const button = make("button", head.textContent.trim());
      button.type = "button";
      head.replaceChildren(button);
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => sortBy(head, column));
    });
  };
  document.querySelectorAll("table.sortable").forEach((table) => {
    if (table.tBodies[0].rows.length > 1) makeSortable(table);
  });

  // Mistakes: filtered here, each built when it is shown, its text and scores when it is opened.
  const browser = document.getElementById("browser");
  if (!browser) return;
  const PAGE = 50;
  const all = JSON.parse(document.getElementById("mistake-data").textContent);
  const form = browser.querySelector("form");
  const list = browser.querySelector("ol");
  const told = browser.querySelector("output");
  const more = browser.querySelector("button.more");
  let found = all;

  const choice = (name) => (form.elements[name] ? form.elements[name].value : "");
  const matches = (item) => {
    const [panel, run, kind, tag] = ["panel", "run", "kind", "tag"].map(choice);
    const words = choice("words").trim().toLowerCase();
    return (
      (!panel || item.panel === panel) &&
      (!run || item.errs.includes(run)) &&
      (!kind || item.kind === kind) &&
      (!tag || item.tags.includes(tag)) &&
      (!words || item.text.toLowerCase().includes(words) || item.id.toLowerCase().includes(words))
    );
  };
  const scoreTable = (item) => {
    const body = make("tbody");
    for (const [name, score, percent] of item.scores) {
      const wrong = item.errs.includes(name);
      const row = make("tr", undefined, wrong ? "wrong" : "");
      const head = make("th", name);
      head.scope = "row";
      const bar = make("td", undefined, "track");
      const length = make("i");
      length.style.width = `${percent}%`;
      bar.append(length);
      row.append(head, make("td", score, "num"), bar, make("td", wrong ? item.kind : "right"));
      body.append(row);
    }
    const table = make("table", undefined, "scores");
    table.append(make("caption", "score of each run"), body);
    return table;
  };
  const entry = (item) => {
    const line = make("summary");
    line.append(make("b", `${item.errs.length} of ${item.scores.length}`, "errs"), " ", make("code", item.id), " ");
    line.append(make("span", item.kind, `kind ${item.kind === "miss" ? "miss" : "alarm"}`));
    for (const tag of item.tags) line.append(make("span", tag, "tag"));
    if (form.elements.panel) line.append(make("span", item.panel, "tag"));
    const details = make("details");
    details.append(line);
    details.addEventListener("toggle", () => {
      if (!details.open || details.childElementCount > 1) return;
      details.append(make("pre", item.text));
      if (item.omitted) details.append(make("p", item.omitted));
      details.append(scoreTable(item));
    });
    const place = make("li");
    place.append(details);
    return place;
  };
  const showMore = () => {
    const shown = list.childElementCount;
    list.append(...found.slice(shown, shown + PAGE).map(entry));
    more.hidden = list.childElementCount >= found.length;
  };
  const filter = () => {
    found = all.filter(matches);
    list.replaceChildren();
    told.textContent = `${found.length} of ${all.length} rows`;
    showMore();
  };
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", filter);
  form.addEventListener("reset", () => setTimeout(filter));
  more.addEventListener("click", showMore);
  browser.hidden = false;
  filter();
})();
