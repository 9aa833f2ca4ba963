/* Text areas within `data-ranges` are checked while one types: what is wrong with each line appears below, in the words of our rules. */
const PAUSE_MS = 300;
for (const place of document.querySelectorAll("[data-ranges]")) {
  const area = place.querySelector("textarea");
  const told = place.querySelector("[aria-live]");
  let timer;
  let asked = 0;
  const ask = async () => {
    const mine = ++asked;
    const token = area.form.elements.csrfmiddlewaretoken.value;
    const body = new URLSearchParams({ of: area.name, text: area.value, csrfmiddlewaretoken: token });
    let said = "";
    try {
      const answer = await fetch(place.dataset.ranges, { method: "POST", body });
      if (answer.ok && !answer.redirected) said = await answer.text();
    } catch { /* Without an answer nothing is said here: saving tells it, too. */ }
    if (mine !== asked) return;
    told.innerHTML = said;
    area.setAttribute("aria-invalid", told.querySelector("li") !== null);
  };
  area.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, PAUSE_MS);
  });
}
