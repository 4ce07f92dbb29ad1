/** The chosen video: file input, drop zone, and the player that shows it and can be sent to a time. */

import { byId } from "./dom.js";
import { formatNumber, translate } from "./i18n.js";

/**
 * Connect the video's controls.
 *
 * @param {{onChange: function()}} listeners - called after another file was chosen
 * @returns {{file: ?File, seek: function(number), redraw: function()}} the chosen file, a function that shows a time
 *   in seconds, and one that writes the texts in the page's language
 */
export function connectVideo({ onChange }) {
  const input = byId("video");
  const video = { file: null, isPlayable: true, seek, redraw: () => renderTexts(video) };
  const choose = (file) => {
    if (!file) return;
    Object.assign(video, { file, isPlayable: true });
    showInPlayer(file);
    renderTexts(video);
    onChange();
  };
  input.addEventListener("change", () => choose(input.files[0]));
  connectDropZone(byId("video-field"), choose);
  byId("player").addEventListener("error", () => {
    video.isPlayable = false;
    renderTexts(video);
  });
  return video;
}

function connectDropZone(zone, choose) {
  const mark = (isOver) => byId("drop-zone").classList.toggle("drop-over", isOver);
  zone.addEventListener("dragover", (event) => {
    event.preventDefault();
    mark(true);
  });
  zone.addEventListener("dragleave", () => mark(false));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    mark(false);
    choose(event.dataTransfer.files[0]);
  });
}

function showInPlayer(file) {
  const player = byId("player");
  // Without this the browser keeps every video that was ever chosen in memory.
  if (player.src) URL.revokeObjectURL(player.src);
  player.src = URL.createObjectURL(file);
}

function renderTexts({ file, isPlayable }) {
  byId("drop-zone").classList.toggle("drop-small", Boolean(file));
  byId("player").hidden = !file || !isPlayable;
  document.querySelector("#drop-zone strong").textContent = translate(file ? "changeVideo" : "chooseVideo");
  if (!file) return;
  const size = file.size < 1e5 ? `${formatNumber(file.size / 1e3, 1)} kB` : `${formatNumber(file.size / 1e6, 1)} MB`;
  byId("video-name").textContent = [file.name, size, isPlayable ? "" : translate("noPreview")]
    .filter(Boolean)
    .join(" · ");
}

function seek(seconds) {
  const player = byId("player");
  if (player.hidden) return;
  player.pause();
  player.currentTime = seconds;
  player.scrollIntoView({ block: "nearest" });
}
