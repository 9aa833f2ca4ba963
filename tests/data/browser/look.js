// What is wrong with a page as wide as the screen: whether it is wider, and whether it does not show what it has to say.
([says, width]) => {
  const faults = [];
  if (document.documentElement.scrollWidth > width) {
    const wide = [...document.querySelectorAll("body *")].filter((one) => one.getBoundingClientRect().right > width + 1);
    const visible = wide.filter((one) => !one.closest(".sipuri-scroll, svg"));
    faults.push(`${document.documentElement.scrollWidth} wide: ${visible.map((one) => one.outerHTML.slice(0, 120)).slice(-2).join(" | ")}`);
  }
  const holders = [...document.querySelectorAll("body :not(script)")].filter((one) =>
    [...one.childNodes].some((part) => part.nodeType === Node.TEXT_NODE && part.data.includes(says)),
  );
  const isSeen = (box) => box.width > 0 && box.height > 0 && box.left >= 0 && box.left < width;
  if (says && !holders.some((one) => isSeen(one.getBoundingClientRect()))) faults.push(`does not say: ${says}`);
  return faults;
}
