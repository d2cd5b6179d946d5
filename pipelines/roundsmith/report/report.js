"use strict";
(() => {
  const form = document.getElementById("filters");
  if (!form) return;
  const text = document.getElementById("filter-text");
  const verdict = document.getElementById("filter-verdict");
  const selected = document.getElementById("filter-selected");
  const count = document.getElementById("filter-count");
  const samples = [...document.querySelectorAll("details.sample")];
  const contents = samples.map((sample) => sample.textContent.toLowerCase());
  const apply = () => {
    const wanted = text.value.trim().toLowerCase();
    let shown = 0;
    samples.forEach((sample, i) => {
      const keep =
        (!wanted || contents[i].includes(wanted)) &&
        (!verdict.value || sample.dataset.verdict === verdict.value) &&
        (!selected.value || sample.dataset.selected === selected.value);
      sample.hidden = !keep;
      shown += keep ? 1 : 0;
    });
    count.textContent = `${shown} of ${samples.length} shown`;
  };
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  apply();
})();
