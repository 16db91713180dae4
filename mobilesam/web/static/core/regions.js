/** The connected regions of a value in columns of pixels. Regions are connected by sides, or with `hasCorners` by corners
 * too; each is known by the number of one of its runs, and has an area.
 * @type {(data: Uint8Array, height: number, value: number, hasCorners: boolean) => Regions} */
export function regionsOf(data, height, value, hasCorners) {
  const starts = /** @type {number[]} */ ([]), ends = /** @type {number[]} */ ([]), parents = /** @type {number[]} */ ([]);
  const reach = hasCorners ? 1 : 0;

  function find(/** @type {number} */ run) {
    while (parents[run] !== run) run = parents[run] = parents[parents[run]];
    return run;
  }

  let previous = 0;             // the first run of the column before
  for (let top = 0; top < data.length; top += height) {
    const column = data.subarray(top, top + height), current = starts.length;
    for (let start = column.indexOf(value), end = 0; start >= 0; start = column.indexOf(value, end)) {
      end = column.indexOf(1 - value, start);
      if (end < 0) end = height;
      parents.push(starts.length);
      starts.push(top + start);
      ends.push(top + end);
    }
    for (let left = previous, right = current; left < current && right < starts.length;) {
      const leftEnd = ends[left] + height;
      if (starts[left] + height < ends[right] + reach && starts[right] < leftEnd + reach) parents[find(right)] = find(left);
      if (leftEnd < ends[right]) left++;
      else right++;
    }
    previous = current;
  }

  const regions = starts.map((_, run) => find(run)), areas = new Map();
  regions.forEach((region, run) => areas.set(region, (areas.get(region) ?? 0) + ends[run] - starts[run]));
  return {
    areas,
    /** The region that holds a pixel; undefined where it has another value. */
    at(index) {
      let low = 0, high = starts.length;        // the last run that starts at the pixel or before it is below `high`
      while (low < high) {
        const middle = (low + high) >> 1;
        if (starts[middle] <= index) low = middle + 1;
        else high = middle;
      }
      return index < ends[low - 1] ? regions[low - 1] : undefined;
    },
    /** Gives some regions the other value. */
    invert(isChosen) {
      regions.forEach((region, run) => { if (isChosen(region)) data.fill(1 - value, starts[run], ends[run]); });
    },
  };
}

/** @typedef {{areas: Map<number, number>, at: (index: number) => number | undefined,
 *   invert: (isChosen: (region: number) => boolean) => void}} Regions */
