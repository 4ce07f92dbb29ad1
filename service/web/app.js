/** The page at `/`: connects form, service and drawing, and holds the little state there is. */

import { ApiProblem, readDocument, recognize, renderCurl } from "./api.js";
import { renderBundle, renderBundleError, renderLabelSets } from "./bundle.js";
import { byId, showMessage } from "./dom.js";
import {
  clearError,
  clearErrors,
  readForm,
  renderChips,
  renderHint,
  renderLambda,
  renderSource,
  showError,
  usesStoredSet,
} from "./form.js";
import { formatPercent, preferredLanguage, rememberLanguage, switchLanguage, translate } from "./i18n.js";
import { connectVideo } from "./player.js";
import { labelTitle, renderAnswer } from "./view.js";

startPage();

function startPage() {
  const state = { manifest: null, labelSets: [], answer: null, selected: 0, cancellation: null };
  const video = connectVideo({
    onChange: () => {
      state.cancellation?.abort();
      forgetAnswer(state);
    },
  });
  for (const button of document.querySelectorAll("[data-language]")) {
    button.addEventListener("click", () => {
      rememberLanguage(button.dataset.language);
      redraw(button.dataset.language, { state, video });
    });
  }
  connectForm({ state, video });
  redraw(preferredLanguage(), { state, video });
  readService(state);
}

function connectForm({ state, video }) {
  byId("form").addEventListener("submit", (event) => {
    event.preventDefault();
    submit({ state, video });
  });
  byId("cancel").addEventListener("click", () => {
    state.cancellation?.abort();
    byId("recognise").focus();
  });
  byId("copy-curl").addEventListener("click", () => copyCurl({ state, video }));
  byId("labels").addEventListener("input", renderChips);
  for (const radio of document.querySelectorAll("input[name=source]")) radio.addEventListener("change", renderSource);
  byId("api-key").addEventListener("change", () => readService(state));
  // A command that no longer says what the form says would mislead.
  byId("form").addEventListener("input", () => showMessage("curl", ""));
  byId("lambda").addEventListener("input", () => {
    byId("lambda").dataset.chosen = "true";
    renderLambda(state.manifest);
  });
  byId("lambda-reset").addEventListener("click", () => {
    resetLambda(state);
    byId("lambda").focus();
  });
}

function redraw(language, { state, video }) {
  switchLanguage(language);
  video.redraw();
  renderChips();
  renderSource();
  renderHint(state.manifest);
  renderLambda(state.manifest);
  renderLabelSets(state.labelSets);
  if (state.manifest) renderBundle(state.manifest);
  if (state.answer) drawAnswer({ state, video });
}

async function readService(state) {
  const key = byId("api-key").value;
  try {
    state.manifest = await readDocument("bundle", { key });
    clearError("key");
    renderBundle(state.manifest);
    renderHint(state.manifest);
    // A choice made while the manifest was on its way stays.
    if (!byId("lambda").dataset.chosen) resetLambda(state);
  } catch (problem) {
    if (fieldAtFault(problem) === "key") showError("key", describe(problem));
    else renderBundleError(problem);
  }
  try {
    state.labelSets = (await readDocument("label-sets", { key })).label_sets;
  } catch {
    // Stored sets are a convenience: without them the choice stays closed and typed labels still work.
    state.labelSets = [];
  }
  renderLabelSets(state.labelSets);
}

function resetLambda(state) {
  const slider = byId("lambda");
  delete slider.dataset.chosen;
  slider.value = String(state.manifest.scoring.fusion.value);
  renderLambda(state.manifest);
}

async function submit({ state, video }) {
  if (state.cancellation) return;
  clearErrors();
  const { fields, problems } = readForm(state.manifest);
  if (!video.file) problems.unshift({ field: "video", text: translate("needVideo") });
  showProblems(problems);
  if (problems.length) return;
  forgetAnswer(state);
  state.cancellation = new AbortController();
  showBusy(true);
  try {
    const options = { key: byId("api-key").value, onUpload: showUpload, signal: state.cancellation.signal };
    state.answer = await recognize(video.file, [...fields, ["explain", "true"]], options);
    const [best] = state.answer.predictions;
    const values = { label: labelTitle(best.label), probability: formatPercent(best.probability) };
    showBusy(false, translate("done", values));
    drawAnswer({ state, video });
    byId("results").scrollIntoView({ block: "nearest" });
  } catch (error) {
    showBusy(false, error.name === "AbortError" ? translate("cancelled") : "");
    if (error instanceof ApiProblem) showError(fieldAtFault(error), describe(error));
    else if (error.name !== "AbortError") throw error;
  } finally {
    state.cancellation = null;
  }
}

function drawAnswer({ state, video }) {
  byId("placeholder").hidden = true;
  renderAnswer(byId("answer"), state.answer, {
    selected: state.selected,
    onSeek: video.seek,
    onSelect: (index) => {
      state.selected = index;
      drawAnswer({ state, video });
      document.querySelectorAll(".prediction")[index].focus();
    },
  });
}

function forgetAnswer(state) {
  Object.assign(state, { answer: null, selected: 0 });
  byId("answer").replaceChildren();
  byId("placeholder").hidden = false;
}

function showProblems(problems) {
  // The last first, so that the focus ends on the first field at fault.
  for (const { field, text } of problems.toReversed()) showError(field, text);
}

function showBusy(isBusy, status = "") {
  byId("form").setAttribute("aria-busy", String(isBusy));
  // Not `disabled`, which would take the focus away from someone at the keyboard.
  byId("recognise").setAttribute("aria-disabled", String(isBusy));
  byId("cancel").hidden = !isBusy;
  byId("progress").hidden = !isBusy;
  byId("progress").value = 0;
  byId("status").textContent = isBusy ? translate("uploading") : status;
}

function showUpload(fraction) {
  if (fraction < 1) {
    byId("progress").value = fraction;
    return;
  }
  byId("progress").removeAttribute("value");
  byId("status").textContent = translate("recognising");
}

function fieldAtFault({ field, status }) {
  if (status === 401) return "key";
  if (field === "labels" && usesStoredSet()) return "label_set";
  // A proxy in front of the service refuses a large upload without naming a field.
  return field ?? (status === 413 ? "video" : null);
}

function describe({ status, title, detail, requestId, retryAfter }) {
  if (!status) return translate("connectionLost");
  const sentences = [detail || title || translate("failed", { status })];
  if (retryAfter) sentences.push(translate("retryAfter", { seconds: retryAfter }));
  if (requestId) sentences.push(`(${translate("requestId", { id: requestId })})`);
  return sentences.join(" ");
}

async function copyCurl({ state, video }) {
  clearErrors();
  const { fields, problems } = readForm(state.manifest);
  showProblems(problems);
  if (problems.length) return;
  const command = renderCurl(video.file?.name ?? "clip.mp4", fields, { hasKey: Boolean(byId("api-key").value) });
  showMessage("curl", command);
  try {
    await navigator.clipboard.writeText(command);
    byId("status").textContent = translate("copied");
  } catch {
    // No clipboard without permission or on plain http: the command stands on the page.
    byId("status").textContent = translate("copyByHand");
  }
}
