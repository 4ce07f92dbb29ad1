/** What the service serves: the bundle's line with its facts, the default balance, and the stored label sets. */

import { byId, element, showMessage } from "./dom.js";
import { currentLanguage, formatNumber, translate } from "./i18n.js";
import { labelTexts } from "./labels.js";

/** Whether a manifest, if it is known, has a Chinese branch that was trained. */
export function hasChinese(manifest) {
  return Boolean(manifest?.chinese?.trained);
}

/** Whether a manifest, if it is known, names the only labels there are. */
export function isClosed(manifest) {
  return manifest?.vocabulary === "closed";
}

/** Draw the line that says which bundle answers and, folded below it, what it was trained on and how well it did. */
export function renderBundle(manifest) {
  const { name, method, backbone, sampling, provenance } = manifest;
  const labels = isClosed(manifest)
    ? translate("closedVocabulary", { count: manifest.classes.length })
    : translate(hasChinese(manifest) ? "bilingual" : "english");
  const frames = translate("frameCount", { count: sampling.num_frames });
  byId("bundle-line").textContent = [name, method, backbone, frames, labels].join(" · ");
  const classes = isClosed(manifest) ? [[translate("classes"), classNames(manifest.classes)]] : [];
  const facts = [
    ...classes,
    [translate("recipe"), provenance.recipe],
    ...Object.entries(provenance.training_data).map(([key, value]) => [
      translate("trainedOn", { key }),
      plainText(value),
    ]),
    ...provenance.metrics.map(({ name: metric, value, protocol }) => [
      metric,
      `${formatNumber(value, 3)} (${protocol})`,
    ]),
  ];
  byId("bundle-facts").replaceChildren(
    ...facts.map(([term, fact]) => element("div", {}, element("dt", {}, term), element("dd", {}, fact))),
  );
  byId("bundle").hidden = false;
  showMessage("bundle-error", "");
}

/** Say that the bundle could not be read. */
export function renderBundleError(problem) {
  showMessage("bundle-error", [translate("bundleAway"), problem.message].filter(Boolean).join(" "));
}

/** Offer the stored label sets; the choice stays closed while there are none. */
export function renderLabelSets(labelSets) {
  const select = byId("label-set");
  const chosen = select.value;
  select.replaceChildren(
    ...labelSets.map(({ name, num_labels: count }) =>
      element("option", { value: name, selected: name === chosen }, translate("setSize", { name, count })),
    ),
  );
  document.querySelector("input[name=source][value=set]").disabled = labelSets.length === 0;
}

function classNames(classes) {
  return classes.map((label) => labelTexts(label, currentLanguage())[0].text).join(", ");
}

function plainText(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}
