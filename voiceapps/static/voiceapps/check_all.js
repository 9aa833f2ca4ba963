// In a form with `data-check-all`, the box with `data-all` checks all others; without scripts it is not there.
document.querySelectorAll("form[data-check-all]").forEach((form) => {
  const all = form.querySelector("[data-all]");
  if (!all) return;
  all.hidden = false;
  const boxes = [...form.querySelectorAll('input[type="checkbox"]:not([data-all])')];
  all.addEventListener("change", () => boxes.forEach((box) => { box.checked = all.checked; }));
  form.addEventListener("change", () => { all.checked = boxes.length > 0 && boxes.every((box) => box.checked); });
});
