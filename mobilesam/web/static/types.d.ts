// Types that the modules of the page share, known in all of them.
// A screenPoint is in CSS pixels of the canvas, an imagePoint in pixels of the upright photo.

type Context = CanvasRenderingContext2D;
type Point = {x: number, y: number};
type Size = {width: number, height: number};
type LabelledPoint = Point & {label: number};
type Box = [x0: number, y0: number, x1: number, y1: number];

/** A mask in COCO's compressed run-length encoding. */
type Rle = {size: [height: number, width: number], counts: string};
/** A decoded mask: one byte a pixel, 1 inside, column by column. */
type Bitmap = {size: [height: number, width: number], data: Uint8Array};

/** Closed lines around a mask, in pixels of the photo; to be filled by the even-odd rule. */
type Outline = Point[][];

/** A stroke of the brush; path and radius in pixels of the photo, label 1 adds and 0 erases. */
type Stroke = {type: 'stroke', path: [x: number, y: number][], radius: number, label: number};
/** The part of the photo, in whole pixels, that an object's points and box are answered from while they lie within. */
type SetCrop = {type: 'crop', box: Box};
type Interaction = {type: 'point', x: number, y: number, label: number} | {type: 'box', box: Box} | {type: 'mask', rle: Rle}
  | {type: 'candidate', index: number} | SetCrop | Stroke;

type Candidate = {rle: Rle, predicted_iou: number};
/** The server's answer to interactions: a mask, the share of the photo that it covers (0 to 1), and after a single click
 * the candidates, of which `index` is chosen. The predicted IoU is null where the mask is not the decoder's. `isLocal`: the
 * browser has decoded it, and the server's own answer has not come yet. */
type Reply = {
  rle: Rle, coverage: number, index: number, predicted_iou: number | null, candidates: Candidate[], ms: number, isLocal?: true,
};

/** Where a page that decodes by itself finds the weights and the embedding of a photo, and what it must know of both. */
type DecoderOffer = {
  weights: {path: string, bytes: number, integrity: string}, embedding: {path: string, bytes: number},
  input_size: [height: number, width: number], confidence_weight: number,
};
/** The browser's decoder: `refused` is for the open photo only, `off` until it is stopped. */
type DecoderState = 'idle' | 'loading' | 'ready' | 'refused' | 'off';
/** What the browser's decoder answers: `side` is the longest side of the mask, `thumbnailSide` that of the candidates. */
type ReplyQuery = {interactions: Interaction[], clean: boolean, side: number, thumbnailSide: number};
type OutlineQuery = {interactions: Interaction[], clean: boolean};
type LocalDecoder = {
  open: (photo: Photo) => void,         // prepares for a photo, unless it has done so
  canAnswer: (photo: Photo | null, interactions: Interaction[]) => boolean,
  // Null: there is no answer, or a newer query of this kind took its place. Replies go before outlines.
  reply: (query: ReplyQuery) => Promise<Reply | null>,
  outline: (query: OutlineQuery) => Promise<Outline | null>,
  stop: () => void,                     // frees the memory, and starts afresh when the next photo is prepared
};

/** What a server function returns; `isLost`: no answer came; `crops` must be encoded first. */
type ServerReply = {ok: false, error: string, expired?: boolean, crops?: Box[], isLost?: boolean} | {ok: true, [field: string]: any};
type Call = (name: string, query: object, onTrouble?: () => void) => Promise<ServerReply>;

/** A mask of automatic mask generation, at the photo's own size; ids start at 1. */
type GeneratedMask = {id: number, rle: Rle, area: number, predicted_iou: number};

/** What the server accepts, and the sizes at which the page shows masks. */
type Limits = {
  max_mb: number, max_megapixels: number, max_points: number, max_interactions: number, max_path_points: number,
  max_radius_px: number, max_objects: number, max_name: number, display_side: number, thumbnail_side: number,
};

type Picture = HTMLCanvasElement | ImageBitmap;
/** The open photo; the picture may be smaller. */
type Photo = Size & {key: string, token: string, file: File, picture: ImageBitmap, decoder: DecoderOffer | null};
/** A photo of the set, known by its content; the file is null where the browser does not have it any more. */
type SetPhoto = {
  key: string, name: string, file: File | null, thumbnail: Blob | null,
  count: number,                  // of its objects
  isDone: boolean,                // the user says so
};
/** What the browser keeps of the work in a photo; `writer` is the page that kept it. */
type Work = {
  name: string, size: [height: number, width: number], work: ObjectsSnapshot, count: number, isDone: boolean, writer: string,
};
type KeptWork = Work & {savedAt: number};
type Example = {name: string, path: string, thumbnail: string};

type PhotoLoader = {
  open: (file: File, onProgress: (text: string) => void, isWanted: () => boolean) => Promise<ServerReply>,
  prepare: (file: File) => Promise<void>,
  forget: (file: File) => void,
  preview: (token: string) => Promise<ImageBitmap>,
};

/** The visible part of a photo: the zoom (1 for the whole photo), and the point of the photo in the middle of the
 * canvas, 0 to 1 in each direction. It remains valid when the canvas changes its size. */
type View = {zoom: number, x: number, y: number};
/** CSS pixels per photo pixel, the screenPoint of the photo's upper left corner, and the size of the canvas in CSS pixels. */
type Projection = Size & {scale: number, left: number, top: number, photo: Size};

/** A click or drag on the photo, by pointer or keyboard. */
type Gesture = {
  from: Point,          // imagePoint within the photo
  to: Point,            // imagePoint within the photo
  passed: Point[],      // the imagePoints since the last call, `to` included
  moved: boolean,       // whether it is more than a click
  isNegative: boolean,  // made with the right button, Shift or Alt
  photo: Size,
  scale: number,        // CSS pixels per photo pixel
  reach: number,        // how near a marker must be to be dragged, in CSS pixels; 0 for the keyboard
};
/** What pointers and the crosshair do with the gesture; `cancel` returns whether it was more than a press. */
type GestureHandlers = {
  isInProgress: boolean, begin: (imagePoint: Point, isNegative: boolean, reach: number) => void,
  move: (passed: Point[], moved: boolean) => void, end: () => void, cancel: () => boolean,
};
/** A point (`sides` is null) or a part of the box, by its interaction. `sides` says which sides of the box follow a drag:
 * -1 the left or upper one, 1 the right or lower one; [0, 0] is the border, which moves the whole box. */
type Marker = {index: number, sides: [x: number, y: number] | null};

/** What gestures on the photo mean. `draw` draws below the markers; `hover` gets the imagePoint of the pointer or
 * of the crosshair, null when the pointer has left, and returns what a press there would do; `marker` is the one that a
 * press would take hold of, and undefined if the tool leaves markers alone. */
type Tool = {
  begin?: (gesture: Gesture) => void,
  move?: (gesture: Gesture) => void,
  end: (gesture: Gesture) => void,
  cancel?: () => void,
  draw?: (context: Context, toScreen: (imagePoint: Point) => Point, gesture: Gesture | null, photo: Size) => void,
  cursor?: (context: Context, screenPoint: Point, scale: number) => void,
  hover?: (imagePoint: Point | null, photo: Size, scale: number) => {cursor: string, title: string} | null | void,
  marker?: Marker | null,
};

/** How an object was moved on another background, in pixels of the photo, and scaled about its centre. */
type Placement = Point & {scale: number};
/** A cut-out at the photo's own size: its address on the server, and its upper left corner in the photo. */
type CutoutFile = {url: string, name: string, corner: [x: number, y: number], blob: Blob};
type NamedBlob = {name: string, blob: Blob};

type ToolName = 'click' | 'brush';
/** The outline of a mask, in pixels of the mask. */
type MaskPath = {path: Path2D, size: [height: number, width: number]};

/** Interactions that show instead of those in the undo stack, while a marker is dragged or the pointer is on a candidate. The
 * reply answers those of `answered`, an earlier state of the same drag; null: there is none yet. */
type Preview = {interactions: Interaction[], reply: Reply | null, answered: Interaction[]};

type UndoState = {states: Interaction[][], index: number};
/** The object that gets a pixel of several; null: all of them. */
type Exclusive = null | 'later' | 'predicted_iou';

type PhotoObject = {
  id: number, name: string,
  colour: string,                 // '#rrggbb'
  visible: boolean,
  clean: boolean,                 // whether its mask gets rid of specks and small holes
  reply: Reply | null,            // the newest answer to its interactions
  undo: UndoState,                // its undo stack while another object is edited
  original: {undo: UndoState, reply: Reply | null, clean: boolean} | null,      // as it was when editing began; null if it is new
  predicted_iou: number | null,   // as given with an added mask
};
type ObjectsSnapshot = {items: PhotoObject[], active: number, exclusive: Exclusive};
/** An object as the server functions read it. */
type ExportedObject = {name: string, interactions: Interaction[], clean: boolean, predicted_iou: number | null};
type DrawnObject = {rle: Rle, colour: string, predicted_iou: number | null, isShown: boolean};

/** A data set as the user wants it: `split` has the shares of train, val and test. */
type DataSetOptions = {
  format: string, classes: readonly string[], split: number[], seed: number, tolerance: number, withPhotos: boolean,
};
type PhotoToExport = {
  key: string, name: string, file: File | null, size: [height: number, width: number], objects: ExportedObject[], exclusive: Exclusive,
};
/** Exports photos as one file. Returns the reply with the file's `path` and `name`, and what failed by the name of the photo;
 * null once it is not wanted. */
type ExportDataSet = (
  options: DataSetOptions, photos: {key: string, name: string}[], photoOf: (key: string) => Promise<PhotoToExport>,
  onProgress: (done: number, text: string) => void, isWanted: () => boolean,
) => Promise<{reply: ServerReply, failures: {name: string, error: string}[]} | null>;

/** The elements with a data-part, by that name. */
type Refs = Record<'photo' | 'layer' | 'mask' | 'closeup' | 'marks' | 'incoming' | 'resultBefore' | 'resultAfter', HTMLCanvasElement>
  & Record<'brush' | 'clean' | 'pointerPreview' | 'exclusive' | 'maskFile' | 'file' | 'folder' | 'capture' | 'resultAt' | 'resultSize' | 'resultColour' | 'resultFile' | 'className' | 'classFile' | 'setPhotos' | 'setTrain' | 'setVal' | 'setTest' | 'setSeed'
    | 'projectFile' | 'projectPhotos' | 'setArea' | 'setIou'
    | 'setStability', HTMLInputElement>
  & Record<'setFormat' | 'setTolerance' | 'keepDays' | 'setPoints' | 'setShare' | 'setDuplicates' | 'format' | 'winner', HTMLSelectElement>
  & Record<'help' | 'camera' | 'set', HTMLDialogElement>
  & {classForm: HTMLFormElement, classNames: HTMLDataListElement}
  & Record<'stage' | 'frame' | 'limits' | 'examples' | 'modelInfo' | 'busyBox' | 'busy' | 'alert' | 'alertText' | 'note' | 'noteText'
    | 'noteUndo' | 'photos' | 'photoList' | 'photoCount' | 'classList' | 'classStatus' | 'setProgress' | 'setVertices' | 'brushSize' | 'zoom' | 'hint'
    | 'candidates' | 'verdict' | 'objectSection' | 'objectList' | 'objectHint' | 'overlaps' | 'generation' | 'generationStatus'
    | 'encodeCost' | 'decodeCost' | 'device' | 'weights' | 'weightsNote' | 'resultView' | 'downloadTitle', HTMLElement>
  & {first: HTMLImageElement, video: HTMLVideoElement, generationProgress: HTMLProgressElement};
