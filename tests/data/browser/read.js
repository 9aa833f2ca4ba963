// What is wrong with the text and the links of a page: characters that act, scripts that ran, links that lead away.
() => {
  const acting = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/;
  const ours = /^(otpauth:|\/(?!\/)|[?#]|\.\.\/|[\w-]+([/?]|$)|http:\/\/127\.0\.0\.1:\d+\/)/;
  const start = (one) => one.outerHTML.slice(0, 120);
  const faults = [];
  const texts = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const inside = texts.currentNode.parentElement;
    if (!inside.closest("textarea, script, style") && acting.test(texts.currentNode.data)) faults.push(`acts: ${start(inside)}`);
  }
  for (const one of document.querySelectorAll("[title], [aria-label]")) {
    if (acting.test(one.title) || acting.test(one.ariaLabel ?? "")) faults.push(`acts in a label: ${start(one)}`);
  }
  for (const one of document.querySelectorAll("[href], [src], [action]")) {
    const addresses = ["href", "src", "action"].map((name) => one.getAttribute(name)).filter(Boolean);
    if (!addresses.every((address) => ours.test(address))) faults.push(`leads away: ${start(one)}`);
  }
  if (document.title === "owned" || typeof owned !== "undefined") faults.push("a script ran");
  return faults.slice(0, 5);
}
