// Ways to bring a photo in: drop, file dialog, clipboard, camera. Each ends in onFile(file).

function createIntake(root, part, {onFile, onError}) {
  const {stage, file, capture, camera, video} = part;
  let stream = null;

  function take(files) {
    const photo = Array.from(files || []).find((item) => item.type.startsWith('image/')) || (files || [])[0];
    if (photo) onFile(photo);
    return Boolean(photo);
  }

  for (const input of [file, capture]) {
    input.addEventListener('change', () => { take(input.files); input.value = ''; });
  }

  // The whole page takes a drop: a photo dropped beside the stage must not replace the page.
  let depth = 0;
  const carriesFiles = (event) => Array.from(event.dataTransfer ? event.dataTransfer.types : []).includes('Files');
  const hint = (on) => { stage.dataset.dropping = on ? 'yes' : 'no'; };
  document.addEventListener('dragenter', (event) => { if (carriesFiles(event)) { depth++; hint(true); } });
  document.addEventListener('dragleave', () => { depth = Math.max(0, depth - 1); if (!depth) hint(false); });
  document.addEventListener('dragover', (event) => { if (carriesFiles(event)) event.preventDefault(); });
  document.addEventListener('drop', (event) => {
    depth = 0;
    hint(false);
    if (!carriesFiles(event)) return;
    event.preventDefault();
    take(event.dataTransfer.files);
  });

  document.addEventListener('paste', (event) => {
    if (take(event.clipboardData && event.clipboardData.files)) event.preventDefault();
  });

  async function paste() {
    try {
      for (const item of await navigator.clipboard.read()) {
        const type = item.types.find((name) => name.startsWith('image/'));
        if (type) return onFile(new File([await item.getType(type)], 'pasted.' + type.split('/')[1], {type}));
      }
      onError('There is no picture in the clipboard. Copy one and paste again.');
    } catch (error) {
      onError('The browser does not let this page read the clipboard. Press Ctrl+V (Cmd+V on a Mac), or open a file.');
    }
  }

  function closeCamera() {
    if (stream) stream.getTracks().forEach((track) => track.stop());
    stream = null;
    video.srcObject = null;
    if (camera.open) camera.close();
  }

  async function openCamera() {
    const phone = window.matchMedia('(pointer: coarse)').matches;
    if (phone || !navigator.mediaDevices) return capture.click();
    try {
      stream = await navigator.mediaDevices.getUserMedia({video: {width: {ideal: 1920}, facingMode: 'environment'}});
      video.srcObject = stream;
      camera.showModal();
    } catch (error) {
      onError(error.name === 'NotAllowedError'
        ? 'The camera is blocked: allow it for this page in the browser, then try again.'
        : 'No camera was found. Open a photo from a file instead.');
    }
  }

  async function shoot() {
    if (!video.videoWidth) return;
    const canvas = document.createElement('canvas');
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    canvas.getContext('2d').drawImage(video, 0, 0);
    closeCamera();
    canvas.toBlob((blob) => onFile(new File([blob], 'camera.jpg', {type: 'image/jpeg'})), 'image/jpeg', 0.95);
  }

  camera.addEventListener('close', closeCamera);
  return {browse: () => file.click(), paste, openCamera, closeCamera, shoot};
}
