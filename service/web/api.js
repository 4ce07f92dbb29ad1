/** Everything that crosses the network: what the service knows, the recognition request, and the same as curl. */

/** A refusal by the service (RFC 9457), or a connection that broke (status 0). */
export class ApiProblem extends Error {
  constructor({ status = 0, title = "", detail = "", request_id: requestId = "", field = null }, retryAfter = null) {
    super(detail || title);
    Object.assign(this, { status, title, detail, requestId, field, retryAfter: Number(retryAfter) || null });
  }
}

/** Read a JSON document of the service, such as `bundle` or `label-sets`; `key` is an API key or empty. */
export async function readDocument(path, { key }) {
  const response = await fetch(path, { headers: authorization(key) });
  if (!response.ok) throw problemOf(response.status, await response.text(), response.headers.get("Retry-After"));
  return response.json();
}

/**
 * Send a video for recognition. XMLHttpRequest, because fetch does not tell how much of an upload has been sent.
 *
 * @param {File} video
 * @param {[string, string][]} fields - the other form fields, in order
 * @param {{key: string, onUpload: function(number), signal: AbortSignal}} options - `key` is an API key or empty,
 *   `onUpload` gets the sent fraction in [0, 1]
 * @returns {Promise<object>} the answer
 * @throws {ApiProblem} the service refused, or the connection broke
 * @throws {DOMException} named AbortError, after the signal was aborted
 */
export function recognize(video, fields, { key, onUpload, signal }) {
  const form = new FormData();
  // Text fields go first, so that the service can refuse them before it has read the video.
  for (const [name, value] of fields) form.append(name, value);
  form.append("video", video);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.upload.onprogress = (event) => onUpload(event.total ? event.loaded / event.total : 1);
    request.upload.onload = () => onUpload(1);
    request.onerror = () => reject(new ApiProblem({}));
    request.onabort = () => reject(new DOMException("cancelled", "AbortError"));
    request.onload = () => settle(request, resolve, reject);
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.open("POST", "recognize");
    for (const [name, value] of Object.entries(authorization(key))) request.setRequestHeader(name, value);
    request.send(form);
  });
}

/**
 * Render the same request as a shell command; every value is quoted, since labels are free text. A key is not written
 * out: the command takes it from the shell's `API_KEY`.
 */
export function renderCurl(videoName, fields, { hasKey }) {
  const url = new URL("recognize", document.baseURI).href;
  // curl reads , and ; in a file name as syntax unless the name stands in double quotes.
  const path = `"${videoName.replace(/[\\"]/g, "\\$&")}"`;
  // --form-string, because -F would read a leading @ or a ;type= in a label as an instruction.
  const strings = fields.map(([name, value]) => `--form-string ${shellQuote(`${name}=${value}`)}`);
  const header = hasKey ? ['-H "Authorization: Bearer $API_KEY"'] : [];
  return ["curl", ...header, `-F ${shellQuote(`video=@${path}`)}`, ...strings, shellQuote(url)].join(" \\\n  ");
}

function authorization(key) {
  return key ? { Authorization: `Bearer ${key}` } : {};
}

function settle(request, resolve, reject) {
  if (request.status !== 200) {
    reject(problemOf(request.status, request.responseText, request.getResponseHeader("Retry-After")));
    return;
  }
  try {
    resolve(JSON.parse(request.responseText));
  } catch {
    reject(new ApiProblem({ status: request.status }));
  }
}

function problemOf(status, text, retryAfter) {
  try {
    return new ApiProblem({ ...JSON.parse(text), status }, retryAfter);
  } catch {
    return new ApiProblem({ status }, retryAfter);
  }
}

function shellQuote(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
