// What the desk's pages do besides their forms: keys, the lease of an open page, spans of a text.
// Every form works without it. Text is only ever written as text.
"use strict";

(() => {
  const all = (selector) => Array.from(document.querySelectorAll(selector));
  const one = (selector) => document.querySelector(selector);
  const fields = "input:not([type=checkbox]):not([type=hidden]), textarea, select";

  // One page decides one thing: whatever is sent first is all that is sent from it.
  let isSent = false;
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  addEventListener("submit", (event) => {
    if (event.target.method === "dialog") return;
    if (isSent) { event.preventDefault(); return; }
    isSent = true;
  });

  // Who presses twice by accident must not decide the next job, which nobody has read by then.
  let isFresh = true;
  setTimeout(() => { isFresh = false; document.body.dataset.ready = ""; }, 200);

  const press = (target) => {
    if (target.matches("a")) { openKeys(); return; }
    if (target.type === "checkbox") { target.checked = !target.checked; return; }
    if (!target.disabled) target.click();
  };
  const openKeys = () => { const keys = one("#keys"); if (keys && !keys.open) keys.showModal(); };

  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    const target = event.target;
    if (one("dialog[open]")) return;
    if (target.matches(fields)) {
      // Keys write there; Enter sends the form from a field of one line, as everywhere.
      if (event.key === "Escape") target.blur();
      return;
    }
    if (spans && spans.key(event)) { event.preventDefault(); return; }
    if (event.repeat) { event.preventDefault(); return; }
    if (event.key === "Enter") {
      // A button or a link that has the focus is pressed by the browser itself.
      if (target.matches("button, a")) return;
      const enter = one("[data-enter]") || one('[data-key="Enter"]');
      if (enter && !isFresh) { event.preventDefault(); press(enter); }
      return;
    }
    if (event.shiftKey && event.key !== "?") return;
    if (event.key === "q" && one("#quote")) { event.preventDefault(); toQuote(); return; }
    const found = all("[data-key]").find((each) => each.dataset.key === event.key.toLowerCase() && !each.closest("[hidden]"));
    if (found && !isFresh) { event.preventDefault(); press(found); }
  });

  for (const link of all('a[data-key="?"]')) {
    link.addEventListener("click", (event) => { event.preventDefault(); openKeys(); });
  }

  const toQuote = () => {
    const quote = one("#quote");
    const chosen = String(getSelection()).trim();
    if (chosen) quote.value = chosen;
    quote.focus();
  };

  // The seconds in which an answer may be taken back.
  const undo = one("form.undo");
  if (undo) {
    let left = Number(undo.dataset.seconds);
    const timer = setInterval(() => {
      left -= 1;
      undo.querySelector("[data-left]").textContent = String(Math.max(0, left));
      if (left <= 0) { clearInterval(timer); undo.hidden = true; }
    }, 1000);
  }

  // A task of many labels: what is typed narrows them, and keys count what is left.
  const filter = one("#filter");
  if (filter) {
    const choices = all(".choices .choice");
    filter.closest("label").hidden = false;
    const narrow = () => {
      const words = filter.value.toLowerCase();
      let number = 0;
      for (const each of choices) {
        each.hidden = !each.value.toLowerCase().includes(words);
        const mark = each.querySelector("kbd, .nokey");
        if (each.hidden) { delete each.dataset.key; continue; }
        number += 1;
        if (number > 9) { delete each.dataset.key; mark.textContent = ""; continue; }
        each.dataset.key = String(number);
        mark.textContent = String(number);
      }
    };
    filter.addEventListener("input", narrow);
    filter.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      const left = choices.filter((each) => !each.hidden);
      if (left.length === 1) press(left[0]);
    });
  }

  // The lease of the job on an open page.
  const answer = one("form#answer");
  if (answer && document.body.dataset.page === "job") {
    const renewal = answer.action.replace(/\/answer$/, "/renew");
    const tell = (words) => { const line = one("#lease"); line.textContent = words; line.hidden = false; };
    const renew = async () => {
      if (isSent) return;
      const body = new URLSearchParams({ csrf: answer.csrf.value, view: answer.view.value });
      try {
        const reply = await fetch(renewal, { method: "POST", body });
        if (reply.redirected) { tell("You are signed out. Copy what you entered before you sign in."); return; }
        const said = await reply.json();
        if (said.is_kept) { one("#lease").hidden = true; return; }
        tell(said.said);
        clearInterval(timer);
      } catch {
        tell("The desk cannot be reached just now. Your page keeps what you entered.");
      }
    };
    const timer = setInterval(renew, Math.max(500, Number(document.body.dataset.leaseMs) / 4));
    // A laptop that was closed asks at once.
    document.addEventListener("visibilitychange", () => { if (!document.hidden) renew(); });
  }

  // Spans: the field of lines is what is sent; the text shows what the lines say.
  const field = one("#spans");
  const spans = field ? spansOf(one("#text"), field) : null;

  function spansOf(box, lines) {
    for (const label of box.querySelectorAll(".label")) label.remove();
    const text = box.textContent;
    const labels = new Map(all("[data-span-label]").map((each) => [each.dataset.spanLabel, each.dataset.colour]));
    // Places count code points, and strings here count UTF-16 units.
    const units = [0];
    for (const character of text) units.push(units[units.length - 1] + character.length);
    const place = new Map(units.map((unit, number) => [unit, number]));
    const words = Array.from(text.matchAll(/[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu), (found) => [found.index, found.index + found[0].length]);
    let at = -1, anchor = -1;
    let marked = read();

    function read() {
      const found = [];
      for (const line of lines.value.split("\n")) {
        const label = Array.from(labels.keys()).filter((each) => line.trimStart().startsWith(`${each}:`)).sort((a, b) => b.length - a.length)[0];
        if (label === undefined) continue;
        const [, said, start] = /^\s*(.*?)\s*(?:(?:^|\s)@(\d+))?\s*$/su.exec(line.trimStart().slice(label.length + 1));
        if (!said) continue;
        const pattern = new RegExp(said.split(/\s+/).map((word) => word.replace(/[.*+?^${}()|[\]\\\/-]/g, "\\$&")).join("\\s+"), "g");
        pattern.lastIndex = start === undefined ? 0 : units[Number(start)] ?? text.length;
        for (let match = pattern.exec(text); match; match = pattern.exec(text)) {
          const span = { start: match.index, end: match.index + match[0].length, label };
          if (found.every((each) => span.end <= each.start || each.end <= span.start)) { found.push(span); break; }
          if (start !== undefined) break;
        }
      }
      return found.sort((a, b) => a.start - b.start);
    }

    function write() {
      lines.value = marked.map((each) => `${each.label}: ${text.slice(each.start, each.end).trim().split(/\s+/).join(" ")} @${place.get(each.start)}`).join("\n");
      draw();
    }

    function chosen() {
      if (at < 0) return null;
      const [first, last] = [Math.min(at, anchor), Math.max(at, anchor)];
      return [words[first][0], words[last][1]];
    }

    function draw() {
      const range = chosen();
      const cuts = new Set([0, text.length]);
      for (const each of marked) { cuts.add(each.start); cuts.add(each.end); }
      if (range) { cuts.add(range[0]); cuts.add(range[1]); }
      const sorted = Array.from(cuts).sort((a, b) => a - b);
      const parts = [];
      for (let number = 0; number + 1 < sorted.length; number += 1) {
        const [start, end] = [sorted[number], sorted[number + 1]];
        const span = marked.find((each) => each.start <= start && end <= each.end);
        const part = document.createElement(span ? "mark" : "span");
        part.textContent = text.slice(start, end);
        if (span) {
          part.className = `c${labels.get(span.label)}`;
          part.title = span.label;
          if (end === span.end) {
            const name = document.createElement("span");
            name.className = "label";
            name.dataset.label = span.label;
            part.append(name);
          }
        }
        if (range && range[0] <= start && end <= range[1]) part.classList.add("cursor");
        parts.push(part);
      }
      box.replaceChildren(...parts);
      const cursor = box.querySelector(".cursor");
      if (cursor) cursor.scrollIntoView({ block: "nearest" });
    }

    function add(label) {
      const range = selected() || chosen();
      if (!range) return false;
      marked = marked.filter((each) => each.end <= range[0] || range[1] <= each.start);
      marked.push({ start: range[0], end: range[1], label });
      marked.sort((a, b) => a.start - b.start);
      getSelection().removeAllRanges();
      write();
      return true;
    }

    function remove() {
      const range = selected() || chosen();
      if (!range) return;
      marked = marked.filter((each) => each.end <= range[0] || range[1] <= each.start);
      write();
    }

    // What is selected with the mouse, without the blanks around it.
    function selected() {
      const selection = getSelection();
      if (!selection.rangeCount || selection.isCollapsed) return null;
      const range = selection.getRangeAt(0);
      if (!box.contains(range.startContainer) || !box.contains(range.endContainer)) return null;
      const before = document.createRange();
      before.selectNodeContents(box);
      before.setEnd(range.startContainer, range.startOffset);
      const start = before.toString().length;
      const said = range.toString();
      const from = start + said.length - said.trimStart().length;
      const to = start + said.trimEnd().length;
      return from < to ? [from, to] : null;
    }

    function move(by, isWider) {
      if (!words.length) return;
      at = Math.min(words.length - 1, Math.max(0, at + by));
      if (!isWider || anchor < 0) anchor = at;
      getSelection().removeAllRanges();
      draw();
    }

    for (const each of all("[data-span-label]")) {
      each.addEventListener("mousedown", (event) => event.preventDefault());
      each.addEventListener("click", () => add(each.dataset.spanLabel));
    }
    box.addEventListener("click", (event) => {
      const mark = event.target.closest("mark");
      if (!mark || selected()) return;
      const before = document.createRange();
      before.selectNodeContents(box);
      before.setEndBefore(mark);
      const start = before.toString().length;
      at = anchor = words.findIndex(([begin]) => begin >= start);
      draw();
    });
    lines.addEventListener("input", () => { marked = read(); draw(); });
    draw();

    return {
      key(event) {
        if (event.target.matches("button, a")) return false;
        if (event.key === "ArrowRight") { move(1, event.shiftKey); return true; }
        if (event.key === "ArrowLeft") { move(-1, event.shiftKey); return true; }
        if (event.shiftKey || event.repeat) return false;
        if (event.key === "Delete" || event.key === "Backspace") { remove(); return true; }
        const button = all("[data-span-label]").find((each) => each.dataset.key === event.key);
        return button ? add(button.dataset.spanLabel) || true : false;
      },
    };
  }
})();
