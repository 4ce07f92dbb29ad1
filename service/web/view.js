/** Drawing an answer of `POST /recognize`: notices, ranked labels, sampled frames with weights, and timings. */

import { bar, element } from "./dom.js";
import { currentLanguage, formatMilliseconds, formatNumber, formatPercent, formatSeconds, translate } from "./i18n.js";
import { labelTexts } from "./labels.js";

/**
 * Draw an answer into a container, replacing what was there.
 *
 * @param {Element} container
 * @param {object} answer - as the service sent it
 * @param {{selected: number, onSelect: function(number), onSeek: function(number)}} interaction - the index of the
 *   prediction whose frame weights are shown; `onSelect` gets another index, `onSeek` a time in seconds
 */
export function renderAnswer(container, answer, { selected, onSelect, onSeek }) {
  container.replaceChildren(
    ...renderNotices(answer),
    renderPredictions(answer, { selected, onSelect }),
    renderFrames(answer, { prediction: answer.predictions[selected], onSeek }),
    renderTimings(answer.timings_ms),
    renderFacts(answer),
  );
}

/** The main text of a label in the page's language, or in the one it has. */
export function labelTitle(label) {
  return labelTexts(label, currentLanguage())[0].text;
}

function renderNotices(answer) {
  const degraded = answer.degraded ? [element("p", { className: "notice" }, translate("degraded"))] : [];
  const warnings = answer.warnings.map((warning) =>
    element("p", { className: "notice" }, element("strong", {}, `${translate("warning")}: `), warning),
  );
  return [...degraded, ...warnings];
}

function renderPredictions({ predictions, fusion }, { selected, onSelect }) {
  const list = element("ol", { className: "predictions", aria: { label: translate("ranking") } });
  predictions.forEach((prediction, index) => {
    const button = renderPrediction(prediction, { isSelected: index === selected, isCompared: Boolean(fusion) });
    button.addEventListener("click", () => onSelect(index));
    list.append(element("li", {}, button));
  });
  // Classes of a closed vocabulary are not compared with text.
  const hint = fusion ? "similarityHint" : "classHint";
  return element("div", {}, list, element("p", { className: "hint" }, translate(hint)));
}

function renderPrediction(prediction, { isSelected, isCompared }) {
  const texts = labelTexts(prediction.label, currentLanguage()).map(({ language, text }, index) =>
    element("span", { className: index ? "label-second" : "label-first", lang: language }, text),
  );
  return element(
    "button",
    { type: "button", className: "prediction", aria: { pressed: String(isSelected) } },
    element("span", { className: "rank" }, String(prediction.rank)),
    element("span", { className: "label-texts" }, ...texts),
    element("span", { className: "probability" }, formatPercent(prediction.probability)),
    bar(prediction.probability, "probability-bar"),
    ...(isCompared ? [renderSimilarities(prediction)] : []),
  );
}

function renderSimilarities(prediction) {
  return element(
    "span",
    { className: "similarities" },
    element("span", {}, translate("similarityEn", { value: formatSimilarity(prediction.similarity_en) })),
    element("span", {}, translate("similarityZh", { value: formatSimilarity(prediction.similarity_zh) })),
  );
}

function formatSimilarity(value) {
  return value === null || value === undefined ? "–" : formatNumber(value, 3);
}

function renderFrames(answer, { prediction, onSeek }) {
  const weights = prediction.frame_weights ?? answer.frames.map((frame) => frame.weight);
  const largest = Math.max(...weights);
  // A model that averages its frames prefers none of them, whatever the label.
  const areEqual = weights.length > 1 && Math.min(...weights) === largest;
  const list = element("ul", { className: "frames" });
  answer.frames.forEach((frame, index) => {
    const isTop = !areEqual && weights[index] === largest;
    const button = renderFrame(frame, { weight: weights[index], largest, isTop });
    button.addEventListener("click", () => onSeek(frame.time_seconds));
    list.append(element("li", {}, button));
  });
  const title = areEqual
    ? translate("framesAveraged")
    : translate("framesFor", { label: labelTitle(prediction.label) });
  return element(
    "section",
    { aria: { label: title } },
    element("h3", {}, translate("frames")),
    element("p", { className: "hint" }, title),
    list,
  );
}

function renderFrame(frame, { weight, largest, isTop }) {
  const time = formatSeconds(frame.time_seconds);
  const share = formatPercent(weight);
  // Only inline pictures are shown: a page that loads what an answer names could be led elsewhere.
  const isInline = frame.thumbnail?.startsWith("data:image/");
  const picture = isInline
    ? element("img", { src: frame.thumbnail, alt: "" })
    : element("span", { className: "no-picture" }, `#${frame.index}`);
  return element(
    "button",
    {
      type: "button",
      className: isTop ? "frame frame-top" : "frame",
      aria: { label: translate("frameAt", { time, weight: share }) },
    },
    picture,
    bar(largest > 0 ? weight / largest : 0, "weight-bar"),
    element("span", { className: "frame-facts" }, element("span", {}, time), element("span", {}, share)),
  );
}

function renderTimings(timings) {
  const stages = Object.entries(timings).filter(([stage]) => stage !== "total");
  const rest = timings.total - stages.reduce((sum, [, value]) => sum + value, 0);
  if (rest > 0.05 * timings.total) stages.push(["other", rest]);
  const stack = element("div", { className: "stages", aria: { hidden: "true" } });
  const legend = element("ul", { className: "legend" });
  for (const [stage, value] of stages) {
    const segment = element("span", { data: { stage } });
    segment.style.flexGrow = String(value);
    stack.append(segment);
    const key = element("span", { className: "key", data: { stage }, aria: { hidden: "true" } });
    legend.append(element("li", {}, key, `${translate(stage)} ${formatMilliseconds(value)}`));
  }
  const total = translate("total", { value: formatMilliseconds(timings.total) });
  return element("section", {}, element("h3", {}, `${translate("timings")}: ${total}`), stack, legend);
}

function renderFacts(answer) {
  const { video, fusion, cache } = answer;
  const facts = [
    video.codec,
    `${video.width} x ${video.height}`,
    formatSeconds(video.duration_seconds),
    fusion ? `λ ${formatNumber(fusion.lambda, 2)}` : "",
    cache?.video === "hit" ? translate("cached") : "",
    translate("requestId", { id: answer.request_id }),
  ];
  return element("p", { className: "hint facts" }, facts.filter(Boolean).join(" · "));
}
