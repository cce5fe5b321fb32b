// Comforts only: every page does its work without this file.
"use strict";

// What a button says of itself when it was pressed is not read aloud; this is.
const said = document.getElementById("said");
const say = (sentence) => { if (said) said.textContent = sentence; };

for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) continue;
  const label = button.textContent;
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = button.dataset.done;
    } catch {
      button.textContent = button.dataset.failed;
    }
    say(button.textContent);
    setTimeout(() => { button.textContent = label; say(""); }, 2500);
  });
}

// The server says moments in UTC; the reader's zone is known here.
const days = document.currentScript.dataset;
for (const time of document.querySelectorAll("time[data-local]")) {
  const at = new Date(time.dateTime);
  const say = (style) => new Intl.DateTimeFormat(`${document.documentElement.lang}-u-nu-latn`, style).format(at);
  const clock = say({ timeStyle: "short" });
  const midnight = (moment) => new Date(moment).setHours(0, 0, 0, 0);
  const away = Math.round((midnight(at) - midnight(Date.now())) / 864e5);
  const near = { "-1": days.yesterday, 0: days.today, 1: days.tomorrow }[away];
  if (time.dataset.local === "day") time.textContent = say({ dateStyle: "long" });
  else if (time.dataset.local === "clock") time.textContent = clock;
  else if (time.textContent.includes("UTC")) {
    time.textContent = (near ?? days.other).replace("{time}", clock).replace("{day}", say({ dateStyle: "long" }));
  }
}

for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}

// Each form is sent once. One whose answer never came can be sent again after a while.
const sent = new WeakMap();
const forget = () => { for (const form of document.forms) sent.delete(form); };
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || "again" in form.dataset) return;
  if (sent.has(form)) { event.preventDefault(); return; }
  sent.set(form, true);
  setTimeout(() => sent.delete(form), 10000);
});
// A page that comes back out of the history must be able to send again.
window.addEventListener("pageshow", forget);

// The server takes a code in this form, too: without spaces and dashes, in the digits of any script.
const typed = (field) => field.value.normalize("NFKC").replace(/[\s\p{Pd}\p{Cf}]/gu, "");

for (const field of document.querySelectorAll("[data-digits]")) {
  const hint = document.getElementById("hint");
  // After a refusal people look at what they type, and send it themselves.
  if (!hint || !hint.dataset.add) continue;
  const complete = new RegExp(`^\\p{Nd}{${field.dataset.digits}}$`, "u");
  // Whoever typed the whole code before this file came has no last digit left to type.
  if (complete.test(typed(field))) continue;
  hint.append(` ${hint.dataset.add}`);
  field.addEventListener("input", () => {
    if (complete.test(typed(field)) && !sent.has(field.form)) field.form.requestSubmit();
  });
}

for (const problem of document.querySelectorAll("[data-wait]")) {
  const field = document.getElementById("code");
  const button = field.form.querySelector("button[type=submit]");
  // The wait began when the page came; where the browser does not tell, it begins now.
  const came = performance.getEntriesByType("navigation")[0]?.responseStart || performance.now();
  const end = Date.now() - performance.now() + came + 1000 * problem.dataset.wait;
  const left = document.createElement("span");
  left.className = "left";
  // It changes every second; whoever listens is told once, at the end.
  left.setAttribute("aria-hidden", "true");
  // Beside the sentence that tells the wait, not behind the way out of it.
  const way = problem.querySelector("a");
  if (way) way.before(left, " ");
  else problem.append(" ", left);
  const two = (number) => String(number).padStart(2, "0");
  // A backup code may be typed here as well, and that one does not wait.
  const judge = () => { button.disabled = Date.now() < end && !/\p{L}/u.test(field.value); };
  const tick = () => {
    const seconds = Math.ceil((end - Date.now()) / 1000);
    if (seconds > 0) {
      const minutes = Math.floor(seconds / 60);
      left.textContent = minutes < 60
        ? `${minutes}:${two(seconds % 60)}`
        : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(seconds % 60)}`;
      setTimeout(tick, 1000);
    } else {
      problem.textContent = problem.dataset.over;
      problem.classList.add("over");
      field.removeAttribute("aria-invalid");
    }
    judge();
  };
  field.addEventListener("input", judge);
  tick();
}
