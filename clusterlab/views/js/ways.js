// The ways that messages take: from edge to edge, keeping to the right so that both directions stay apart.
// In a line they bend aside, since a straight way would lead over other nodes.

const ASIDE = 5;
const BEND_LIMIT = 118; // of an arc's height
const PIECES = 12; // of a bent way, where it is asked what it crosses

// A way from a to b that leaves `gapA` and `gapB` free at its ends; `cx` is null for a straight one.
function wayBetween(a, b, gapA, gapB, bulge) {
  const dx = b[0] - a[0], dy = b[1] - a[1];
  const length = Math.hypot(dx, dy) || 1;
  const ux = dx / length, uy = dy / length;
  if (!bulge) {
    return {
      x1: a[0] + ux * gapA - uy * ASIDE, y1: a[1] + uy * gapA + ux * ASIDE,
      x2: b[0] - ux * gapB - uy * ASIDE, y2: b[1] - uy * gapB + ux * ASIDE, cx: null, cy: null,
    };
  }
  const bend = 2 * Math.min(bulge * length, BEND_LIMIT);
  const cx = (a[0] + b[0]) / 2 - uy * bend, cy = (a[1] + b[1]) / 2 + ux * bend;
  const outA = Math.hypot(cx - a[0], cy - a[1]) || 1, outB = Math.hypot(cx - b[0], cy - b[1]) || 1;
  return {
    x1: a[0] + ((cx - a[0]) / outA) * gapA, y1: a[1] + ((cy - a[1]) / outA) * gapA,
    x2: b[0] + ((cx - b[0]) / outB) * gapB, y2: b[1] + ((cy - b[1]) / outB) * gapB, cx, cy,
  };
}

function pointOn(way, part) {
  const { x1, y1, x2, y2, cx, cy } = way;
  if (cx === null) return [x1 + (x2 - x1) * part, y1 + (y2 - y1) * part];
  const rest = 1 - part;
  return [
    rest * rest * x1 + 2 * rest * part * cx + part * part * x2,
    rest * rest * y1 + 2 * rest * part * cy + part * part * y2,
  ];
}

// Add the stretch of a way between two of its parts to a path.
function addStretch(path, way, from, to) {
  const [x, y] = pointOn(way, from);
  path.moveTo(x, y);
  if (way.cx === null) {
    path.lineTo(...pointOn(way, to));
    return;
  }
  // The same curve, cut: its middle point is where the tangents at both ends meet.
  const mix = (a, c, b) => (1 - from) * (1 - to) * a + (from + to - 2 * from * to) * c + from * to * b;
  path.quadraticCurveTo(mix(way.x1, way.cx, way.x2), mix(way.y1, way.cy, way.y2), ...pointOn(way, to));
}

function wayPath(way) {
  const { x1, y1, x2, y2, cx, cy } = way;
  return cx === null ? `M${x1},${y1} L${x2},${y2}` : `M${x1},${y1} Q${cx},${cy} ${x2},${y2}`;
}

// The direction of a way at a part of it, in degrees.
function turnAt(way, part) {
  const [ax, ay] = pointOn(way, Math.max(0, part - 0.02)), [bx, by] = pointOn(way, Math.min(1, part + 0.02));
  return (Math.atan2(by - ay, bx - ax) * 180) / Math.PI;
}

// The part of a way at which it first crosses one of these lines of points, or null.
function crossing(way, lines) {
  const pieces = way.cx === null ? 1 : PIECES;
  for (let i = 0; i < pieces; i++) {
    const a = pointOn(way, i / pieces), b = pointOn(way, (i + 1) / pieces);
    let first = null;
    for (const line of lines) {
      for (let k = 1; k < line.length; k++) {
        const share = meet(a, b, line[k - 1], line[k]);
        if (share !== null && (first === null || share < first)) first = share;
      }
    }
    if (first !== null) return (i + first) / pieces;
  }
  return null;
}

// The share of the way from a to b at which it meets the line from p to q, or null.
function meet(a, b, p, q) {
  const dx = b[0] - a[0], dy = b[1] - a[1], wx = q[0] - p[0], wy = q[1] - p[1];
  const cross = dx * wy - dy * wx || 1e-9;
  const along = ((p[0] - a[0]) * wy - (p[1] - a[1]) * wx) / cross;
  const up = ((p[0] - a[0]) * dy - (p[1] - a[1]) * dx) / cross;
  return up < 0 || up > 1 || along <= 0 || along >= 1 ? null : along;
}

// How far a point is from a way.
function distanceTo(way, x, y) {
  let nearest = Infinity;
  const pieces = way.cx === null ? 1 : PIECES;
  for (let i = 0; i < pieces; i++) {
    const [ax, ay] = pointOn(way, i / pieces), [bx, by] = pointOn(way, (i + 1) / pieces);
    const dx = bx - ax, dy = by - ay;
    const share = Math.max(0, Math.min(1, ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy || 1)));
    nearest = Math.min(nearest, Math.hypot(ax + dx * share - x, ay + dy * share - y));
  }
  return nearest;
}
