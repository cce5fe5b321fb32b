// Comforts only: every page does its work without this file.
"use strict";

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
    setTimeout(() => { button.textContent = label; }, 2500);
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

for (const field of document.querySelectorAll("[data-digits]")) {
  const complete = new RegExp(`^[0-9]{${field.dataset.digits}}$`);
  let sent = false;
  field.addEventListener("input", () => {
    if (sent || !complete.test(field.value.trim())) return;
    sent = true;
    field.form.requestSubmit();
  });
  // A page that comes back out of the history must be able to send again.
  window.addEventListener("pageshow", () => { sent = false; });
}
