// Draws a field on triangles with WebGL: values are interpolated, then turned into colours.

const VERTEX = `#version 300 es
in vec2 place;
in float value;
uniform vec2 scale, shift;
out highp float v;
void main() {
  v = value;
  gl_Position = vec4(place * scale + shift, 0.0, 1.0);
}`;

const FRAGMENT = `#version 300 es
precision highp float;
in highp float v;
uniform float low, factor;
uniform sampler2D table;
out vec4 colour;
void main() {
  float part = clamp((v - low) * factor, 0.0, 1.0);
  colour = texture(table, vec2((part * 255.0 + 0.5) / 256.0, 0.5));
}`;

export class WebGlPainter {
  /** Return a painter, or null where there is no WebGL 2. */
  static on(canvas) {
    const gl = canvas.getContext("webgl2", { antialias: true, preserveDrawingBuffer: true });
    return gl ? new WebGlPainter(gl) : null;
  }

  constructor(gl) {
    this.gl = gl;
    this.program = linked(gl);
    this.places = Object.fromEntries(
      ["scale", "shift", "low", "factor"].map((name) => [name, gl.getUniformLocation(this.program, name)]),
    );
    [this.points, this.values, this.cells] = [0, 1, 2].map(() => gl.createBuffer());
    this.texture = gl.createTexture();
    this.mesh = this.frame = this.table = null;
  }

  /** Draw; `size` is that of the canvas in its own pixels, `range` is not empty. */
  draw({ mesh, frame, range, table, camera, size: [width, height], ratio }) {
    const { gl } = this;
    this.#take(mesh, frame, table);
    gl.viewport(0, 0, width, height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.useProgram(this.program);
    const s = camera.scale(width / ratio, height / ratio) * ratio;
    const { middle, extent } = frameOf(mesh);
    const shift = [0, 1].map((i) => 2 * s * (middle[i] - camera.centre[i]));
    gl.uniform2f(this.places.scale, (2 * s * extent) / width, (2 * s * extent) / height);
    gl.uniform2f(this.places.shift, shift[0] / width, shift[1] / height);
    gl.uniform1f(this.places.low, range[0]);
    gl.uniform1f(this.places.factor, 1 / (range[1] - range[0]));
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.cells);
    gl.drawElements(gl.TRIANGLES, mesh.cells.length, gl.UNSIGNED_INT, 0);
  }

  /** Give the buffers back. */
  close() {
    this.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }

  #take(mesh, frame, table) {
    const { gl } = this;
    if (mesh !== this.mesh) {
      this.#attribute("place", this.points, normalised(mesh), 2);
      gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.cells);
      gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, new Uint32Array(mesh.cells), gl.STATIC_DRAW);
    }
    if (frame !== this.frame) this.#attribute("value", this.values, frame, 1);
    if (table !== this.table) this.#colours(table);
    Object.assign(this, { mesh, frame, table });
  }

  #attribute(name, buffer, numbers, width) {
    const { gl } = this;
    const place = gl.getAttribLocation(this.program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.bufferData(gl.ARRAY_BUFFER, numbers, gl.DYNAMIC_DRAW);
    gl.enableVertexAttribArray(place);
    gl.vertexAttribPointer(place, width, gl.FLOAT, false, 0, 0);
  }

  #colours(table) {
    const { gl } = this;
    gl.bindTexture(gl.TEXTURE_2D, this.texture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, table);
    for (const [name, value] of [
      [gl.TEXTURE_MIN_FILTER, gl.LINEAR],
      [gl.TEXTURE_MAG_FILTER, gl.LINEAR],
      [gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE],
      [gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE],
    ]) {
      gl.texParameteri(gl.TEXTURE_2D, name, value);
    }
  }
}

function frameOf({ box: { low, high } }) {
  return {
    middle: [0, 1].map((i) => (low[i] + high[i]) / 2),
    extent: Math.max(high[0] - low[0], high[1] - low[1]) || 1,
  };
}

/** Positions around 0: their 32 bits then hold every detail, wherever the mesh lies. */
function normalised(mesh) {
  const { middle, extent } = frameOf(mesh);
  return Float32Array.from(mesh.points, (v, i) => (v - middle[i % 2]) / extent);
}

function linked(gl) {
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) {
    throw new Error(`Expected shaders that fit together; received: ${gl.getProgramInfoLog(program)}`);
  }
  return program;
}
