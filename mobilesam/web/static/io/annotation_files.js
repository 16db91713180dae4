// Annotation files: COCO, labelme, YOLO labels, or a ZIP of many.

const LARGE_BYTES = 1e6;

/** Whether a file contains annotations rather than a photo. @param {{name: string, type: string}} file */
export const isAnnotationFile = ({name, type}) => type === 'application/json' || /\.(json|txt|zip)$/i.test(name);

/** The file without the photo that labelme can embed in it, which may be larger than what a server accepts.
 * @type {(file: File) => Promise<File>} */
export async function withoutPhoto(file) {
  if (file.size < LARGE_BYTES || !/\.json$/i.test(file.name)) return file;
  try {
    const content = JSON.parse(await file.text());
    if (typeof content.imageData !== 'string') return file;
    return new File([JSON.stringify({...content, imageData: null})], file.name, {type: file.type});
  } catch {
    return file;                // the server says what is wrong with it
  }
}
