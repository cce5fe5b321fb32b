// What the page asks for goes to the browser, and what a passkey answers goes with the form.
"use strict";
{
  const bytes = (text) =>
    Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  const named = (passkeys = []) => passkeys.map((one) => ({ ...one, id: bytes(one.id) }));

  // Some browsers have passkeys, and read and write no JSON of them.
  const read = {
    create: (options) => PublicKeyCredential.parseCreationOptionsFromJSON?.(options) ?? {
      ...options,
      challenge: bytes(options.challenge),
      user: { ...options.user, id: bytes(options.user.id) },
      excludeCredentials: named(options.excludeCredentials),
    },
    get: (options) => PublicKeyCredential.parseRequestOptionsFromJSON?.(options) ?? {
      ...options,
      challenge: bytes(options.challenge),
      allowCredentials: named(options.allowCredentials),
    },
  };
  const BUFFERS = ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"];
  const written = (credential) => {
    try {
      return JSON.stringify(credential.toJSON());
    } catch {
      // Nor do some password managers, although the browser does.
      const { response } = credential;
      const said = { transports: response.getTransports?.() };
      for (const name of BUFFERS) if (response[name]) said[name] = text(response[name]);
      return JSON.stringify({
        id: credential.id,
        rawId: text(credential.rawId),
        type: credential.type,
        authenticatorAttachment: credential.authenticatorAttachment ?? undefined,
        clientExtensionResults: {},
        response: said,
      });
    }
  };

  for (const part of document.querySelectorAll("[data-passkey]")) {
    const [field, button, problem] = ["input", "button", ".problem"].map((one) => part.querySelector(one));
    const { form } = field;
    const way = part.dataset.passkey;
    if (!window.PublicKeyCredential || !navigator.credentials) {
      part.querySelector("[data-unknown]").hidden = false;
      continue;
    }
    button.hidden = false;
    // Whoever was quicker than this file may be typing a code.
    const isNowhere = document.activeElement === document.body;
    if (isNowhere && !problem.textContent) button.focus({ preventScroll: true });
    let isAsking = false;
    // A page that comes back out of the history must not send what it sent before. The event also ends the first loading,
    // and by then somebody may have pressed the button.
    window.addEventListener("pageshow", ({ persisted }) => {
      if (isAsking && !persisted) return;
      field.value = "";
      form.noValidate = false;
      button.disabled = false;
    });
    button.addEventListener("click", async () => {
      isAsking = button.disabled = true;
      field.value = "";
      problem.hidden = true;
      try {
        const options = read[way](JSON.parse(part.dataset.options));
        field.value = written(await navigator.credentials[way]({ publicKey: options }));
      } catch (error) {
        const known = { NotAllowedError: "cancelled", AbortError: "cancelled", InvalidStateError: "known" };
        problem.textContent = part.dataset[known[error.name]] || part.dataset.failed;
        problem.hidden = false;
        isAsking = button.disabled = false;
        button.focus();
        return;
      }
      // The field for a code is empty, and may be.
      form.noValidate = true;
      form.requestSubmit();
    });
  }
}
