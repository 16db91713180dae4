// The regions of a run over the photo: how they look, and which of them is at a place.

// Twelve colours that are told apart side by side (Sasha Trubetskoy's), as [red, green, blue].
const REGION_COLOURS = [
  [230, 25, 75], [60, 180, 75], [255, 225, 25], [67, 99, 216], [245, 130, 49], [145, 30, 180],
  [66, 212, 244], [240, 50, 230], [191, 239, 69], [250, 190, 212], [70, 153, 144], [220, 190, 255],
];
const REGION_FILL = 0x6b000000, REGION_EDGE = 0xe6000000;     // their alpha

/** A region's colour without alpha, as a number that little-endian pixels take. */
function regionColour(id) {
  const [red, green, blue] = REGION_COLOURS[id % REGION_COLOURS.length];
  return blue << 16 | green << 8 | red;
}

/** Regions over one another, the smallest on top: what shows at a place is what is taken there. */
function createRegionLayer() {
  const overlay = document.createElement('canvas'), highlight = document.createElement('canvas');
  let regions = new Map();      // id -> {id, rle, area}
  let size = null, top = null;  // [height, width] and the id that shows at every pixel, by columns
  let lit = 0;

  function stack() {
    const [height, width] = size;
    top = new Uint32Array(height * width);
    for (const {id, rle} of [...regions.values()].sort((one, other) => other.area - one.area)) {
      let position = 0, inside = false;
      for (const run of parseCounts(rle.counts)) {
        if (inside) top.fill(id, position, position + run);
        position += run;
        inside = !inside;
      }
    }
  }

  function paint() {
    const [height, width] = size;
    overlay.width = width;
    overlay.height = height;
    const context = overlay.getContext('2d'), image = context.createImageData(width, height);
    const colours = new Uint32Array(image.data.buffer);
    for (let x = 0, p = 0; x < width; x++) {
      for (let y = 0; y < height; y++, p++) {
        const id = top[p];
        if (!id) continue;
        const within = (y === 0 || top[p - 1] === id) && (y === height - 1 || top[p + 1] === id)
          && (x === 0 || top[p - height] === id) && (x === width - 1 || top[p + height] === id);
        colours[y * width + x] = (regionColour(id) | (within ? REGION_FILL : REGION_EDGE)) >>> 0;
      }
    }
    context.putImageData(image, 0, 0);
  }

  return {
    get count() { return regions.size; },
    get lit() { return lit; },
    /** Makes the regions those of `ids`; `fresh` are the ones that come with it. */
    update(ids, fresh) {
      const known = new Map([...regions, ...fresh.map((region) => [region.id, region])]);
      const next = new Map(ids.filter((id) => known.has(id)).map((id) => [id, known.get(id)]));
      const changed = next.size !== regions.size || [...next.keys()].some((id) => !regions.has(id));
      regions = next;
      if (!changed || !regions.size) {
        if (!regions.size) this.clear();
        return;
      }
      size = regions.values().next().value.rle.size;
      stack();
      paint();
      if (!regions.has(lit)) lit = 0;
    },
    /** A region as it shows: {rle, share}, the share of the photo that it covers. */
    shown(id) {
      const {rle} = regions.get(id), runs = parseCounts(rle.counts);
      const covered = runs.reduce((sum, run, k) => (k % 2 ? sum + run : sum), 0);
      return {rle, share: covered / (rle.size[0] * rle.size[1])};
    },
    clear() {
      regions = new Map();
      size = top = null;
      lit = 0;
    },
    /** The region at a place, which is given as shares of the photo's width and height; else 0. */
    at(x, y) {
      if (!size) return 0;
      const [height, width] = size, column = Math.floor(x * width), row = Math.floor(y * height);
      const within = column >= 0 && row >= 0 && column < width && row < height;
      return within ? top[column * height + row] : 0;
    },
    /** Shows the whole of one region, also what smaller ones lie on; 0 for none. */
    light(id) {
      if (id === lit) return;
      lit = id;
      if (id) paintMask(highlight, regions.get(id).rle);
    },
    /** Draws on a canvas on which the photo goes from one spot to another. */
    draw(context, from, to) {
      if (!size) return;
      const width = to.x - from.x, height = to.y - from.y;
      context.imageSmoothingEnabled = width < 2 * overlay.width;
      context.drawImage(overlay, from.x, from.y, width, height);
      if (lit) context.drawImage(highlight, from.x, from.y, width, height);
    },
  };
}
