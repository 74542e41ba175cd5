// Where things stand. layout.py computes the same for still pictures, and says why; places of arrangements
// other than the ring come from there, from 0 to 1.

const GAP = 0.8;
const LABEL_ROOM = 190;
const SAMPLES = 720;
const MARGINS = [110, 62, 110, 52];
const WALL_POINTS = 24;

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

function layOut(servers, groups, width, height, arrangement) {
  if (arrangement && servers.every((name) => arrangement.places[name])) return arranged(arrangement, servers, groups, width, height);
  const count = servers.length;
  const places = new Map();
  if (count < 2) {
    for (const name of servers) places.set(name, [width / 2, height / 2]);
    return { places, radius: 28, walls: [], boxes: [], bulge: 0, middle: [width / 2, height / 2] };
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
    return { places, radius: radius(count), walls: [], boxes: [], bulge: 0, middle };
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
  return { places, radius: radius(total), walls, boxes: [], bulge: 0, middle };
}

// A curve between two sides, spokes among more; each as a path and as points along it.
function wallsOf(ring, ends, sides) {
  if (sides.length > 2) return ends.map((end) => straightWall(end, [ring.cx, ring.cy]));
  const [a, b] = sides.map((points) => [0, 1].map((k) => points.reduce((sum, p) => sum + p[k], 0) / points.length));
  const [cx, cy] = [0, 1].map((k) => a[k] + b[k] - (ends[0][k] + ends[1][k]) / 2);
  const way = { x1: ends[0][0], y1: ends[0][1], x2: ends[1][0], y2: ends[1][1], cx, cy };
  return [{ d: wayPath(way), points: Array.from({ length: WALL_POINTS + 1 }, (_, i) => pointOn(way, i / WALL_POINTS)) }];
}

const straightWall = (a, b) => ({ d: `M${a} L${b}`, points: [a, b] });

function arranged(arrangement, servers, groups, width, height) {
  const [left, top, right, bottom] = MARGINS;
  const wide = width - left - right, high = height - top - bottom;
  const places = new Map(servers.map((name) => {
    const [x, y] = arrangement.places[name];
    return [name, [left + wide * x, top + high * y]];
  }));
  // A box has room for the words beside its nodes.
  const boxes = arrangement.boxes.map(([name, x, y, w, h]) => ({ name, x: left + wide * x, y: top + high * y - 24, width: wide * w, height: high * h + 48 }));
  const points = [...places.values()];
  let near = width;
  points.forEach(([ax, ay], i) => points.slice(0, i).forEach(([bx, by]) => { near = Math.min(near, Math.hypot(ax - bx, ay - by)); }));
  return {
    places, boxes, radius: Math.max(6, Math.min(28, 0.36 * near - 2)), walls: voronoi(places, groups, width, height),
    bulge: arrangement.bulge, fixed: true, middle: [width / 2, top + high / 2],
  };
}

// The edges of the Voronoi diagram of the nodes that part nodes of different groups.
function voronoi(places, groups, width, height) {
  const side = new Map(groups.flatMap((group, i) => group.map((name) => [name, i])));
  const names = [...places.keys()].filter((name) => side.has(name));
  const walls = [];
  names.forEach((one, i) => names.slice(0, i).forEach((other) => {
    if (side.get(one) === side.get(other)) return;
    const [ax, ay] = places.get(one), [bx, by] = places.get(other);
    const x = (ax + bx) / 2, y = (ay + by) / 2, dx = ay - by, dy = bx - ax;
    let low = -Infinity, high = Infinity;
    const bound = (slope, room) => { // slope * t <= room
      if (slope > 0) high = Math.min(high, room / slope);
      else if (slope < 0) low = Math.max(low, room / slope);
      else if (room < 0) high = -Infinity;
    };
    bound(dx, width - 10 - x);
    bound(-dx, x - 10);
    bound(dy, height - 10 - y);
    bound(-dy, y - 10);
    for (const name of names) {
      if (name === one || name === other) continue;
      const [cx, cy] = places.get(name);
      bound(2 * (dx * (cx - ax) + dy * (cy - ay)), cx * cx + cy * cy - ax * ax - ay * ay - 2 * (x * (cx - ax) + y * (cy - ay)));
    }
    if (low < high) walls.push(straightWall([x + low * dx, y + low * dy], [x + high * dx, y + high * dy]));
  }));
  return walls;
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
