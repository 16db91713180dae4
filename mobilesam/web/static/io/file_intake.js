// @ts-check
// Files that the user drops, pastes or chooses.

/**
 * @param {object} options
 * @param {HTMLElement} options.stage
 * @param {HTMLInputElement[]} options.inputs
 * @param {(file: File) => void} options.onFile
 * @param {(text: string) => void} options.onError
 */
export function createFileIntake({stage, inputs, onFile, onError}) {
  /** @param {FileList | null | undefined} files */
  function take(files) {
    const all = Array.from(files ?? []);
    const file = all.find(({type}) => type.startsWith('image/')) ?? all[0];
    if (file) onFile(file);
    return Boolean(file);
  }

  for (const input of inputs) {
    input.addEventListener('change', () => { take(input.files); input.value = ''; });
  }

  // The whole page accepts a drop: the browser would open a photo dropped beside the stage instead of the page.
  let depth = 0;
  /** @param {DragEvent} event */
  const hasFiles = ({dataTransfer}) => Boolean(dataTransfer?.types.includes('Files'));
  /** @param {number} next */
  function setDepth(next) {
    depth = Math.max(0, next);
    stage.dataset.dropping = depth ? 'yes' : 'no';
  }
  document.addEventListener('dragenter', (event) => { if (hasFiles(event)) setDepth(depth + 1); });
  document.addEventListener('dragleave', () => setDepth(depth - 1));
  document.addEventListener('dragover', (event) => { if (hasFiles(event)) event.preventDefault(); });
  document.addEventListener('drop', (event) => {
    setDepth(0);
    if (!hasFiles(event)) return;
    event.preventDefault();
    take(event.dataTransfer?.files);
  });
  document.addEventListener('paste', (event) => {
    if (take(event.clipboardData?.files)) event.preventDefault();
  });

  return {
    /** Takes the picture in the clipboard. */
    async paste() {
      try {
        for (const item of await navigator.clipboard.read()) {
          const type = item.types.find((name) => name.startsWith('image/'));
          if (type) return onFile(new File([await item.getType(type)], 'pasted.' + type.split('/')[1], {type}));
        }
        onError('There is no picture in the clipboard. Copy one and paste again.');
      } catch {
        onError('The browser does not let this page read the clipboard. Press Ctrl+V (Cmd+V on a Mac), or open a file.');
      }
    },
  };
}
