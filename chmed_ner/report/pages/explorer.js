"use strict";
// The sentences of a page, drawn from its JSON as they are scrolled to. Text from the data goes into
// text nodes only. It keeps and asks for nothing, so it runs in a sandboxed frame.
(() => {
  const source = document.getElementById("data");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const [GENRE, TEXT, LINES, ITEMS, ANSWERS, NOTES] = [1, 2, 3, 4, 5, 6]; // of a row; its id comes first
  const [KIND, SEEN, SURE] = [0, 3, 4]; // of an item; its two types lie between; SURE may be absent
  const AT_ONCE = 40;
  const PIECE = 4000;
  // What acts on the page or cannot be seen is named.
  const NAMED = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Noncharacter_Code_Point}]/gu;

  const say = (name, values) =>
    data.words[name].replace(/{(\w+)}/g, (_, key) => values[key].toLocaleString("en"));
  const byId = (id) => document.getElementById(id);
  const list = byId("sentences");
  const more = byId("more");
  const shown = byId("shown");
  const expanded = byId("expanded"); // absent where there are no completions
  const controls = Object.fromEntries(
    ["genre", "type", "kind", "seen", "sure", "order", "search"].map((id) => [id, byId(id)]).filter((pair) => pair[1]),
  );
  const flagged = (item) => data.kinds[item[KIND]][1];
  let found = data.rows;
  let drawn = 0;
  let texts = null;

  const element = (tag, class_ = "", text = "") => {
    const made = document.createElement(tag);
    if (class_) made.className = class_;
    if (text) put(made, text);
    return made;
  };

  const put = (parent, text, kept = "") => {
    let from = 0;
    for (const { 0: character, index } of text.matchAll(NAMED)) {
      if (character === kept) continue;
      const name = document.createElement("i");
      name.className = "u";
      name.textContent = `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
      parent.append(text.slice(from, index), name);
      from = index + character.length;
    }
    parent.append(text.slice(from));
  };

  const answer = (number, spans, text) => {
    const line = element("p", "answer");
    const words = element("span");
    const open = []; // the entities that hold the next character, outermost first
    let cursor = 0;
    const innermost = () => (open.length ? open.at(-1).entity : words);
    const copyTo = (end) => {
      put(innermost(), text.slice(cursor, end));
      cursor = end;
    };
    const closeUpTo = (start) => {
      while (open.length && open.at(-1).end <= start) {
        copyTo(open.at(-1).end);
        const { entity, note } = open.pop();
        entity.append(element("small", "", note));
      }
    };
    for (const [start, end, type, mark, sure] of spans) {
      closeUpTo(start);
      copyTo(start);
      const [style, name] = data.types[type];
      const entity = element("mark", mark ? `${style} e` : style);
      innermost().append(entity);
      const kind = mark > 1 ? `·${data.kinds[mark - 2][0]}` : "";
      open.push({ entity, end, note: name + kind + (sure === undefined ? "" : ` ${Math.floor(sure)}%`) });
    }
    closeUpTo(text.length);
    copyTo(text.length);
    line.append(element("small", "", data.lines[number]), words);
    return line;
  };

  // A long completion is laid out piece by piece: a line of a million characters takes seconds.
  const piece = (box, text, from) => {
    let to = Math.min(from + PIECE, text.length);
    if (/[\uD800-\uDBFF]/.test(text[to - 1]) && to < text.length) to += 1;
    put(box, text.slice(from, to), "\n");
    if (to === text.length) return;
    const rest = element("button", "rest", say("rest", { n: PIECE, left: text.length - to }));
    rest.type = "button";
    rest.addEventListener("click", () => {
      rest.remove();
      piece(box, text, to);
      (box.querySelector(".rest") || box.closest("li")).focus({ preventScroll: true });
    });
    box.append(rest);
  };

  const completion = ([name, stop, tokens, text]) => {
    const details = element("details");
    details.append(element("summary", "", say("completion", { name, stop, n: tokens })));
    details.addEventListener("toggle", () => {
      if (!details.open || details.querySelector("samp")) return;
      const box = element("samp");
      piece(box, text, 0);
      details.append(box);
    });
    details.open = expanded.checked;
    return details;
  };

  const note = ([words, reasons]) => {
    const box = element("div", "note");
    const listed = element("ul");
    listed.append(...reasons.map((each) => element("li", "", each)));
    box.append(element("p", "", words), listed);
    return box;
  };

  const counts = (items) => {
    const each = data.kinds.map(() => 0);
    for (const item of items) each[item[KIND]] += 1;
    return data.kinds.flatMap(([name, wrong], kind) => (wrong && each[kind] ? [`${name} ${each[kind]}`] : []));
  };

  const draw = (row) => {
    const item = element("li");
    item.tabIndex = -1;
    const about = element("p", "about");
    about.append(element("small", "", data.genres[row[GENRE]]), element("code", "quiet", row[0]));
    const wrong = counts(row[ITEMS]).join("　");
    if (wrong) about.append(element("small", "wrong", wrong));
    item.append(about);
    row[LINES].forEach((spans, number) => item.append(answer(number, spans, row[TEXT])));
    item.append(...row[NOTES].map(note), ...row[ANSWERS].map(completion));
    return item;
  };

  const extend = () => {
    const next = found.slice(drawn, drawn + AT_ONCE);
    list.append(...next.map(draw));
    drawn += next.length;
    more.hidden = drawn >= found.length;
  };

  const textOf = (row) =>
    [row[0], row[TEXT], ...row[ANSWERS].map((each) => each[3])].join("\n").toLowerCase();

  const matcher = () => {
    const value = (id) => (controls[id] ? controls[id].value : "");
    const [genre, type, seen] = ["genre", "type", "seen"].map((id) => (value(id) === "" ? null : Number(value(id))));
    const kind = value("kind");
    const [least, most] = value("sure") ? value("sure").split(" ").map(Number) : [null, null];
    const wanted = controls.search.value.trim().toLowerCase();
    if (wanted && !texts) texts = new Map(data.rows.map((row) => [row, textOf(row)]));
    const fits = (item) =>
      (kind === "" || kind === "none" || (kind === "any" ? flagged(item) : item[KIND] === Number(kind))) &&
      (type === null || item[1] === type || item[2] === type) &&
      (seen === null || item[SEEN] === seen) &&
      (least === null || (item[SURE] >= least && item[SURE] < most));
    const asksItems = type !== null || seen !== null || least !== null || (kind !== "" && kind !== "none");
    const matches = (row) =>
      (genre === null || row[GENRE] === genre) &&
      (kind !== "none" || !row[ITEMS].some(flagged)) &&
      (!asksItems || row[ITEMS].some(fits)) &&
      (!wanted || texts.get(row).includes(wanted));
    return { matches, fits };
  };

  // By the entities that the filters ask for; sentences without a confidence of these come last.
  const sorted = (rows, fits) => {
    const order = controls.order ? controls.order.value : "";
    if (!order) return rows;
    const [best, sign] = order === "least" ? [Math.min, 1] : [Math.max, -1];
    const keys = new Map(
      rows.map((row) => {
        const sure = row[ITEMS].filter((item) => item[SURE] !== undefined && fits(item)).map((item) => item[SURE]);
        return [row, sure.length ? sign * best(...sure) : Infinity];
      }),
    );
    return [...rows].sort((one, other) => keys.get(one) - keys.get(other) || 0);
  };

  const apply = () => {
    const { matches, fits } = matcher();
    found = sorted(data.rows.filter(matches), fits);
    list.replaceChildren();
    drawn = 0;
    extend();
    shown.value = say("shown", { n: found.length, all: data.rows.length });
    byId("nothing").hidden = found.length > 0;
    if (list.getBoundingClientRect().top < 0) byId("list").scrollIntoView();
  };

  const clear = () => {
    for (const control of Object.values(controls)) control.value = "";
    apply();
  };

  const walk = (step) => {
    const rows = list.children;
    const at = [...rows].indexOf(document.activeElement.closest?.("#sentences > li"));
    const to = at < 0 ? 0 : at + step;
    if (to >= rows.length) extend();
    const row = rows[Math.max(0, Math.min(to, rows.length - 1))];
    if (!row) return;
    row.focus();
    row.scrollIntoView({ block: "nearest" });
  };

  const toggle = () => {
    const row = document.activeElement.closest?.("#sentences > li");
    const all = row ? [...row.querySelectorAll("details")] : [];
    const open = all.every((each) => each.open);
    for (const each of all) each.open = !open;
  };

  const keys = {
    "/": () => controls.search.focus(),
    j: () => walk(1),
    k: () => walk(-1),
    o: toggle,
    x: clear,
  };

  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input[type=search],select,textarea");
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (typing) {
      if (event.key === "Escape" && typing === controls.search) typing.blur();
      return;
    }
    const action = keys[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
  for (const [id, control] of Object.entries(controls)) {
    if (id !== "search") control.addEventListener("change", apply);
  }
  controls.search.addEventListener("input", (event) => {
    if (!event.isComposing) apply(); // half a Chinese word is not searched for
  });
  controls.search.addEventListener("compositionend", apply);
  expanded?.addEventListener("change", () => {
    for (const each of list.querySelectorAll("details")) each.open = expanded.checked;
  });
  byId("clear").addEventListener("click", clear);
  more.addEventListener("click", () => {
    const at = drawn;
    extend();
    list.children[at]?.focus({ preventScroll: true });
  });
  new IntersectionObserver(
    (seen) => {
      if (seen.some((each) => each.isIntersecting)) extend();
    },
    { rootMargin: "1500px" },
  ).observe(more);
  byId("filters").hidden = false;
  apply();
})();
