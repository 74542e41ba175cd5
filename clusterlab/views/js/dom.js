// Small tools. Text from a trace enters the page as text only: textContent, setAttribute, fillText.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name === "text") element.textContent = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const html = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

// Set an attribute only when it changes: writing what is there already still costs a style pass.
function put(element, name, value) {
  const text = String(value);
  if (element.getAttribute(name) !== text) element.setAttribute(name, text);
}

function putText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// A canvas as sharp as the screen; returns its context, scaled so that one unit is one CSS pixel.
function fitCanvas(canvas, width, height) {
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  const w = Math.round(width * ratio), h = Math.round(height * ratio);
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

// The colours of the page's theme, for what is drawn on a canvas.
function themeOf(root) {
  const style = getComputedStyle(root);
  const get = (name) => style.getPropertyValue(name).trim();
  const theme = {
    ground: get("--cl-ground"), ink: get("--cl-ink"), muted: get("--cl-muted"), line: get("--cl-line"),
    bad: get("--cl-bad"), good: get("--cl-good"), focus: get("--cl-focus"), font: style.fontFamily,
  };
  theme.key = Object.values(theme).join();
  theme.dark = luminance(toRgb(theme.ground)) < 0.3;
  return theme;
}

let probe = null;
function toRgb(colour) {
  probe ??= Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
  probe.fillStyle = colour;
  probe.fillRect(0, 0, 1, 1);
  return [...probe.getImageData(0, 0, 1, 1).data.slice(0, 3)];
}

function luminance([r, g, b]) {
  return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255;
}

// On a dark ground the deeper colours are lifted a little.
function onGround(colour, theme) {
  if (!theme.dark) return colour;
  const rgb = toRgb(colour);
  const lift = luminance(rgb) < 0.45 ? 0.3 : 0.05;
  return `rgb(${rgb.map((c) => Math.round(c + (255 - c) * lift)).join(" ")})`;
}

function roleLook(role, roles) {
  if (role === LOOKS.leaderRole) return LOOKS.leader;
  const slot = roles.filter((name) => name !== LOOKS.leaderRole).indexOf(role);
  return slot < 0 ? LOOKS.noRole : LOOKS.roles[slot % LOOKS.roles.length];
}

const messageLook = (type) => LOOKS.messages[type % LOOKS.messages.length];

// Add a message's shape, `size` from its middle, to a path.
function addShape(path, look, x, y, size) {
  if (!look.corners.length) {
    path.moveTo(x + size, y);
    path.arc(x, y, size, 0, 7);
    return;
  }
  look.corners.forEach(([cx, cy], i) => {
    if (i) path.lineTo(x + cx * size, y + cy * size);
    else path.moveTo(x + cx * size, y + cy * size);
  });
  path.closePath();
}

function addCross(path, x, y, size) {
  path.moveTo(x - size, y - size);
  path.lineTo(x + size, y + size);
  path.moveTo(x + size, y - size);
  path.lineTo(x - size, y + size);
}

// The body of a node as SVG path data.
function bodyPath(look, radius) {
  if (!look.sides) return `M${radius},0 A${radius},${radius} 0 1 1 ${-radius},0 A${radius},${radius} 0 1 1 ${radius},0 Z`;
  const points = [];
  for (let i = 0; i < look.sides; i++) {
    const angle = ((look.turn - 90 + (360 * i) / look.sides) * Math.PI) / 180;
    points.push(`${(radius * look.scale * 0.92 * Math.cos(angle)).toFixed(1)},${(radius * look.scale * 0.92 * Math.sin(angle)).toFixed(1)}`);
  }
  return `M${points.join(" L")} Z`;
}

const msText = (ms) => `${Math.round(ms).toLocaleString("en-US")} ms`;
