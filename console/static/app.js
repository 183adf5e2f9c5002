// Times in the reader's zone, the live part of a page, and the phone's menu. Pages work without it.
"use strict";

const language = document.documentElement.lang;
const full = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium" });
const day = new Intl.DateTimeFormat(language, { dateStyle: "medium" });
const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", hour12: false });
const seconds = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const monthDay = new Intl.DateTimeFormat(language, { month: "short", day: "numeric" });
const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto", style: "short" });

function ago(date) {
  const passed = (date.getTime() - Date.now()) / 1000;
  for (const [unit, size] of [["day", 86400], ["hour", 3600], ["minute", 60]]) {
    if (Math.abs(passed) >= size) return relative.format(Math.trunc(passed / size), unit);
  }
  return relative.format(Math.round(passed), "second");
}

function showTimes(root) {
  for (const element of root.querySelectorAll("time[datetime]")) {
    const date = new Date(element.dateTime);
    const form = element.dataset.form;
    element.textContent = form === "ago" ? ago(date) : form === "date" ? day.format(date) : full.format(date);
    element.title = full.format(date);
  }
  for (const element of root.querySelectorAll("text[data-time]")) {
    const date = new Date(Number(element.dataset.time));
    const span = Number(element.dataset.span);
    element.textContent = (span < 3600000 ? seconds : span < 172800000 ? clock : monthDay).format(date);
  }
}

async function poll(part, lost) {
  const address = new URL(window.location.href);
  address.searchParams.set("part", "live");
  try {
    const headers = part.dataset.etag ? { "If-None-Match": part.dataset.etag } : {};
    const answer = await fetch(address, { headers, cache: "no-store", redirect: "error" });
    if (!answer.ok && answer.status !== 304) throw new Error(String(answer.status));
    if (answer.status === 200) {
      part.dataset.etag = answer.headers.get("ETag") || "";
      const open = [...part.querySelectorAll("details[open][id]")].map((found) => found.id);
      part.innerHTML = await answer.text(); // our own server's markup, escaped there
      for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    }
    lost.hidden = true;
  } catch (error) {
    lost.hidden = false;
  }
  showTimes(part);
}

function live() {
  const part = document.querySelector("[data-live]");
  const lost = document.getElementById("lost");
  if (!part || !lost) return;
  const pause = Number(part.dataset.live) || 2000;
  const step = async () => {
    // Somebody is choosing text or a page is hidden: leave it as it is.
    if (!document.hidden && !String(window.getSelection())) await poll(part, lost);
    window.setTimeout(step, pause);
  };
  window.setTimeout(step, pause);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) poll(part, lost); });
}

showTimes(document);
live();
window.setInterval(() => showTimes(document), 15000);
for (const field of document.querySelectorAll("[data-submits]")) {
  field.addEventListener("change", () => field.form.requestSubmit());
}
for (const form of document.querySelectorAll("form[data-confirm]")) {
  form.addEventListener("submit", (event) => { if (!window.confirm(form.dataset.confirm)) event.preventDefault(); });
}
