// What a stroke on the photo means. Gestures and keys make strokes, a tool answers them; another tool
// is another object with the same functions.
//
// stroke: {from, to, moved, second, photo, scale}: where it began and is, places of the photo and
//   within it; whether it is more than a click; whether it was made with the right button, Shift or
//   Alt; the photo's {width, height}; CSS pixels a photo pixel.
// begin(stroke), move(stroke), end(stroke): as the stroke goes on.
// cancel(): the stroke is given up.
// draw(context, toSpot): what shows of it meanwhile; toSpot takes a place to the canvas.
// cursor(context, spot, scale): what shows where the pointer or the crosshair is.
// A tool may have two more:
// under(context, toSpot, photo): what lies on the photo, below the markers, while the tool is in hand.
// hover(place, photo): the pointer is there, or the crosshair; null: it is nowhere.

const BOX_MIN_PX = 4;           // a thinner box is a click with a shaky hand

/** A click is a point, a drag a box. */
function createPromptTool({onPoint, onBox, removes}) {
  let current = null, negative = false;
  const cancel = () => { current = null; };
  return {
    begin(stroke) {
      current = stroke;
      negative = stroke.second || removes();
    },
    move(stroke) { current = stroke; },
    end({from, to, moved, photo, scale}) {
      cancel();
      if (!moved) return onPoint({...pixelAt(from, photo), label: negative ? 0 : 1});
      const thin = Math.min(Math.abs(to.x - from.x), Math.abs(to.y - from.y)) * scale < BOX_MIN_PX;
      if (!negative && !thin) onBox(boxBetween(from, to));
    },
    cancel,
    draw(context, toSpot) {
      if (!current || !current.moved) return;
      const [x0, y0, x1, y1] = boxBetween(current.from, current.to);
      drawBox(context, toSpot({x: x0, y: y0}), toSpot({x: x1, y: y1}), true);
    },
    cursor() {},
  };
}
