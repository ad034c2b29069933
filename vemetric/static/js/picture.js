// A chosen picture becomes a square of at most 500 pixels before it is sent: the middle of it. Without scripts, or with a
// picture that the browser cannot read, the file is sent as it is, and the server decides.
const SIDE_MAX = 500;
const QUALITY = 0.85;

export function startPicture() {
  for (const input of document.querySelectorAll("[data-picture] input[type=file]")) {
    input.addEventListener("change", () => shrink(input).catch(() => {}));
  }
}

async function shrink(input) {
  const [file] = input.files;
  if (!file) return;
  const bitmap = await createImageBitmap(file);
  const side = Math.min(bitmap.width, bitmap.height);
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = Math.min(side, SIDE_MAX);
  const left = (bitmap.width - side) / 2;
  const top = (bitmap.height - side) / 2;
  canvas.getContext("2d").drawImage(bitmap, left, top, side, side, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise((done) => canvas.toBlob(done, "image/webp", QUALITY));
  if (!blob || input.files[0] !== file) return;
  const chosen = new DataTransfer();
  chosen.items.add(new File([blob], "picture.webp", { type: blob.type }));
  input.files = chosen.files;
  input.dataset.shrunk = String(canvas.width);
}
