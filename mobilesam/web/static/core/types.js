// Types that the modules of the page share.
// A screenPoint is in CSS pixels of the canvas, an imagePoint in pixels of the upright photo.

/** @typedef {CanvasRenderingContext2D} Context */
/** @typedef {{x: number, y: number}} Point */
/** @typedef {{width: number, height: number}} Size */
/** @typedef {[x0: number, y0: number, x1: number, y1: number]} Box */

/** A mask in COCO's compressed run-length encoding.
 * @typedef {{size: [height: number, width: number], counts: string}} Rle */
/** A decoded mask: one byte a pixel, 1 inside, column by column.
 * @typedef {{size: [height: number, width: number], data: Uint8Array}} Bitmap */

/** A stroke of the brush; path and radius in pixels of the photo, label 1 adds and 0 erases.
 * @typedef {{type: 'stroke', path: [x: number, y: number][], radius: number, label: number}} Stroke */
/** @typedef {{type: 'point', x: number, y: number, label: number} | {type: 'box', box: Box} | {type: 'mask', rle: Rle}
 *   | {type: 'candidate', index: number} | Stroke} Interaction */

/** @typedef {{rle: Rle, predicted_iou: number}} Candidate */
/** The server's answer to interactions: a mask, the share of the photo that it covers (0 to 1), and after a single click
 * the candidates, of which `index` is chosen. The predicted IoU is null where the mask is not the decoder's.
 * @typedef {{rle: Rle, coverage: number, index: number, predicted_iou: number | null, candidates: Candidate[],
 *   ms: number}} Reply */

/** A mask of automatic mask generation, at the photo's own size; ids start at 1.
 * @typedef {{id: number, rle: Rle, area: number, predicted_iou: number}} GeneratedMask */

/** What the server accepts, and the sizes at which the page shows masks.
 * @typedef {{max_mb: number, max_megapixels: number, max_points: number, max_interactions: number,
 *   max_path_points: number, max_radius_px: number, max_objects: number, max_name: number, display_side: number,
 *   thumbnail_side: number}} Limits */

/** The visible part of a photo: the zoom (1 for the whole photo), and the point of the photo in the middle of the
 * canvas, 0 to 1 in each direction. It remains valid when the canvas changes its size.
 * @typedef {{zoom: number, x: number, y: number}} View */
/** CSS pixels per photo pixel, the screenPoint of the photo's upper left corner, and the size of the canvas in CSS pixels.
 * @typedef {Size & {scale: number, left: number, top: number, photo: Size}} Projection */

/** A click or drag on the photo, by pointer or keyboard.
 * @typedef {object} Gesture
 * @property {Point} from imagePoint within the photo
 * @property {Point} to imagePoint within the photo
 * @property {Point[]} passed the imagePoints since the last call, `to` included
 * @property {boolean} moved whether it is more than a click
 * @property {boolean} isNegative made with the right button, Shift or Alt
 * @property {Size} photo
 * @property {number} scale CSS pixels per photo pixel
 */
/** What pointers and the crosshair do with the gesture; `cancel` returns whether it was more than a press.
 * @typedef {{isInProgress: boolean, begin: (imagePoint: Point, isNegative: boolean) => void,
 *   move: (passed: Point[], moved: boolean) => void, end: () => void, cancel: () => boolean}} GestureHandlers */
/** What gestures on the photo mean. `draw` draws below the markers; `hover` gets the imagePoint of the pointer or
 * of the crosshair, null when the pointer has left.
 * @typedef {object} Tool
 * @property {(gesture: Gesture) => void} [begin]
 * @property {(gesture: Gesture) => void} [move]
 * @property {(gesture: Gesture) => void} end
 * @property {() => void} [cancel]
 * @property {(context: Context, toScreen: (imagePoint: Point) => Point, gesture: Gesture | null,
 *   photo: Size) => void} [draw]
 * @property {(context: Context, screenPoint: Point, scale: number) => void} [cursor]
 * @property {(imagePoint: Point | null, photo: Size) => void} [hover]
 */

/** @typedef {{states: Interaction[][], index: number}} UndoState */
/** @typedef {null | 'later' | 'predicted_iou'} Exclusive the object that gets a pixel of several; null: all of them */

/** @typedef {object} PhotoObject
 * @property {number} id
 * @property {string} name
 * @property {string} colour '#rrggbb'
 * @property {boolean} visible
 * @property {Reply | null} reply the newest answer to its interactions
 * @property {UndoState} undo its undo stack while another object is edited
 * @property {{undo: UndoState, reply: Reply | null} | null} original as it was when editing began; null if it is new
 * @property {number | null} predicted_iou as given with an added mask
 */
/** @typedef {{items: PhotoObject[], active: number, exclusive: Exclusive}} ObjectsSnapshot */
/** @typedef {{rle: Rle, colour: string, predicted_iou: number | null, isShown: boolean}} DrawnObject */

export {};
