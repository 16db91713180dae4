// @ts-check
// Types that the modules of the page share.
//
// A screenPoint is in CSS pixels of the canvas, an imagePoint in pixels of the upright photo.

/** @typedef {{x: number, y: number}} Point */
/** @typedef {{width: number, height: number}} Size */
/** @typedef {[x0: number, y0: number, x1: number, y1: number]} Box */

/** A mask in COCO's compressed run-length encoding.
 * @typedef {{size: [height: number, width: number], counts: string}} Rle */
/** A decoded mask: one byte a pixel, 1 inside, column by column as COCO counts them.
 * @typedef {{size: [height: number, width: number], data: Uint8Array}} Bitmap */

/** @typedef {{type: 'point', x: number, y: number, label: number}} PointInteraction */
/** @typedef {{type: 'box', box: Box}} BoxInteraction */
/** @typedef {{type: 'candidate', index: number}} CandidateInteraction */
/** @typedef {{type: 'mask', rle: Rle}} MaskInteraction */
/** A stroke of the brush; path and radius in pixels of the photo, label 1 adds and 0 erases.
 * @typedef {{type: 'stroke', path: [x: number, y: number][], radius: number, label: number}} Stroke */
/** @typedef {PointInteraction | BoxInteraction | CandidateInteraction | MaskInteraction | Stroke} Interaction */

/** @typedef {{rle: Rle, predicted_iou: number}} Candidate */
/**
 * The server's answer to interactions: a mask and, after a single click, the candidates for it.
 * @typedef {object} Reply
 * @property {Rle} rle
 * @property {number} coverage the share of the photo that the mask covers, 0 to 1
 * @property {number} index the chosen candidate
 * @property {number | null} predicted_iou null where the mask is not the decoder's
 * @property {Candidate[]} candidates
 * @property {number} ms
 */

/** A mask of automatic mask generation, at the photo's own size; ids start at 1.
 * @typedef {{id: number, rle: Rle, area: number, predicted_iou: number}} GeneratedMask */

/** What the server accepts, and the sizes at which the page shows masks.
 * @typedef {{max_mb: number, max_megapixels: number, max_points: number, max_interactions: number,
 *   max_path_points: number, max_radius_px: number, max_objects: number, max_name: number, display_side: number,
 *   thumbnail_side: number, open_timeout_s: number}} Limits */

/** What is seen of a photo: the zoom, 1 when all of it shows, and the point of the photo in the middle
 * of the canvas, 0 to 1 in each direction. It stays valid when the window changes its size.
 * @typedef {{zoom: number, x: number, y: number}} View */
/** Where a photo is shown: a canvas in CSS pixels, CSS pixels per photo pixel at zoom 1, the photo's size.
 * @typedef {{width: number, height: number, fit: number, photo: Size}} Viewport */
/** CSS pixels per photo pixel, and the screenPoint of the photo's upper left corner.
 * @typedef {{scale: number, left: number, top: number}} Projection */

/**
 * A click or drag on the photo, by pointer or keyboard.
 * @typedef {object} Gesture
 * @property {Point} from imagePoint within the photo
 * @property {Point} to imagePoint within the photo
 * @property {boolean} moved whether it is more than a click
 * @property {boolean} isNegative made with the right button, Shift or Alt
 * @property {Size} photo
 * @property {number} scale CSS pixels per photo pixel
 */
/**
 * What gestures on the photo mean.
 * @typedef {object} Tool
 * @property {(gesture: Gesture) => void} begin
 * @property {(gesture: Gesture) => void} move
 * @property {(gesture: Gesture) => void} end
 * @property {() => void} cancel
 * @property {(context: CanvasRenderingContext2D, toScreen: (imagePoint: Point) => Point) => void} draw
 *   draws the gesture in progress
 * @property {(context: CanvasRenderingContext2D, screenPoint: Point, scale: number) => void} cursor
 * @property {(context: CanvasRenderingContext2D, toScreen: (imagePoint: Point) => Point, photo: Size) => void} [under]
 *   draws below the markers
 * @property {(imagePoint: Point | null, photo: Size) => void} [hover]
 *   the pointer or the crosshair has moved there; null: it has left the photo
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
