// The browser's own zone, as one of the choices.
(() => {
  "use strict";
  const name = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const button = document.querySelector("[data-browser-zone]");
  if (!name) return;
  button.value = name;
  button.append(name);
  button.hidden = false;
})();
