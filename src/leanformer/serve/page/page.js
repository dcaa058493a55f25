"use strict";

const $ = (id) => document.getElementById(id);
const lines = (text) => text.split("\n").map((line) => line.trim()).filter(Boolean);
let key = "";
let card = null;

// What each route asks for, sends and shows.
const ROUTES = {
  "/predict": {
    first: "Texts, one per line",
    second: "Their second texts, one per line",
    paired: () => card.pairs,
    body: (first, second) => ({
      texts: lines(first),
      ...(card.pairs ? { pairs: lines(second) } : {}),
    }),
    show: (found, sent) => found.answers.map((answer, i) => predicted(answer, sent.texts[i])),
  },
  "/rerank": {
    first: "Query",
    second: "Documents, one per line",
    paired: () => true,
    body: (first, second) => ({ query: first.trim(), documents: lines(second) }),
    show: (found, sent) =>
      found.results.map((one) =>
        block(text(sent.documents[one.index]), score("", one.relevance_score))),
  },
  "/search": {
    first: "Query",
    paired: () => false,
    body: (first) => ({ query: first.trim(), k: 10 }),
    show: (found) => found.results[0].hits.map((hit) => {
      const said = Object.entries(hit.scores).map(([name, value]) => `${name} ${number(value)}`);
      return block(text(hit.text), text(`${hit.key} · ${said.join(" · ")}`, "muted"));
    }),
  },
  "/v1/embeddings": {
    first: "Texts, one per line; their cosines are shown",
    paired: () => false,
    body: (first) => ({ input: lines(first), encoding_format: "float" }),
    show: (found, sent) => embedded(found.data.map((one) => one.embedding), sent.input),
  },
};

function element(name, content, kind) {
  const made = document.createElement(name);
  if (kind) made.className = kind;
  made.append(...[].concat(content ?? []));
  return made;
}
const text = (said, kind) => element("p", said, kind);
const block = (...parts) => element("div", parts, "answer");
const number = (value) => Number(value.toFixed(4)).toString();

function score(label, value) {
  const meter = element("meter");
  meter.max = 1;
  meter.value = Math.min(1, Math.max(0, value));
  const parts = [element("span", label, "label"), meter, element("span", number(value), "value")];
  return element("div", label ? parts : parts.slice(1), "score");
}

function predicted(answer, said) {
  const parts = [];
  if (answer.spans) parts.push(spanned(said, answer.spans));
  else parts.push(text(said));
  if (answer.label !== undefined) parts.push(score(answer.label, answer.score));
  else if (answer.labels) parts.push(...labelled(answer.labels));
  else if (!answer.spans) {
    const rest = Object.entries(answer).filter(([name]) => name !== "source");
    parts.push(text(rest.map(([name, value]) =>
      `${name} ${typeof value === "number" ? number(value) : value}`).join(" · "), "muted"));
  }
  if (answer.source) parts.push(text(`answered by ${answer.source}`, "muted"));
  return block(...parts);
}

function labelled(labels) {
  if (!labels.length) return [text("no label", "muted")];
  return labels.map((one) => score(one.label, one.score));
}

function spanned(said, spans) {
  // offsets count characters (code points); JavaScript's strings count halves of some of them
  const characters = Array.from(said);
  const parts = [];
  let place = 0;
  for (const span of [...spans].sort((a, b) => a.start - b.start)) {
    parts.push(characters.slice(place, span.start).join(""));
    const marked = element("mark", characters.slice(span.start, span.end).join(""));
    marked.append(element("small", span.label));
    parts.push(marked);
    place = span.end;
  }
  parts.push(characters.slice(place).join(""));
  return element("p", parts);
}

function embedded(vectors, texts) {
  const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
  const cosine = (a, b) => dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
  const listed = texts.map((one, i) => block(text(`${i + 1}. ${one}`),
    text(`${vectors[i].length} numbers: ${vectors[i].slice(0, 4).map(number).join(", ")} …`, "muted")));
  const head = element("tr", [element("th"), ...texts.map((_, i) => element("th", `${i + 1}`))]);
  const rows = vectors.map((own, i) => element("tr", [element("th", `${i + 1}`),
    ...vectors.map((other) => element("td", cosine(own, other).toFixed(2)))]));
  return texts.length > 1 ? [...listed, element("table", [head, ...rows])] : listed;
}

async function ask(path, body) {
  const headers = body ? { "Content-Type": "application/json" } : {};
  if (key) headers.Authorization = `Bearer ${key}`;
  const response = await fetch(path.slice(1), {
    method: body ? "POST" : "GET",
    headers,
    body: body ? JSON.stringify(body) : undefined,
  });
  const found = await response.json();
  if (!response.ok) throw Object.assign(new Error(found.error.message), { status: response.status });
  return found;
}

function complain(error) {
  $("error").textContent = error?.message ?? "";
  $("error").hidden = !error;
}

async function open() {
  try {
    card = (await ask("/v1/models")).data[0];
  } catch (error) {
    $("key-form").hidden = error.status !== 401;
    if (error.status !== 401 || key) complain(error);
    return;
  }
  complain(null);
  $("key-form").hidden = true;
  $("name").textContent = document.title = card.id;
  const described = [card.task, card.system, card.backend, card.precision];
  const said = [...new Set(described.filter(Boolean))];  // a cascade is its own backend
  $("about").textContent = said.join(" · ");
  const path = card.routes.includes("/rerank") ? "/rerank" : card.routes[0];
  const route = ROUTES[path];
  $("first-label").textContent = route.first;
  $("second-part").hidden = !route.paired();
  $("second").required = route.paired();
  $("second-label").textContent = route.second ?? "";
  $("form").hidden = false;
  $("form").onsubmit = (event) => {
    event.preventDefault();
    send(path, route);
  };
}

async function send(path, route) {
  const body = route.body($("first").value, $("second").value);
  $("send").disabled = true;
  complain(null);
  const began = performance.now();
  try {
    const found = await ask(path, body);
    $("took").textContent = `${Math.round(performance.now() - began)} ms`;
    const shown = route.show(found, body);
    $("answers").replaceChildren(...(shown.length ? shown : [text("nothing found", "muted")]));
    $("request").hidden = false;
    const quoted = JSON.stringify(body).replaceAll("'", "'\\''");
    $("curl").textContent = `curl ${location.origin}${path} -H 'Content-Type: application/json' \\\n`
      + (key ? "  -H 'Authorization: Bearer …' \\\n" : "") + `  -d '${quoted}'`;
  } catch (error) {
    $("answers").replaceChildren();
    $("took").textContent = "";
    complain(error);
  } finally {
    $("send").disabled = false;
  }
}

$("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  key = $("key").value.trim();
  open();
});
open();
