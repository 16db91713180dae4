// Where the photo lies on the canvas: the one home of the way from the page to the photo's pixels and
// back. A view says what a visitor looks at, a room in what; everything here is a pure function of both.
//
// view: {zoom, x, y}, how many times larger than at fit, and which place of the photo, from 0 to 1
//   each way, is in the middle of the canvas. So a view outlives a change of the window's size.
// room: {width, height, fit, photo: {width, height}}, the canvas in CSS pixels, CSS pixels a photo
//   pixel when the whole photo shows, and the photo in its own pixels.
// A spot {x, y} is in CSS pixels of the canvas, a place {x, y} in pixels of the upright photo.

const FIT = Object.freeze({zoom: 1, x: 0.5, y: 0.5});
const ZOOM_MOST = 16;
const ZOOM_SNAP = 1.001;        // what looks like the whole photo is the whole photo

const clamp = (value, least, most) => Math.min(Math.max(value, least), most);

/** Where an event lies on an element: a spot. */
function spotOf(event, element) {
  const box = element.getBoundingClientRect();
  return {x: event.clientX - box.left, y: event.clientY - box.top};
}

/** CSS pixels a photo pixel, and the spot of the photo's upper left corner. */
function projection(view, {width, height, fit, photo}) {
  const scale = fit * view.zoom;
  return {scale, left: width / 2 - view.x * photo.width * scale, top: height / 2 - view.y * photo.height * scale};
}

function toSpot(view, room, place) {
  const {scale, left, top} = projection(view, room);
  return {x: left + place.x * scale, y: top + place.y * scale};
}

function toPlace(view, room, spot) {
  const {scale, left, top} = projection(view, room);
  return {x: (spot.x - left) / scale, y: (spot.y - top) / scale};
}

function isInside({x, y}, photo) {
  return x >= 0 && y >= 0 && x <= photo.width && y <= photo.height;
}

function placeInside({x, y}, photo) {
  return {x: clamp(x, 0, photo.width), y: clamp(y, 0, photo.height)};
}

/** The pixel at a place. */
function pixelAt({x, y}, photo) {
  return {x: clamp(Math.floor(x), 0, photo.width - 1), y: clamp(Math.floor(y), 0, photo.height - 1)};
}

/** The box between two places, [x0, y0, x1, y1]: it takes in the pixels at both. */
function boxBetween(a, b) {
  return [
    Math.floor(Math.min(a.x, b.x)), Math.floor(Math.min(a.y, b.y)),
    Math.ceil(Math.max(a.x, b.x)), Math.ceil(Math.max(a.y, b.y)),
  ];
}

/** The view nearest to one asked for: the photo covers the canvas, or lies in its middle whole. */
function kept(view, room) {
  if (view.zoom < ZOOM_SNAP) return FIT;
  const zoom = Math.min(view.zoom, ZOOM_MOST), scale = room.fit * zoom;
  const along = (at, length, canvas) => {
    const half = canvas / (2 * length * scale);
    return half >= 0.5 ? 0.5 : clamp(at, half, 1 - half);
  };
  return {
    zoom,
    x: along(view.x, room.photo.width, room.width),
    y: along(view.y, room.photo.height, room.height),
  };
}

/** The photo grown by a factor, and moved so that what was at one spot is at another. */
function pulled(view, room, factor, from, to) {
  const zoom = clamp(view.zoom * factor, 1, ZOOM_MOST), {photo} = room, scale = room.fit * zoom;
  const {x, y} = toPlace(view, room, from);
  return kept({
    zoom,
    x: (x - (to.x - room.width / 2) / scale) / photo.width,
    y: (y - (to.y - room.height / 2) / scale) / photo.height,
  }, room);
}

/** The photo grown by a factor around a spot. */
function zoomed(view, room, factor, spot) {
  return pulled(view, room, factor, spot, spot);
}

/** The photo moved by CSS pixels. */
function panned(view, room, dx, dy) {
  return pulled(view, room, 1, {x: 0, y: 0}, {x: dx, y: dy});
}

/** The photo moved no more than it takes to have a place on the canvas, a margin from its edge. */
function revealing(view, room, place, margin) {
  const {x, y} = toSpot(view, room, place);
  const short = (at, length) => clamp(at, Math.min(margin, length / 2), Math.max(length - margin, length / 2)) - at;
  return panned(view, room, short(x, room.width), short(y, room.height));
}
