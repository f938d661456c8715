// Filters the clauses by verdict and text. The report reads the same without it.
(() => {
  const bar = document.querySelector(".filter");
  if (!bar) return;
  bar.hidden = false;
  const find = bar.querySelector("input");
  const buttons = [...bar.querySelectorAll("button")];
  const clauses = [...document.querySelectorAll(".clause")];
  const texts = new Map(clauses.map((clause) => [clause, clause.textContent.toLowerCase()]));
  const apply = () => {
    const shown = new Set(buttons.filter((b) => b.getAttribute("aria-pressed") === "true").map((b) => b.dataset.verdict));
    const text = find.value.trim().toLowerCase();
    for (const clause of clauses) clause.hidden = !shown.has(clause.dataset.verdict) || !texts.get(clause).includes(text);
    for (const card of document.querySelectorAll(".requirement")) card.hidden = !card.querySelector(".clause:not([hidden])");
  };
  for (const button of buttons)
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
      apply();
    });
  find.addEventListener("input", apply);
  // A link to a clause opens it, also where the filter hides it.
  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const clause = target && target.closest(".clause");
    if (!clause) return;
    clause.hidden = clause.closest(".requirement").hidden = false;
    clause.open = true;
    target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  reveal();
})();
