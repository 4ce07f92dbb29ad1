/** The page's own words in English and Chinese. The current language is the `lang` attribute of the document. */

/** Every message by language and key; {placeholders} are filled by `translate`. */
export const MESSAGES = {
  en: {
    tagline: "Which action is it? Any labels, in English and Chinese.",
    video: "Video",
    chooseVideo: "Choose a video",
    dropVideo: "or drop it here",
    changeVideo: "Choose another video",
    noPreview: "The browser cannot play this file; the service may still read it.",
    labels: "Labels",
    ownLabels: "My own",
    storedSet: "A stored set",
    labelSet: "Label set",
    labelsHint: "One a line or separated by commas. English, Chinese, or a pair: moving left = 向左移动",
    classesHint: "This bundle knows its own classes alone: leave this empty for all of them, or name some.",
    labelsCount: "Labels: {count}",
    labelsMore: "and {count} more",
    setSize: "{name} ({count} labels)",
    options: "Options",
    balance: "Balance of the languages",
    useDefault: "Use the default",
    lambdaDefault: "{value} for English (default)",
    lambdaChosen: "{value} for English",
    lambdaFixed: "This bundle has no Chinese branch: English only.",
    lambdaUnused: "The classes of this bundle are not compared with text, in either language.",
    views: "Views",
    viewsHint: "Clips x crops: more views are steadier and slower.",
    topK: "Answers to show",
    recognise: "Recognise",
    cancel: "Cancel",
    copyCurl: "Copy as curl",
    copied: "Copied.",
    copyByHand: "Copy it from here.",
    uploading: "Uploading…",
    recognising: "Recognising…",
    cancelled: "Cancelled.",
    done: "Done: {label}, {probability}.",
    needVideo: "Choose a video first.",
    needLabels: "Type at least one label.",
    badPair: "“{label}” is not a pair: give one English and one Chinese text around “=”.",
    repeated: "“{label}” is given twice, at {first} and {second}: remove one.",
    badTopK: "Give a whole number of at least 1.",
    connectionLost: "The connection broke. The service may be away, or it refused the video for its size.",
    failed: "The request failed with status {status}.",
    retryAfter: "Try again in {seconds} s.",
    requestId: "Request {id}",
    bundleAway: "The service does not say which bundle it serves.",
    english: "English",
    bilingual: "English + Chinese",
    closedVocabulary: "closed vocabulary of {count} classes",
    classes: "Classes",
    frameCount: "{count} frames",
    trainedOn: "Training data: {key}",
    recipe: "Recipe",
    results: "Result",
    placeholder: "Choose a video, name some actions, and see how well each one fits.",
    degraded: "Part of this video could not be read; the answer rests on the rest.",
    warning: "Note",
    ranking: "Ranked labels",
    similarityEn: "English {value}",
    similarityZh: "Chinese {value}",
    similarityHint: "Cosine similarity in each language; choose a label to see which frames speak for it.",
    classHint: "Probabilities among all classes of the bundle.",
    frames: "Sampled frames",
    framesFor: "Weights of the frames for “{label}”",
    framesAveraged: "The frames are averaged: each weighs the same for every label",
    frameAt: "Frame at {time}, weight {weight}: show it in the player",
    timings: "Time",
    total: "{value} in all",
    upload: "Upload",
    decode: "Decode",
    encode: "Encode",
    score: "Score",
    other: "Other",
    queue: "Queue",
    thumbnails: "Thumbnails",
    apiKey: "API key",
    keyHint: "This service asks for a key; it is kept until this page is closed.",
    milliseconds: "{value} ms",
    cached: "frames from the cache",
    apiDocs: "API documentation",
  },
  zh: {
    tagline: "这是什么动作？任意标签，中英双语。",
    video: "视频",
    chooseVideo: "选择视频",
    dropVideo: "或拖放到这里",
    changeVideo: "更换视频",
    noPreview: "浏览器无法播放此文件，但服务可能仍能读取。",
    labels: "标签",
    ownLabels: "自己输入",
    storedSet: "已存标签集",
    labelSet: "标签集",
    labelsHint: "每行一个或用逗号分隔。英文、中文，或成对：moving left = 向左移动",
    classesHint: "此模型包只认识自己的类别：留空表示全部，也可写出其中几个。",
    labelsCount: "共 {count} 个标签",
    labelsMore: "另有 {count} 个",
    setSize: "{name}（{count} 个标签）",
    options: "选项",
    balance: "两种语言的比重",
    useDefault: "使用默认值",
    lambdaDefault: "英文占 {value}（默认）",
    lambdaChosen: "英文占 {value}",
    lambdaFixed: "此模型包没有中文分支：仅用英文。",
    lambdaUnused: "此模型包的类别不与任何语言的文本比较。",
    views: "视图",
    viewsHint: "片段 x 裁剪：视图越多越稳定，也越慢。",
    topK: "显示结果数",
    recognise: "识别",
    cancel: "取消",
    copyCurl: "复制为 curl",
    copied: "已复制。",
    copyByHand: "请从这里复制。",
    uploading: "正在上传…",
    recognising: "正在识别…",
    cancelled: "已取消。",
    done: "完成：{label}，{probability}。",
    needVideo: "请先选择视频。",
    needLabels: "请至少输入一个标签。",
    badPair: "“{label}”不是一对：请在“=”两侧各给一个英文和一个中文文本。",
    repeated: "“{label}”重复出现，在第 {first} 和第 {second} 个：请删去一个。",
    badTopK: "请输入不小于 1 的整数。",
    connectionLost: "连接中断。服务可能不可用，或因视频过大而拒绝。",
    failed: "请求失败，状态码 {status}。",
    retryAfter: "请在 {seconds} 秒后重试。",
    requestId: "请求 {id}",
    bundleAway: "服务没有说明它使用哪个模型包。",
    english: "英文",
    bilingual: "英文 + 中文",
    closedVocabulary: "封闭词表，共 {count} 类",
    classes: "类别",
    frameCount: "{count} 帧",
    trainedOn: "训练数据：{key}",
    recipe: "配方",
    results: "结果",
    placeholder: "选择一个视频，写下几个动作，看看每个动作有多符合。",
    degraded: "视频有一部分无法读取；答案只依据其余部分。",
    warning: "注意",
    ranking: "标签排名",
    similarityEn: "英文 {value}",
    similarityZh: "中文 {value}",
    similarityHint: "每种语言的余弦相似度；选择一个标签，查看哪些帧支持它。",
    classHint: "在模型包全部类别中的概率。",
    frames: "采样帧",
    framesFor: "各帧对“{label}”的权重",
    framesAveraged: "各帧取平均：对每个标签权重相同",
    frameAt: "{time} 处的帧，权重 {weight}：在播放器中显示",
    timings: "耗时",
    total: "共 {value}",
    upload: "上传",
    decode: "解码",
    encode: "编码",
    score: "打分",
    other: "其他",
    queue: "排队",
    thumbnails: "缩略图",
    apiKey: "API 密钥",
    keyHint: "此服务需要密钥；密钥只保留到关闭本页。",
    milliseconds: "{value} 毫秒",
    cached: "帧来自缓存",
    apiDocs: "API 文档",
  },
};

const STORAGE_KEY = "duoact-language";

/** The page's language, "en" or "zh". */
export function currentLanguage() {
  return document.documentElement.lang === "zh" ? "zh" : "en";
}

/** The language chosen earlier, else the browser's. */
export function preferredLanguage() {
  try {
    const stored = localStorage.getItem(STORAGE_KEY);
    if (stored && Object.hasOwn(MESSAGES, stored)) return stored;
  } catch {
    // A browser that blocks storage throws on every use of it.
  }
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

/** Keep a language for the next visit, where the browser allows it. */
export function rememberLanguage(language) {
  try {
    localStorage.setItem(STORAGE_KEY, language);
  } catch {
    // As above: the choice then lasts as long as the page.
  }
}

/** Switch the page's fixed words; what is drawn from data must be drawn again by the caller. */
export function switchLanguage(language) {
  document.documentElement.lang = language;
  for (const node of document.querySelectorAll("[data-i18n]")) node.textContent = translate(node.dataset.i18n);
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === language));
  }
}

/** A message in the page's language with its {placeholders} filled; an unknown key is shown as it is. */
export function translate(key, values = {}) {
  const messages = MESSAGES[currentLanguage()];
  const message = Object.hasOwn(messages, key) ? messages[key] : key;
  return message.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/** A number with a fixed count of decimals, written as the page's language does. */
export function formatNumber(value, decimals) {
  const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
  return new Intl.NumberFormat(currentLanguage(), digits).format(value);
}

/** A fraction as a percentage with one decimal; what would round to zero says so. */
export function formatPercent(fraction) {
  if (fraction > 0 && fraction < 0.0005) return `< ${formatNumber(0.1, 1)} %`;
  return `${formatNumber(100 * fraction, 1)} %`;
}

/** A time within a video, in seconds with two decimals. */
export function formatSeconds(seconds) {
  return `${formatNumber(seconds, 2)} s`;
}

/** A duration in milliseconds. */
export function formatMilliseconds(value) {
  return translate("milliseconds", { value: formatNumber(value, value < 10 ? 1 : 0) });
}
