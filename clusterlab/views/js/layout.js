// Where things stand. layout.py computes the same for still pictures, and says why.

const GAP = 0.8;
const LABEL_ROOM = 190;
const SAMPLES = 720;

function ellipse(cx, cy, rx, ry) {
  const at = (turn) => {
    const angle = 2 * Math.PI * turn - Math.PI / 2;
    return [cx + rx * Math.cos(angle), cy + ry * Math.sin(angle)];
  };
  const lengths = [0];
  for (let i = 1; i <= SAMPLES; i++) {
    const [ax, ay] = at((i - 1) / SAMPLES), [bx, by] = at(i / SAMPLES);
    lengths.push(lengths[i - 1] + Math.hypot(bx - ax, by - ay));
  }
  const length = lengths[SAMPLES];
  const point = (share) => {
    const wanted = (((share % 1) + 1) % 1) * length;
    let low = 0, high = SAMPLES;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (lengths[middle] <= wanted) low = middle; else high = middle;
    }
    return at((low + (wanted - lengths[low]) / (lengths[high] - lengths[low])) / SAMPLES);
  };
  return { cx, cy, length, point };
}

// The sides of a partition as indices of servers: each in the order of the ring, beginning after its largest gap.
function sidesOf(servers, groups) {
  const index = new Map(servers.map((name, i) => [name, i]));
  const count = servers.length;
  const turned = [];
  for (const group of groups) {
    const side = group.filter((name) => index.has(name)).map((name) => index.get(name)).sort((a, b) => a - b);
    if (!side.length) continue;
    const gaps = side.map((s, i) => {
      const before = i ? side[i - 1] : side[side.length - 1] - count;
      return (s - before) % count || count;
    });
    const start = gaps.indexOf(Math.max(...gaps));
    turned.push([...side.slice(start), ...side.slice(0, start)]);
  }
  return turned.sort((a, b) => a[0] - b[0]);
}

function layOut(servers, groups, width, height) {
  const count = servers.length;
  const places = new Map();
  if (count < 2) {
    for (const name of servers) places.set(name, [width / 2, height / 2]);
    return { places, radius: 28, walls: [], middle: [width / 2, height / 2] };
  }
  const ry = height / 2 - 62;
  const stretch = count <= 9 ? 1.5 : 2.3;
  const rx = Math.max(ry * 0.8, Math.min(width / 2 - LABEL_ROOM, ry * stretch));
  const ring = ellipse(width / 2, height / 2 + 6, rx, ry);
  const home = servers.map((_, i) => (count === 2 ? 0.75 : 0) + i / count);
  const radius = (slots) => Math.max(7, Math.min(28, (0.36 * ring.length) / slots - 4));
  const middle = [ring.cx, ring.cy];
  const sides = sidesOf(servers, groups);
  if (sides.length < 2 || sides.flat().length !== count) {
    servers.forEach((name, i) => places.set(name, ring.point(home[i])));
    return { places, radius: radius(count), walls: [], middle };
  }
  const total = count + GAP * sides.length;
  const shares = [], borders = [];
  let at = 0;
  for (const side of sides) {
    for (const i of side) shares[i] = at++ / total;
    borders.push((at - 1 + (1 + GAP) / 2) / total);
    at += GAP;
  }
  let x = 0, y = 0;
  shares.forEach((share, i) => {
    x += Math.cos(2 * Math.PI * (home[i] - share));
    y += Math.sin(2 * Math.PI * (home[i] - share));
  });
  const turn = Math.atan2(y, x) / (2 * Math.PI);
  servers.forEach((name, i) => places.set(name, ring.point(shares[i] + turn)));
  const ends = borders.map((border) => {
    const [px, py] = ring.point(border + turn);
    const beyond = ring.cy + 1.36 * (py - ring.cy);
    return [ring.cx + 1.36 * (px - ring.cx), Math.min(Math.max(beyond, 10), height - 10)];
  });
  const walls = wallsOf(ring, ends, sides.map((side) => side.map((i) => places.get(servers[i]))));
  return { places, radius: radius(total), walls, middle };
}

// A curve between two sides, spokes among more.
function wallsOf(ring, ends, sides) {
  if (sides.length > 2) return ends.map((end) => `M${end} L${ring.cx},${ring.cy}`);
  const [a, b] = sides.map((points) => [0, 1].map((k) => points.reduce((sum, p) => sum + p[k], 0) / points.length));
  const control = [0, 1].map((k) => a[k] + b[k] - (ends[0][k] + ends[1][k]) / 2);
  return [`M${ends[0]} Q${control} ${ends[1]}`];
}

// Clients stand in a column at the left, and at the right when there are many.
function clientPlaces(clients, width, height) {
  const column = clients.length > 5 ? Math.ceil(clients.length / 2) : clients.length;
  return new Map(clients.map((name, i) => {
    const rows = i < column ? column : clients.length - column;
    const y = height / 2 + ((i % column) - (rows - 1) / 2) * Math.min(64, (height - 60) / rows);
    return [name, [i < column ? 64 : width - 64, y]];
  }));
}

// Messages keep to the right, so that those of both directions stay apart; they fly from edge to edge.
function lane(a, b, gapA, gapB) {
  const dx = b[0] - a[0], dy = b[1] - a[1];
  const length = Math.hypot(dx, dy) || 1;
  const ux = dx / length, uy = dy / length;
  const aside = 5;
  return [
    a[0] + ux * gapA - uy * aside, a[1] + uy * gapA + ux * aside,
    b[0] - ux * gapB - uy * aside, b[1] - uy * gapB + ux * aside,
  ];
}
