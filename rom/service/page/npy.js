// Arrays in the format of numpy, version 1: magic, header, numbers.

const TYPES = { "<f4": Float32Array, "<f8": Float64Array, "<i4": Int32Array, "|u1": Uint8Array };

/** Return { shape, data } of a buffer. */
export function readNpy(buffer) {
  const bytes = new Uint8Array(buffer);
  if (bytes.length < 10 || bytes[0] !== 0x93 || String.fromCharCode(...bytes.slice(1, 6)) !== "NUMPY") {
    throw new Error("Expected an array in the format npy; received something else.");
  }
  const length = new DataView(buffer).getUint16(8, true);
  const header = new TextDecoder("latin1").decode(bytes.subarray(10, 10 + length));
  const kind = TYPES[/'descr':\s*'([^']+)'/.exec(header)?.[1]];
  const shape = /'shape':\s*\(([^)]*)\)/.exec(header)?.[1].split(",").filter((s) => s.trim()).map(Number);
  if (!kind || !shape || !/'fortran_order':\s*False/.test(header)) {
    throw new Error(`Expected numbers in rows; received the header ${header.trim()}`);
  }
  const count = shape.reduce((a, b) => a * b, 1);
  return { shape, data: new kind(buffer, 10 + length, count) };
}
