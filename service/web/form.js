/** The form: reading its fields into a request, showing what the typed labels mean, and errors beside their field. */

import { hasChinese, isClosed } from "./bundle.js";
import { byId, element, showMessage } from "./dom.js";
import { currentLanguage, formatNumber, translate } from "./i18n.js";
import { labelTexts, labelValue, parseLabels } from "./labels.js";

const MAX_CHIPS = 60;
const CONTROLS = {
  video: "video",
  labels: "labels",
  label_set: "label-set",
  lambda: "lambda",
  views: "views",
  top_k: "top-k",
  key: "api-key",
};
// Errors of a stored set stand where errors of typed labels stand.
const MESSAGES = { ...CONTROLS, label_set: "labels" };

/**
 * Read the form.
 *
 * @param {?object} manifest - the bundle's, or null while it is unknown; with a closed vocabulary no labels means all
 * @returns {{fields: [string, string][], problems: {field: string, text: string}[]}} the request's text fields as
 *   `POST /recognize` names them, and what must be mended first; the video is the caller's
 */
export function readForm(manifest) {
  const problems = [];
  const fields = readLabels(problems, { isOptional: isClosed(manifest) });
  if (byId("lambda").dataset.chosen && !isClosed(manifest)) fields.push(["lambda", byId("lambda").value]);
  fields.push(["views", byId("views").value], ["top_k", byId("top-k").value]);
  if (!/^[1-9]\d*$/.test(byId("top-k").value)) problems.push({ field: "top_k", text: translate("badTopK") });
  return { fields, problems };
}

/** Show an error beside the field at fault, or below the form where none is known, and move the focus to the field. */
export function showError(field, text) {
  const control = byId(CONTROLS[field]);
  if (!control) {
    showMessage("form-error", text);
    return;
  }
  showMessage(`${MESSAGES[field]}-error`, text);
  control.setAttribute("aria-invalid", "true");
  if (byId("options").contains(control)) byId("options").open = true;
  if (field === "key") byId("key-field").hidden = false;
  control.focus();
}

/** Take all errors away. */
export function clearErrors() {
  showMessage("form-error", "");
  for (const field of Object.keys(CONTROLS)) clearError(field);
}

/** Take the error of one field away. */
export function clearError(field) {
  showMessage(`${MESSAGES[field]}-error`, "");
  byId(CONTROLS[field]).removeAttribute("aria-invalid");
}

/** Draw one chip for each label that is read from the text, with its languages. */
export function renderChips() {
  const { labels } = parseLabels(byId("labels").value);
  const chips = labels.slice(0, MAX_CHIPS).map((label) => {
    const texts = labelTexts(label, currentLanguage());
    return element("li", {}, ...texts.map(({ language, text }) => element("span", { lang: language }, text)));
  });
  if (labels.length > MAX_CHIPS) {
    chips.push(element("li", {}, translate("labelsMore", { count: labels.length - MAX_CHIPS })));
  }
  byId("chips").replaceChildren(...chips);
  byId("labels-count").textContent = labels.length ? translate("labelsCount", { count: labels.length }) : "";
}

/** Say how much English weighs and whether that was chosen here; nothing while the manifest is unknown (null). */
export function renderLambda(manifest) {
  const slider = byId("lambda");
  const isChosen = Boolean(slider.dataset.chosen);
  const value = formatNumber(Number(slider.value), 2);
  const isFixed = !hasChinese(manifest) || isClosed(manifest);
  const fixed = isClosed(manifest) ? "lambdaUnused" : "lambdaFixed";
  const key = isChosen ? "lambdaChosen" : "lambdaDefault";
  const text = manifest ? translate(isFixed ? fixed : key, { value }) : "";
  slider.disabled = isFixed;
  slider.setAttribute("aria-valuetext", text);
  byId("lambda-value").textContent = text;
  byId("lambda-reset").hidden = !isChosen;
}

/** Say what may be typed as labels: anything, or some of the classes of a closed vocabulary. */
export function renderHint(manifest) {
  byId("labels-hint").textContent = translate(isClosed(manifest) ? "classesHint" : "labelsHint");
}

/** Show the text area or the list of stored sets, as chosen. */
export function renderSource() {
  const usesSet = usesStoredSet();
  byId("own-labels").hidden = usesSet;
  byId("stored-set").hidden = !usesSet;
}

/** Whether a stored label set is asked for instead of typed labels. */
export function usesStoredSet() {
  return document.querySelector("input[name=source]:checked").value === "set";
}

function readLabels(problems, { isOptional }) {
  if (usesStoredSet()) return [["label_set", byId("label-set").value]];
  const { labels, problem } = parseLabels(byId("labels").value);
  if (problem) problems.push({ field: "labels", text: translate(problem.key, problem.values) });
  else if (!labels.length && isOptional) return [];
  else if (!labels.length) problems.push({ field: "labels", text: translate("needLabels") });
  return [["labels", JSON.stringify(labels.map(labelValue))]];
}
