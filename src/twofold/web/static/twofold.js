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
