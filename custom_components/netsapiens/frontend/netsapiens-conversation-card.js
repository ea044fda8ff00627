/**
 * The conversation card: what was written with a recipient, live, and a box to answer.
 *
 * One module without a build step. Words come from the integration's translations, data from its websocket commands.
 *
 * @typedef {{key: string, status: "received"|"sent"|"sending"|"waiting"|"failed", at: string, order: number[],
 *   text: string, sender: string|null, media_type: string|null, media_content_id: string|null, media_name?: string|null,
 *   reason?: string|null,
 *   error?: string|null, translation_key?: string|null, placeholders?: Record<string, string>|null,
 *   can_retry?: boolean}} Row
 * @typedef {{entity: string, title?: string, limit?: number, type?: string}} Config
 * @typedef {{row: Row, node: HTMLElement, place?: string}} Shown
 * @typedef {(key: string, values?: Record<string, unknown>) => string} Localize
 * @typedef {{data?: string, mime_type?: string, media?: {media_content_id: string}, preview: string, name: string}} Picture
 * @typedef {{text: string, picture: Picture|null, key?: string}} Draft A key is there where it may have been sent.
 */

const TAG = "netsapiens-conversation-card";
const SCOPE = "component.netsapiens.common.card_";
const PAGE = 100; // older messages that are asked for at once
const NEAR = 400; // px from the top at which they are
const AT_END = 60; // px from the bottom that still count as the bottom
const MOST_NODES = 60; // messages in the page at once; more would make layout slow
const LEAST_HEIGHT = 20; // px; a screen that is higher than so much for each of those gets more of them
const STEP = 10; // messages that come into the page in one frame
const SCREEN = 30; // messages that are shown at once where none were
const MOST_SIDE = 1600; // px of a picture from the clipboard
const PICKER_TRIES = 60; // looks for its button, 50 ms apart
const AGAIN = [1000, 3000, 10000, 30000]; // ms until the conversation is asked for again

/** What stands in until the translations are there; English, as Home Assistant falls back to. */
const ENGLISH = {
  name: "NetSapiens conversation",
  description: "The conversation with a recipient, live, with a box to answer.",
};

/** @type {Map<string, Draft>} Kept while somebody looks elsewhere. */
const drafts = new Map();

/** @type {Set<ConversationCard>} Those on the page: what is written in one shows in the others of its recipient. */
const cards = new Set();

/**
 * Keep what is being written to a recipient, and show it.
 * @param {string} entity
 * @param {Draft} draft
 */
function keepDraft(entity, draft) {
  drafts.set(entity, draft);
  for (const card of cards) card.showDraftOf(entity);
}

/**
 * @param {string} tag
 * @param {string} [className]
 * @param {string} [text]
 * @returns {HTMLElement}
 */
function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

/** @param {string} path */
function icon(path) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const shape = document.createElementNS("http://www.w3.org/2000/svg", "path");
  shape.setAttribute("d", path);
  svg.append(shape);
  return svg;
}

const ICONS = {
  picture: "M5 4h14a2 2 0 0 1 2 2v12a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2V6a2 2 0 0 1 2-2m0 14h14l-4.5-6-3.5 4.5-2.500-3z",
  send: "M4 20l17-8L4 4v6l11 2-11 2z",
  down: "M12 16.500l-6-6L7.400 9.100l4.600 4.600 4.600-4.600 1.400 1.400z",
  clock:
    "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18m0 16a7 7 0 1 1 0-14 7 7 0 0 1 0 14m1-12h-2v6l4.500 2.700 1-1.600-3.500-2.100z",
  close:
    "M18.300 7.100L16.900 5.700 12 10.600 7.100 5.700 5.700 7.100l4.900 4.900-4.900 4.900 1.400 1.400 4.900-4.900 4.900 4.900 1.400-1.400-4.900-4.900z",
};

/** Links, phone numbers and one-time codes; each as such, and nothing else as anything but text. */
const LINK = new RegExp(
  [
    /(?<url>\b[Hh][Tt][Tt][Pp][Ss]?:\/\/[^\s<>"'“”]{1,2000})/u,
    // No phone numbers, though they look like some: dates, account numbers (IBAN), IP addresses, measurements.
    /(?<!\w)(?:19|20)\d\d(?<a>[.\-/])\d\d?\k<a>\d\d?(?!\d)/u,
    /(?<!\w)[0-3]?\d(?<b>[.\-/])[0-3]?\d\k<b>(?:19|20)?\d\d(?!\k<b>?\d)/u,
    /\b[A-Z]{2}\d\d(?: ?[A-Z\d]{4}){2,7}(?: ?[A-Z\d]{1,3})?\b/u,
    /(?<![\w+])(?:0|[1-9]\d{0,2})(?:\.(?:0|[1-9]\d{0,2})){3}(?!\.?\d)/u,
    /(?<![\w.+])(?:0|[1-9]\d*)\.\d+(?:(?:[ /-]\d+\.\d+)+|(?![ .\-/]?\d))/u,
    /(?<phone>(?:\((?=\+?\d{1,5}\)))?(?<![\w+]|\d[.,:])\+?\d(?:[ .\-/]?\(?\d\)?){8,14}(?!\w|:\d))/u,
  ]
    .map((one) => one.source)
    .join("|"),
  "gu",
);
const CODE = /(?<![\w.,:/€$£-])\d{4,8}(?![\w.,:/€$£%-]*\w)/u;
const CODE_WORDS = /\b(?:code|pin|otp|passcode|token|tan|código|kode|codigo|bestätigungscode)\b/iu;

/**
 * Append a text with its links, phone numbers and code.
 * @param {HTMLElement} node
 * @param {string} text
 * @param {(code: string) => HTMLElement} codeButton
 */
function appendText(node, text, codeButton) {
  const code = CODE_WORDS.test(text) ? CODE.exec(text) : null;
  let at = 0;
  /** @param {number} end */
  const plain = (end) => {
    if (code && code.index >= at && code.index + code[0].length <= end) {
      node.append(text.slice(at, code.index), codeButton(code[0]));
      at = code.index + code[0].length;
    }
    node.append(text.slice(at, end));
    at = end;
  };
  for (const match of text.matchAll(LINK)) {
    const { url, phone } = match.groups || {};
    if (!url && !phone) continue;
    const isClosed = match[0].split("(").length === match[0].split(")").length;
    const found = match[0].replace(/[.,;:!?)\]]+$/u, (tail) => (isClosed && tail === ")" ? tail : ""));
    if (code && match.index <= code.index && code.index < match.index + found.length) continue;
    plain(match.index);
    const link = /** @type {HTMLAnchorElement} */ (make("a", "", found));
    link.dir = "ltr"; // also in a text that is read from right to left
    if (url) {
      link.href = found;
      link.target = "_blank";
      link.rel = "noopener noreferrer nofollow";
    } else {
      link.href = `tel:${found.replace(/[^\d+]/gu, "")}`;
    }
    node.append(link);
    at = match.index + found.length;
  }
  plain(text.length);
}

// As the integration's segments.py counts; a test compares them.
const GSM = new Set(
  "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà",
);
const GSM_TWO = new Set("\f^{}\\[~]|€"); // each takes the room of two
/** @type {[RegExp, string][]} */
const PLAIN = [
  [/[\u2018\u2019\u201a\u201b]/gu, "'"],
  [/[\u201c\u201d\u201e\u201f]/gu, '"'],
  [/[\u2010-\u2015\u2212]/gu, "-"],
  [/[\u00a0\u2007\u202f]/gu, " "],
  [/\u2026/gu, "..."],
];

/**
 * How many SMS a text is billed as. No SMS ends within a character of two units.
 * @param {string} text
 */
function filled(text) {
  const chars = [...text];
  const isGsm = chars.every((char) => GSM.has(char) || GSM_TWO.has(char));
  const [one, each] = isGsm ? [160, 153] : [70, 67];
  let total = 0;
  let used = 0;
  let segments = 1;
  for (const char of chars) {
    const units = isGsm ? (GSM_TWO.has(char) ? 2 : 1) : char.length;
    total += units;
    if (used + units > each) {
      segments += 1;
      used = 0;
    }
    used += units;
  }
  return total <= one ? 1 : segments;
}

/**
 * How many SMS a text is billed as when it is sent.
 * @param {string} text
 * @param {boolean} isMadePlain Whether it gets plain quotes, dashes, dots and blanks where that is cheaper.
 */
export function segmentsOf(text, isMadePlain) {
  if (!isMadePlain) return filled(text);
  const plain = PLAIN.reduce((shown, [marks, mark]) => shown.replace(marks, mark), text);
  return Math.min(filled(text), filled(plain));
}

/**
 * Whether a message comes before another.
 * @param {Row} one
 * @param {Row} other
 */
function compare(one, other) {
  for (let part = 0; part < 3; part += 1) {
    if (one.order[part] !== other.order[part]) return one.order[part] - other.order[part];
  }
  return 0;
}

/**
 * What opens the picker of Home Assistant's media selector.
 * @param {ShadowRoot} root
 * @returns {HTMLElement|null}
 */
function pickButton(root) {
  for (const node of root.querySelectorAll("*")) {
    const found = /^(ha-card|ha-button|button)$/u.test(node.localName) ? node : null;
    const inside = found || (node.shadowRoot && pickButton(node.shadowRoot));
    if (inside) return /** @type {HTMLElement} */ (inside);
  }
  return null;
}

/**
 * Copy a text; say whether it was copied. Without HTTPS a page has no clipboard, and can only copy what is selected.
 * @param {string} text
 * @param {HTMLElement} button What was pressed: it has the focus again afterwards.
 */
async function copied(text, button) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const box = /** @type {HTMLTextAreaElement} */ (make("textarea", "unseen"));
    box.value = text;
    button.after(box); // beside it, so that nothing scrolls
    box.select();
    const isCopied = document.execCommand("copy");
    box.remove();
    button.focus({ preventScroll: true });
    return isCopied;
  }
}

/**
 * A picture of the clipboard, small enough to send.
 * @param {Blob} file
 * @param {string} name
 * @returns {Promise<Picture>}
 */
async function pictureOf(file, name) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, MOST_SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext("2d");
  if (!context) throw new Error("no canvas");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  const preview = canvas.toDataURL("image/jpeg", 0.85);
  return { data: preview.slice(preview.indexOf(",") + 1), mime_type: "image/jpeg", preview, name };
}

const STYLE = `
:host { display: block; height: 100%; }
ha-card { display: flex; flex-direction: column; height: 100%; min-height: 260px; max-height: var(--netsapiens-card-height, 620px);
  overflow: hidden; position: relative; transition: none; }
:host(.grid) ha-card { max-height: none; }
:host(.panel) ha-card { max-height: none; height: calc(100dvh - var(--header-height, 56px)); }
[hidden] { display: none !important; }
h2 { margin: 0; padding: 14px 16px 10px; font-size: var(--ha-card-header-font-size, 18px); font-weight: 500; line-height: 1.3;
  color: var(--ha-card-header-color, var(--primary-text-color)); overflow-wrap: anywhere; }
.log { margin: 0; padding: 6px 12px 12px; flex: 1; min-height: 0; overflow-y: auto; overflow-anchor: none;
  display: flex; flex-direction: column; overscroll-behavior: contain; contain: layout paint; }
.log:focus-visible, button:focus-visible, a:focus-visible { outline: 2px solid var(--primary-color); outline-offset: -2px; }
.item { max-width: min(82%, 520px); margin-top: 10px; align-self: flex-start; display: flex; flex-direction: column;
  align-items: flex-start; flex: none; contain: content; }
.item.run { margin-top: 3px; }
.item.mine { align-self: flex-end; align-items: flex-end; }
.item.day, .item.more { align-self: center; max-width: none; margin: 14px 0 4px; font-size: 12px; color: var(--secondary-text-color); }
.log > .item:first-child { margin-top: auto; }
.bubble { padding: 8px 13px; border-radius: 18px; max-width: 100%; box-sizing: border-box; unicode-bidi: plaintext;
  white-space: pre-wrap; overflow-wrap: anywhere; line-height: 1.4; background: var(--secondary-background-color);
  color: var(--primary-text-color); }
.mine .bubble { background: color-mix(in srgb, var(--primary-color) 16%, var(--card-background-color, #fff)); }
.tail .bubble { border-end-start-radius: 6px; }
.mine.tail .bubble { border-end-start-radius: 18px; border-end-end-radius: 6px; }
.pending .bubble { background: none; box-shadow: inset 0 0 0 1px var(--divider-color); color: var(--secondary-text-color); }
.failed .bubble { background: none; box-shadow: inset 0 0 0 2px var(--error-color); color: var(--primary-text-color); }
.bubble a { color: inherit; text-decoration: underline; }
.code { font: inherit; font-weight: 700; letter-spacing: .06em; color: inherit; background: none; border: 0; padding: 0;
  text-decoration: underline dotted; cursor: copy; }
.picture { display: block; width: 240px; max-width: 100%; aspect-ratio: 4 / 3; padding: 0; border: 0; border-radius: 10px; overflow: hidden;
  background: var(--divider-color); cursor: zoom-in; color: var(--primary-text-color); font: inherit; }
.picture img { width: 100%; height: 100%; object-fit: cover; display: block; }
.picture + p, p { margin: 0; }
.picture + p { margin-top: 6px; }
.sender, .meta { font-size: 12px; color: var(--secondary-text-color); margin: 2px 10px 0; }
.mine .meta { text-align: end; }
.actions { display: inline-block; white-space: nowrap; }
.failed .meta { color: var(--primary-text-color); }
.failed .meta b { font-weight: 600; }
.failed .meta b::before { content: ""; display: inline-block; width: 8px; height: 8px; border-radius: 50%; margin-inline-end: 5px;
  background: var(--error-color); }
.meta svg { width: 13px; height: 13px; fill: currentColor; vertical-align: -2px; margin-inline-end: 3px; }
.meta button, .text-button { font: inherit; color: var(--primary-text-color); background: none; border: 0; padding: 4px 6px; min-height: 24px;
  text-decoration: underline; cursor: pointer; }
.note { margin: auto; padding: 24px; text-align: center; color: var(--secondary-text-color); }
.banner { padding: 6px 16px; font-size: 13px; color: var(--primary-text-color); border-inline-start: 4px solid var(--warning-color); }
.newest { position: absolute; inset-inline-end: 16px; bottom: 76px; display: flex; align-items: center; gap: 4px; min-height: 36px;
  padding: 0 12px 0 8px; border: 1px solid var(--divider-color); border-radius: 18px; background: var(--card-background-color, #fff);
  color: var(--primary-text-color); font: inherit; font-size: 13px; cursor: pointer; }
svg { width: 22px; height: 22px; fill: currentColor; flex: none; }
form { padding: 8px 12px 12px; border-top: 1px solid var(--divider-color); }
.box { display: flex; align-items: flex-end; gap: 4px; border: 1px solid var(--secondary-text-color); border-radius: 22px; padding: 3px; }
.box:focus-within { border-color: var(--primary-color); box-shadow: 0 0 0 1px var(--primary-color); }
textarea { flex: 1; min-width: 0; resize: none; border: 0; outline: none; background: none; color: var(--primary-text-color);
  font: inherit; font-size: 16px; line-height: 1.4; padding: 7px 6px; max-height: 140px; box-sizing: border-box; }
textarea::placeholder { color: var(--secondary-text-color); opacity: 1; }
.box button { width: 38px; height: 38px; flex: none; display: grid; place-items: center; border: 0; border-radius: 50%; background: none;
  color: var(--primary-text-color); cursor: pointer; }
.box button[disabled] { opacity: .38; cursor: default; }
.side { align-self: center; font-size: 12px; color: var(--secondary-text-color); white-space: nowrap; }
.picked { display: flex; align-items: center; gap: 8px; padding: 0 4px 8px; font-size: 13px; color: var(--secondary-text-color); }
.picked img { height: 48px; border-radius: 8px; display: block; }
dialog { padding: 0; border: 0; background: #000; max-width: 96vw; max-height: 96vh; }
dialog::backdrop { background: rgb(0 0 0 / 82%); }
dialog img { display: block; max-width: 96vw; max-height: 92vh; }
dialog button { position: absolute; inset-block-start: 8px; inset-inline-end: 8px; width: 44px; height: 44px; border: 0; border-radius: 50%;
  background: #000; color: #fff; display: grid; place-items: center; cursor: pointer; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
@media (prefers-reduced-motion: no-preference) { .item.new .bubble { animation: rise .2s ease-out; } }
@keyframes rise { from { transform: translateY(8px); opacity: 0; } }
`;

class ConversationCard extends HTMLElement {
  constructor() {
    super();
    /** @type {Config} */
    this._config = { entity: "" };
    /** @type {any} */
    this._hass = null;
    /** @type {Map<string, Row>} */
    this._rows = new Map();
    /** @type {Row[]} */
    this._sorted = [];
    /** @type {Map<string, Shown>} */
    this._nodes = new Map();
    /** @type {Map<string, Promise<string|null>>} */
    this._links = new Map();
    /** @type {Map<string, string>} */
    this._previews = new Map();
    this._about = {
      name: "",
      can_send: false,
      is_group: false,
      is_sms: false,
      plain_characters: false,
      has_older: false,
      opted_out: false,
    };
    this._isLoaded = false;
    this._refusal = "";
    this._first = 0; // index of the first message that is in the page
    this._last = 0; // index after the last one
    this._top = 0; // px; where it was scrolled to
    this._isGoingUp = true;
    this._frame = 0; // that is asked for
    this._wasScrolled = false;
    this._unread = 0;
    this._isAtEnd = true;
    this._isReadingOlder = false;
    this._isVisible = false;
    this._failures = 0;
    this._epoch = 0; // of the subscription; what comes of an earlier one is late
    this._isUnread = false; // whether the phone system could not be asked
    this._events = 0;
    /** @type {Promise<() => void>|null} */
    this._subscription = null;
    /** @type {Localize|null} */
    this._localize = null;
    /** @type {string|null} */
    this._language = null;
    this._observer = new IntersectionObserver((entries) => {
      this._isVisible = entries[entries.length - 1].isIntersecting;
      this._follow();
    });
    this._onVisibility = () => this._follow();
    // A keyboard that folds out, a font or words that come late: whoever is at the bottom stays there.
    this._sizes = new ResizeObserver(() => this._stayAtEnd());
    this._height = 0;
    this._root = this.attachShadow({ mode: "open" });
    /** @type {Map<string, Intl.DateTimeFormat>} */
    this._formatters = new Map();
    /** @type {Map<string, string>} By the minute: to format a time is slow. */
    this._days = new Map();
    this._today = ""; // the day that the others are named after
    /** @type {ReturnType<typeof setTimeout>|undefined} */
    this._timer = undefined;
    this._title = make("h2");
    this._title.dir = "auto";
    this._banner = make("div", "banner");
    this._log = make("div", "log");
    this._note = make("div", "note");
    this._news = make("div", "unseen");
    this._newest = /** @type {HTMLButtonElement} */ (make("button", "newest"));
    this._newestText = make("span");
    this._dialog = /** @type {HTMLDialogElement} */ (make("dialog"));
    this._large = /** @type {HTMLImageElement} */ (make("img"));
    this._close = /** @type {HTMLButtonElement} */ (make("button"));
    this._form = /** @type {HTMLFormElement} */ (make("form"));
    this._picked = make("div", "picked");
    this._picker = make("div", "picker");
    this._thumb = /** @type {HTMLImageElement} */ (make("img"));
    this._pickedName = make("span");
    this._remove = /** @type {HTMLButtonElement} */ (make("button", "text-button"));
    this._attach = /** @type {HTMLButtonElement} */ (make("button"));
    this._text = /** @type {HTMLTextAreaElement} */ (make("textarea"));
    this._text.dir = "auto";
    this._side = make("span", "side");
    this._send = /** @type {HTMLButtonElement} */ (make("button"));
    this._build();
  }

  // --- what Home Assistant asks of a card -----------------------------------------------

  /** @param {Config} config */
  setConfig(config) {
    if (!config || typeof config.entity !== "string" || !/^(notify|event)\./u.test(config.entity)) {
      throw new Error("entity: notify.… or event.… of a recipient is needed");
    }
    if (config.limit !== undefined && !(Number.isInteger(config.limit) && config.limit >= 1 && config.limit <= 200)) {
      throw new Error("limit: a number from 1 to 200");
    }
    const isOther = config.entity !== this._config.entity || config.limit !== this._config.limit;
    this._config = config;
    if (isOther) this._restart();
    this._showHead();
    this._showDraft();
  }

  /** @param {any} hass */
  set hass(hass) {
    const before = this._hass;
    this._hass = hass;
    if (hass.language !== this._language) this._loadWords(hass);
    if (before && before.connected === false && hass.connected) this._restart();
    const isOther = before && (before.locale !== hass.locale || before.config?.time_zone !== hass.config?.time_zone);
    if (isOther) {
      this._days.clear();
      this._nodes.clear();
    }
    const today = this._dayKey(new Date());
    if (isOther || today !== this._today) this._showAll();
    this._today = today;
    if (before && before.localize !== hass.localize && this._localize && this._text.placeholder !== this._t("text")) {
      this._loadWords(hass);
    }
    if (!before) this._follow();
  }

  get hass() {
    return this._hass;
  }

  /** How the view shows its cards; told by Home Assistant. @param {string|undefined} layout */
  set layout(layout) {
    this.classList.toggle("panel", layout === "panel");
    this.classList.toggle("grid", layout === "grid");
  }

  getCardSize() {
    return 8;
  }

  getGridOptions() {
    return { columns: 12, rows: 8, min_columns: 6, min_rows: 5 };
  }

  /** @param {any} hass */
  static getStubConfig(hass) {
    const registry = hass?.entities || {};
    const mine = Object.values(registry).find(
      (one) => one.platform === "netsapiens" && one.entity_id.startsWith("notify."),
    );
    return { entity: mine ? mine.entity_id : "notify.example" };
  }

  static getConfigForm() {
    return {
      schema: [
        {
          name: "entity",
          required: true,
          selector: {
            entity: {
              filter: [
                { integration: "netsapiens", domain: "notify" },
                { integration: "netsapiens", domain: "event" },
              ],
            },
          },
        },
        { name: "title", selector: { text: {} } },
        { name: "limit", selector: { number: { min: 1, max: 200, mode: "box" } } },
      ],
      /**
       * @param {{name: string}} schema
       * @param {Localize} localize
       */
      computeLabel: (schema, localize) => localize(`${SCOPE}editor_${schema.name}`) || undefined,
    };
  }

  connectedCallback() {
    this._observer.observe(this);
    this._sizes.observe(this._log);
    document.addEventListener("visibilitychange", this._onVisibility);
    cards.add(this);
    this._showDraft();
  }

  disconnectedCallback() {
    this._observer.disconnect();
    this._sizes.unobserve(this._log);
    document.removeEventListener("visibilitychange", this._onVisibility);
    this._isVisible = false;
    cards.delete(this);
    this._follow();
  }

  // --- words --------------------------------------------------------------------------

  /** @param {any} hass */
  async _loadWords(hass) {
    this._language = hass.language;
    for (let tries = 0; tries < 10; tries += 1) {
      const localize = await this._hass.loadBackendTranslation("common", "netsapiens");
      if (this._language !== hass.language) return;
      this._localize = localize;
      if (this._t("text")) break;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    this._nodes.clear();
    this._labels();
    this._showHead();
    this._showAll();
  }

  /**
   * @param {string} key
   * @param {Record<string, unknown>} [values]
   */
  _t(key, values) {
    // What was loaded for one language may be gone from a localize function when others are loaded at the same time.
    return this._localize?.(SCOPE + key, values) || this._hass?.localize?.(SCOPE + key, values) || "";
  }

  get _locale() {
    const language = this._hass?.locale?.language || navigator.language;
    return language === "en" ? navigator.languages.find((one) => one.startsWith("en")) || "en" : language;
  }

  /** @param {Intl.DateTimeFormatOptions} options */
  _format(options) {
    const locale = this._hass?.locale;
    /** @type {Intl.DateTimeFormatOptions} */
    const shown = { ...options };
    if (locale?.time_format === "12") shown.hour12 = true;
    if (locale?.time_format === "24") shown.hourCycle = "h23";
    if (!options.hour) {
      delete shown.hour12;
      delete shown.hourCycle;
    }
    if (locale?.time_zone === "server" && this._hass.config?.time_zone) shown.timeZone = this._hass.config.time_zone;
    const key = JSON.stringify([this._locale, shown]);
    const known = this._formatters.get(key) || new Intl.DateTimeFormat(this._locale, shown);
    this._formatters.set(key, known);
    return known;
  }

  /** @param {Date} at */
  _time(at) {
    return this._format({ hour: "numeric", minute: "2-digit" }).format(at);
  }

  /** @param {Date} at */
  _dayKey(at) {
    return this._format({ year: "numeric", month: "2-digit", day: "2-digit" }).format(at);
  }

  /** @param {Row} row */
  _dayOf(row) {
    const minute = row.at.slice(0, 16);
    const known = this._days.get(minute) || this._dayKey(new Date(row.at));
    this._days.set(minute, known);
    return known;
  }

  /** @param {Date} at */
  _day(at) {
    const now = new Date();
    const yesterday = new Date(now.getTime());
    yesterday.setDate(now.getDate() - 1); // a day may have 23 or 25 hours
    if (this._dayKey(at) === this._dayKey(now)) return this._t("today");
    if (this._dayKey(at) === this._dayKey(yesterday)) return this._t("yesterday");
    const isThisYear = at.getFullYear() === now.getFullYear();
    return this._format({
      weekday: "short",
      month: "short",
      day: "numeric",
      ...(isThisYear ? {} : { year: "numeric" }),
    }).format(at);
  }

  // --- the frame ------------------------------------------------------------------------

  _build() {
    const style = document.createElement("style");
    style.textContent = STYLE;
    const card = document.createElement("ha-card");
    this._banner.setAttribute("role", "status");
    this._log.setAttribute("role", "log");
    this._log.setAttribute("aria-live", "off"); // older ones are no news; `_news` says what is
    this._log.tabIndex = 0;
    this._news.setAttribute("role", "status");
    this._newest.type = "button";
    this._newest.append(icon(ICONS.down), this._newestText);
    this._close.type = "button";
    this._close.append(icon(ICONS.close));
    this._dialog.append(this._large, this._close);
    this._buildForm();
    this._banner.hidden = this._newest.hidden = this._note.hidden = true;
    card.append(this._title, this._banner, this._log, this._note, this._newest, this._form, this._news, this._dialog);
    this._root.append(style, card);
    this._log.addEventListener("scroll", () => this._scrolled(), { passive: true });
    this._newest.addEventListener("click", () => this._toEnd());
    this._close.addEventListener("click", () => this._dialog.close());
    this._dialog.addEventListener("click", (event) => event.target === this._dialog && this._dialog.close());
  }

  _buildForm() {
    this._thumb.alt = "";
    this._remove.type = "button";
    this._picked.append(this._thumb, this._pickedName, this._remove);
    const box = make("div", "box");
    this._attach.type = "button";
    this._attach.append(icon(ICONS.picture));
    this._text.rows = 1;
    this._send.type = "submit";
    this._send.append(icon(ICONS.send));
    box.append(this._attach, this._text, this._side, this._send);
    this._form.append(this._picked, this._picker, box);
    this._form.hidden = this._picker.hidden = true;
    this._form.addEventListener("submit", (event) => {
      event.preventDefault();
      this._submit();
    });
    this._text.addEventListener("input", () => this._keepDraft({ text: this._text.value }));
    this._text.addEventListener("keydown", (event) => {
      event.stopPropagation(); // Home Assistant's shortcuts are no letters here
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this._submit();
    });
    this._text.addEventListener("paste", (event) => this._paste(event));
    this._attach.addEventListener("click", () => this._pick());
    this._remove.addEventListener("click", () => {
      this._keepDraft({ picture: null });
      this._text.focus();
    });
  }

  /** Name everything in the person's language. */
  _labels() {
    this._text.placeholder = this._t("text");
    for (const [node, key] of /** @type {[HTMLElement, string][]} */ ([
      [this._text, "text"],
      [this._attach, "add_picture"],
      [this._send, "send"],
      [this._close, "close"],
    ])) {
      node.setAttribute("aria-label", this._t(key));
      if (node !== this._text) node.title = this._t(key);
    }
    this._remove.textContent = this._t("remove");
    this._log.setAttribute("aria-label", this._t("messages"));
    this._showUnread();
    this._ready();
  }

  _showHead() {
    const name = this._about.name || this._hass?.states?.[this._config.entity]?.attributes?.friendly_name || "";
    this._title.textContent = this._config.title ?? name; // an empty one is none
    this._title.hidden = !this._title.textContent;
    this._form.hidden = !this._isLoaded || !this._about.can_send || this._about.opted_out;
    const isEmpty = this._isLoaded && !this._rows.size && !this._isUnread;
    const note = this._refusal || (isEmpty ? this._t("empty") : "");
    this._note.textContent = note;
    this._note.hidden = !note;
    this._log.hidden = Boolean(note);
    if (this._about.opted_out) this._showBanner(this._t("opted_out", { name: this._about.name }));
  }

  /** @param {string} words */
  _showBanner(words) {
    this._banner.textContent = words;
    this._banner.hidden = !words;
  }

  // --- the conversation -------------------------------------------------------------------

  /** Ask for the conversation while the card is on screen, and no longer. */
  _follow() {
    const wanted = Boolean(this._isVisible && !document.hidden && this._hass && this._config.entity);
    if (wanted && !this._subscription) this._subscribe();
    if (!wanted) this._unsubscribe();
  }

  _restart() {
    this._unsubscribe();
    this._rows.clear();
    this._nodes.clear();
    this._links.clear();
    this._log.replaceChildren();
    this._first = this._last = 0;
    this._isLoaded = false;
    this._isAtEnd = true;
    this._unread = 0;
    this._refusal = "";
    this._follow();
  }

  _unsubscribe() {
    this._epoch += 1;
    clearTimeout(this._timer);
    const subscription = this._subscription;
    this._subscription = null;
    subscription
      ?.then(
        (end) => end(),
        () => undefined,
      )
      .catch(() => undefined);
  }

  _subscribe() {
    const epoch = this._epoch;
    const { entity, limit } = this._config;
    const command = { type: "netsapiens/conversation/subscribe", entity_id: entity, ...(limit ? { limit } : {}) };
    /** @param {any} event */
    const take = (event) => epoch === this._epoch && this._take(event);
    this._subscription = this._hass.connection.subscribeMessage(take, command, { resubscribe: false });
    this._subscription?.catch((error) => {
      if (epoch === this._epoch) this._refused(error);
    });
  }

  /** @param {any} error */
  async _refused(error) {
    const code = error?.code;
    const isFinal = code === "unauthorized" || code === "not_found";
    if (isFinal) {
      this._rows.clear();
      this._log.replaceChildren();
      const words = await this._errorWords(error, "not_loaded");
      this._refusal = code === "unauthorized" ? this._t("no_permission") : words;
    } else {
      this._showBanner(this._t("not_loaded"));
    }
    this._again();
    this._showHead();
  }

  /** Ask again after a while, longer each time. */
  _again() {
    const wait = AGAIN[Math.min(this._failures, AGAIN.length - 1)] * (0.8 + Math.random() * 0.4);
    this._failures += 1;
    this._unsubscribe();
    this._timer = setTimeout(() => this._follow(), wait);
  }

  /** @param {any} event */
  async _take(event) {
    if (event.ended) {
      this._again();
      return;
    }
    const isFirst = "has_older" in event;
    if (isFirst) {
      this._failures = 0;
      this._refusal = "";
      // After a while elsewhere there may be a gap to what was shown before.
      const known = event.messages.some((/** @type {Row} */ row) => this._rows.has(row.key));
      if (!known) this._rows.clear();
      for (const [key, row] of this._rows) if (row.order[0] || "reason" in row) this._rows.delete(key);
      this._about = { ...this._about, ...event, has_older: known ? this._about.has_older : event.has_older };
      this._isLoaded = true;
    }
    this._about.opted_out = Boolean(event.opted_out);
    for (const key of event.removed || []) {
      this._rows.delete(key);
      this._previews.delete(key);
    }
    /** @type {Row[]} */
    const fresh = [];
    for (const row of event.messages || []) {
      if (!this._rows.has(row.key) && !isFirst) fresh.push(row);
      this._rows.set(row.key, row);
    }
    this._sort();
    const received = fresh.filter((row) => row.status === "received");
    if (!this._isAtEnd) this._unread += received.length;
    this._announce(received);
    this._isUnread = Boolean(event.error);
    this._events += 1;
    const number = this._events;
    const words = event.error ? await this._errorWords(event.error, "not_loaded") : "";
    if (number === this._events) this._showBanner(words); // else a later one says how it is now
    this._showHead();
    this._showAll(new Set(fresh.map((row) => row.key)));
  }

  /**
   * Say to a screen reader what came in.
   * @param {Row[]} rows
   */
  _announce(rows) {
    if (!rows.length) return;
    const row = rows[rows.length - 1];
    this._news.textContent = `${row.sender || ""}: ${row.text || this._t("picture")}`;
  }

  _sort() {
    this._sorted = [...this._rows.values()].sort(compare);
  }

  async _readOlder() {
    if (this._isReadingOlder || !this._about.has_older || !this._isLoaded) return;
    this._isReadingOlder = true;
    const epoch = this._epoch;
    const first = this._sorted.find((row) => !row.order[0] && !("reason" in row));
    try {
      const answer = await this._hass.callWS({
        type: "netsapiens/conversation/older",
        entity_id: this._config.entity,
        before: first?.key ?? null,
        limit: PAGE,
      });
      if (epoch !== this._epoch) return;
      this._about.has_older = answer.has_older;
      const before = this._sorted.length;
      const older = answer.messages.filter((/** @type {Row} */ row) => !this._rows.has(row.key));
      for (const row of older) this._rows.set(row.key, row);
      this._sorted = [...older, ...this._sorted].sort(compare); // in order already, which is quick
      this._first += this._sorted.length - before;
      this._last += this._sorted.length - before;
      this._showBanner("");
      if (older.length) this._grow(-1);
    } catch (error) {
      this._showBanner(await this._errorWords(error, "not_loaded"));
    } finally {
      this._isReadingOlder = false;
    }
  }

  /**
   * @param {any} error
   * @param {string} [otherwise] The key of what to say where it says nothing itself.
   */
  async _errorWords(error, otherwise = "failed") {
    if (error?.translation_key && this._hass) {
      const key = `component.netsapiens.exceptions.${error.translation_key}.message`;
      const values = error.placeholders || error.translation_placeholders || {};
      for (let tries = 0; tries < 4; tries += 1) {
        const localize = await this._hass.loadBackendTranslation("exceptions", "netsapiens");
        const words = localize(key, values) || this._hass.localize(key, values); // where another card loads them
        if (words) return words;
        await new Promise((resolve) => setTimeout(resolve, 300));
      }
    }
    if (error?.error?.code) return this._hass?.localize("ui.notification_toast.connection_lost") || this._t(otherwise);
    return error?.error || error?.message || this._t(otherwise);
  }

  // --- showing ----------------------------------------------------------------------------

  /**
   * Show the messages of the part that is looked at.
   * @param {Set<string>} [fresh] Keys of those that just came.
   */
  _showAll(fresh = new Set()) {
    if (!this._localize) return;
    const count = this._sorted.length;
    if (this._isAtEnd || this._last > count) {
      const isNear = this._last <= count && this._last > count - SCREEN; // else nothing that is shown stays
      this._first = Math.max(0, isNear ? Math.max(this._first, count - this._most) : count - SCREEN);
      this._last = count;
    }
    this._render(fresh);
    if (this._isAtEnd) this._log.scrollTop = this._log.scrollHeight;
    this._showUnread();
  }

  /** @param {Set<string>} fresh */
  _render(fresh) {
    const anchor = this._isAtEnd ? null : this._anchor();
    const shown = this._sorted.slice(this._first, this._last);
    /** @type {HTMLElement[]} */
    const wanted = [];
    /** @type {Map<string, Shown>} */
    const nodes = new Map();
    /** @type {Row|null} */
    let before = this._sorted[this._first - 1] || null;
    shown.forEach((row, number) => {
      if (!before || this._dayOf(before) !== this._dayOf(row)) {
        const day = this._day(new Date(row.at));
        const known = this._nodes.get(`day ${day}`);
        const node = known?.node || make("div", "item day", day);
        nodes.set(`day ${day}`, { row, node });
        wanted.push(node);
        before = null;
      }
      const after = shown[number + 1];
      const known = this._nodes.get(row.key);
      const node = known && known.row === row ? known.node : this._bubble(row);
      const isRun = Boolean(before && this._isRun(before, row));
      const isTail = !(after && this._isRun(row, after));
      const place = `${isRun} ${isTail}`;
      if (known?.node !== node || known.place !== place) this._place(node, row, isRun, isTail);
      if (fresh.has(row.key)) node.classList.add("new");
      nodes.set(row.key, { row, node, place });
      wanted.push(node);
      before = row;
    });
    this._nodes = nodes;
    this._replace(wanted);
    if (anchor) this._log.scrollTop += anchor.node.getBoundingClientRect().top - anchor.top;
    this._showMoreSoon();
  }

  /**
   * Let these and no others be in the page, and move none that is there already: a focus would be lost.
   * @param {HTMLElement[]} wanted
   */
  _replace(wanted) {
    const keep = new Set(wanted);
    for (const node of [...this._log.children]) {
      if (keep.has(/** @type {HTMLElement} */ (node))) continue;
      this._sizes.unobserve(node);
      node.remove();
    }
    /** @type {Element|null} */
    let next = this._log.firstElementChild;
    for (const node of wanted) {
      if (node === next) {
        next = next.nextElementSibling;
      } else {
        this._log.insertBefore(node, next);
        this._sizes.observe(node);
      }
    }
  }

  /** The first message that can be seen, and where it is. */
  _anchor() {
    const top = this._log.getBoundingClientRect().top;
    for (const node of this._log.children) {
      const box = node.getBoundingClientRect();
      if (box.bottom > top && !node.classList.contains("day")) return { node, top: box.top };
    }
    return null;
  }

  /**
   * Whether two messages are of one sender and minute.
   * @param {Row} one
   * @param {Row} other
   */
  _isRun(one, other) {
    const isOurs = (/** @type {Row} */ row) => row.status !== "received";
    return (
      isOurs(one) === isOurs(other) &&
      one.sender === other.sender &&
      one.order[0] === other.order[0] &&
      one.at.slice(0, 16) === other.at.slice(0, 16)
    );
  }

  /**
   * @param {HTMLElement} node
   * @param {Row} row
   * @param {boolean} isRun
   * @param {boolean} isTail
   */
  _place(node, row, isRun, isTail) {
    node.classList.toggle("run", isRun);
    node.classList.toggle("tail", isTail);
    const sender = /** @type {HTMLElement|null} */ (node.querySelector(".sender"));
    if (sender) sender.classList.toggle("unseen", isRun || !this._about.is_group || row.status !== "received");
    const meta = /** @type {HTMLElement|null} */ (node.querySelector(".meta"));
    if (meta && (row.status === "received" || row.status === "sent")) meta.classList.toggle("unseen", !isTail);
  }

  /** @param {Row} row */
  _bubble(row) {
    const isOurs = row.status !== "received";
    const isPending = row.status === "waiting" || row.status === "sending";
    const item = make(
      "div",
      `item ${isOurs ? "mine " : ""}${isPending ? "pending " : ""}${row.status === "failed" ? "failed" : ""}`,
    );
    item.append(make("span", "sender", isOurs ? this._t("you") : row.sender || ""));
    const bubble = make("div", "bubble");
    if (row.media_type) bubble.append(this._media(row));
    if (row.text) {
      const words = make("p");
      words.dir = "auto";
      appendText(words, row.text, (code) => this._code(code));
      bubble.append(words);
    }
    item.append(bubble, this._meta(row));
    return item;
  }

  /** @param {string} code */
  _code(code) {
    const button = /** @type {HTMLButtonElement} */ (make("button", "code", code));
    button.type = "button";
    button.title = this._t("copy");
    button.setAttribute("aria-label", `${code}, ${this._t("copy")}`);
    button.addEventListener("click", async () => {
      if (await copied(code, button)) this._news.textContent = this._t("copied");
    });
    return button;
  }

  /** @param {Row} row */
  _meta(row) {
    const meta = make("div", "meta");
    if (row.status === "sending" || row.status === "waiting") {
      meta.append(icon(ICONS.clock), this._t(row.status));
    } else if (row.status === "failed") {
      this._failure(meta, row);
    } else {
      const time = /** @type {HTMLTimeElement} */ (make("time", "", this._time(new Date(row.at))));
      time.dateTime = row.at;
      meta.append(time);
    }
    return meta;
  }

  /**
   * @param {HTMLElement} meta
   * @param {Row} row
   */
  _failure(meta, row) {
    const reason = make("span", "", row.error || "");
    meta.append(make("b", "", this._t("failed")), " ", reason);
    this._errorWords(row).then((words) => {
      reason.textContent = words;
    });
    if (!this._about.can_send) return;
    const actions = make("span", "actions");
    meta.append(" ", actions);
    for (const [key, command] of row.can_retry
      ? [
          ["retry", "retry"],
          ["dismiss", "dismiss"],
        ]
      : [["dismiss", "dismiss"]]) {
      const button = /** @type {HTMLButtonElement} */ (make("button", "", this._t(key)));
      button.type = "button";
      button.addEventListener("click", () => {
        this._text.focus();
        this._command(command, { key: row.key });
      });
      actions.append(button);
    }
  }

  /** @param {Row} row */
  _media(row) {
    if (!/^image\//u.test(row.media_type || "")) return make("p", "", this._t("file"));
    const button = /** @type {HTMLButtonElement} */ (make("button", "picture"));
    button.type = "button";
    const name = row.media_name || "";
    button.title = name;
    button.setAttribute("aria-label", name ? `${this._t("open_picture")}: ${name}` : this._t("open_picture"));
    const local = this._previews.get(row.key);
    if (!local && !row.media_content_id) {
      button.disabled = true;
      button.textContent = this._t("picture");
      return button;
    }
    const image = /** @type {HTMLImageElement} */ (make("img"));
    image.alt = "";
    image.decoding = "async";
    const id = String(row.media_content_id);
    const load = async () => {
      const url = local || (await this._link(id));
      if (url) image.src = url;
      button.replaceChildren(url ? image : this._t("picture"));
    };
    image.addEventListener("error", () => {
      this._links.delete(id);
      button.replaceChildren(this._t("picture"));
    });
    button.append(image);
    load();
    button.addEventListener("click", () => {
      if (!button.contains(image)) {
        load(); // it could not be had: perhaps it can be now
        return;
      }
      this._large.src = image.src;
      this._large.alt = row.text || name || this._t("picture");
      this._dialog.showModal();
    });
    return button;
  }

  /**
   * The address of a picture; its signature is for a while, so it is asked for when it is shown. One that could not be
   * had is asked for again the next time.
   * @param {string} id
   */
  _link(id) {
    let link = this._links.get(id);
    if (!link) {
      link = this._hass.callWS({ type: "media_source/resolve_media", media_content_id: id }).then(
        (/** @type {{url: string}} */ found) => this._hass.hassUrl(found.url),
        () => {
          this._links.delete(id);
          return null;
        },
      );
      this._links.set(id, /** @type {Promise<string|null>} */ (link));
      setTimeout(() => this._links.delete(id), 3600000);
    }
    return /** @type {Promise<string|null>} */ (link);
  }

  // --- scrolling --------------------------------------------------------------------------

  _stayAtEnd() {
    this._height = this._log.clientHeight;
    if (this._isAtEnd) this._log.scrollTop = this._log.scrollHeight;
  }

  _scrolled() {
    const log = this._log;
    if (log.clientHeight !== this._height) {
      this._stayAtEnd(); // it was not the person who scrolled
      if (this._isAtEnd) return;
    }
    const below = log.scrollHeight - log.scrollTop - log.clientHeight;
    this._isAtEnd = below < AT_END && this._last >= this._sorted.length;
    if (this._isAtEnd && this._unread) this._unread = 0;
    if (log.scrollTop !== this._top) this._isGoingUp = log.scrollTop < this._top;
    this._top = log.scrollTop;
    this._wasScrolled = true;
    this._showMoreSoon();
    this._showUnread();
  }

  /** How many messages are in the page at the most. */
  get _most() {
    return Math.max(MOST_NODES, Math.ceil(this._height / LEAST_HEIGHT));
  }

  /** One step a frame, until there is enough to scroll. */
  _showMoreSoon() {
    this._frame ||= requestAnimationFrame(() => {
      this._frame = 0;
      this._showMore();
      this._wasScrolled = false;
    });
  }

  /**
   * Show more where there is little left to scroll: where somebody scrolls to, else one step would undo the other.
   * Older ones are asked for where somebody scrolls, or nobody can.
   */
  _showMore() {
    const { scrollTop, scrollHeight, clientHeight } = this._log;
    if (!clientHeight) return;
    const hasAbove = this._first > 0 || this._about.has_older;
    const hasBelow = this._last < this._sorted.length;
    if (scrollTop < NEAR && hasAbove && (this._isGoingUp || !hasBelow)) {
      if (this._first > 0) this._grow(-1);
      else if (this._wasScrolled || scrollHeight <= clientHeight) this._readOlder();
    } else if (scrollHeight - scrollTop - clientHeight < NEAR && hasBelow && (!this._isGoingUp || !hasAbove)) {
      this._grow(1);
    }
  }

  /**
   * Show more in one direction, and less in the other.
   * @param {number} direction
   */
  _grow(direction) {
    if (direction < 0) {
      this._first = Math.max(0, this._first - STEP);
      this._last = Math.min(this._last, this._first + this._most);
    } else {
      this._last = Math.min(this._sorted.length, this._last + STEP);
      this._first = Math.max(this._first, this._last - this._most);
    }
    this._render(new Set());
    this._top = this._log.scrollTop;
  }

  _toEnd() {
    this._isAtEnd = true;
    this._unread = 0;
    this._showAll();
    this._log.focus({ preventScroll: true });
  }

  _showUnread() {
    this._newest.hidden = this._isAtEnd || this._log.hidden;
    if (this._newest.hidden) return;
    const count = this._unread;
    const words =
      count === 0 ? this._t("to_newest") : count === 1 ? this._t("new_one") : this._t("new_several", { count });
    if (words !== this._newestText.textContent) this._newestText.textContent = words; // else layout would begin anew
  }

  // --- writing ----------------------------------------------------------------------------

  get _draft() {
    return drafts.get(this._config.entity) || { text: "", picture: null };
  }

  /** @param {Partial<Draft>} change */
  _keepDraft(change) {
    keepDraft(this._config.entity, { ...this._draft, key: undefined, ...change });
  }

  /**
   * Show what is being written, where it is to this card's recipient.
   * @param {string} entity
   */
  showDraftOf(entity) {
    if (entity === this._config.entity) this._showDraft();
  }

  _showDraft() {
    const { text, picture } = this._draft;
    if (this._text.value !== text) this._text.value = text;
    this._picked.hidden = !picture;
    this._thumb.hidden = !picture?.preview;
    if (picture?.preview) this._thumb.src = picture.preview;
    this._pickedName.textContent = picture?.name || this._t("picture");
    this._ready();
  }

  _ready() {
    const { text, picture } = this._draft;
    this._send.disabled = !(text.trim() || picture);
    const segments = this._about.is_sms ? segmentsOf(text, this._about.plain_characters) : 1;
    this._side.textContent = segments > 1 ? this._t("segments", { count: segments }) : "";
    this._side.hidden = segments < 2;
    this._text.style.height = "auto";
    if (this._text.scrollHeight) this._text.style.height = `${this._text.scrollHeight}px`;
  }

  /** @param {ClipboardEvent} event */
  async _paste(event) {
    const file = [...(event.clipboardData?.files || [])].find((one) => one.type.startsWith("image/"));
    if (!file) return;
    event.preventDefault();
    try {
      this._keepDraft({ picture: await pictureOf(file, file.name) });
    } catch {
      this._showBanner(this._t("no_picture"));
    }
  }

  /** Choose a picture with Home Assistant's own picker: the one of its media selector, which loads it. */
  async _pick() {
    /** @type {any} */
    const selector = make("ha-selector");
    selector.hass = this._hass;
    selector.selector = { media: { accept: ["image/*"] } };
    selector.addEventListener("value-changed", (/** @type {CustomEvent} */ event) => {
      event.stopPropagation();
      this._picker.replaceChildren();
      this._pickedMedia(event.detail.value);
    });
    this._picker.replaceChildren(selector);
    this._picker.hidden = true;
    for (let wait = 0; wait < PICKER_TRIES; wait += 1) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      const button = selector.shadowRoot && pickButton(selector.shadowRoot);
      if (button) {
        button.click();
        return;
      }
    }
    this._picker.hidden = false; // it looks different now: the person presses it
  }

  /** @param {{media_content_id?: string, metadata?: {title?: string}}|undefined} picked */
  _pickedMedia(picked) {
    if (!picked?.media_content_id) return;
    const name = picked.metadata?.title || "";
    this._keepDraft({ picture: { media: { media_content_id: picked.media_content_id }, preview: "", name } });
    this._text.focus();
  }

  _submit() {
    const { entity } = this._config;
    const { text, picture, key: before } = this._draft;
    if (!(text.trim() || picture) || !this._hass) return;
    const random = [...crypto.getRandomValues(new Uint8Array(12))];
    const key = before || random.map((byte) => byte.toString(16).padStart(2, "0")).join("");
    if (picture?.preview) this._previews.set(`c${key}`, picture.preview);
    this._keepDraft({ text: "", picture: null });
    this._isAtEnd = true;
    const { data, mime_type, media } = picture || {};
    const fields = {
      ...(text.trim() ? { message: text } : {}),
      ...(data ? { data, mime_type } : {}),
      ...(media ? { media } : {}),
    };
    this._command("send", { key, ...fields })
      .catch(() => undefined)
      .then((isTaken) => {
        // It may have been taken all the same, where the connection was lost: by its key it is not sent twice.
        const now = drafts.get(entity);
        if (isTaken || now?.text || now?.picture) return;
        keepDraft(entity, { text, picture, key });
      });
  }

  /**
   * Send a command; say whether it was taken.
   * @param {string} command
   * @param {Record<string, unknown>} fields
   */
  async _command(command, fields) {
    try {
      await this._hass.callWS({
        type: `netsapiens/conversation/${command}`,
        entity_id: this._config.entity,
        ...fields,
      });
      return true;
    } catch (error) {
      this._showBanner(await this._errorWords(error));
      return false;
    }
  }
}

if (!customElements.get(TAG)) customElements.define(TAG, ConversationCard);

const entry = {
  type: TAG,
  ...ENGLISH,
  preview: true,
  documentationURL: "https://github.com/netsapiens-homeassistant/netsapiens",
};
/** @type {any} */
const page = window;
page.customCards = page.customCards || [];
if (!page.customCards.some((/** @type {{type: string}} */ one) => one.type === TAG)) page.customCards.push(entry);

/** Name the card in the card picker in the person's language. */
async function nameCard() {
  await customElements.whenDefined("home-assistant");
  /** @type {any} */
  const root = document.querySelector("home-assistant");
  for (let wait = 0; wait < 60 && !root?.hass?.loadBackendTranslation; wait += 1) {
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  if (!root?.hass || root.hass.language === "en") return;
  const localize = await root.hass.loadBackendTranslation("common", "netsapiens");
  entry.name = localize(`${SCOPE}name`) || entry.name;
  entry.description = localize(`${SCOPE}description`) || entry.description;
}

nameCard();
