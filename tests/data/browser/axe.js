// What axe finds on a page, each with the place in the list of known findings that it fits, or -1. Colours alone change with the theme.
async ([known, coloursOnly]) => {
  const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
  const colours = { type: "rule", values: ["color-contrast", "link-in-text-block"] };
  const options = { runOnly: coloursOnly ? colours : tags, resultTypes: ["violations"] };
  const { violations } = await axe.run(document, options);
  const place = (rule, element) => known.findIndex(([name, selector]) => name === rule && element?.matches(selector));
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, html, failureSummary }) => ({
      rule: id,
      known: place(id, document.querySelector(target.flat()[0])),
      html: html.slice(0, 200),
      why: failureSummary.split("\n").slice(1, 3).join(" ").trim(),
    })),
  );
}
