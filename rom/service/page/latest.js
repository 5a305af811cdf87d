// Of many wishes one is carried out at a time, and then the latest; those between are dropped.

const SOON_MS = 30;
const PATIENCE_MS = 400;
const LONGEST_MS = 10_000;

export class Latest {
  constructor() {
    this.next = null;
    this.abort = null;
    this.timer = 0;
    this.patience = PATIENCE_MS;
  }

  /**
   * Carry out `work(signal)` when what runs has ended, unless another wish comes first. What runs
   * for longer than usual is aborted. So a slider that is dragged shows as many answers as the
   * service can give, and never waits for one that nobody wants any more.
   */
  want(work) {
    this.next = work;
    if (!this.abort) this.timer ||= setTimeout(() => this.#run(), SOON_MS);
    else if (performance.now() - this.began > this.patience) this.#giveUp();
  }

  /** Drop what waits and what runs. */
  stop() {
    clearTimeout(this.timer);
    this.timer = 0;
    this.next = null;
    this.abort?.abort();
  }

  #giveUp() {
    if (this.abort.signal.aborted) return;
    this.abort.abort();
    // Or a slow service would never be seen to answer.
    this.patience = Math.min(LONGEST_MS, 2 * this.patience);
  }

  async #run() {
    this.timer = 0;
    while (this.next) {
      const work = this.next;
      this.next = null;
      const { signal } = (this.abort = new AbortController());
      this.began = performance.now();
      await work(signal);
      const took = performance.now() - this.began;
      if (!signal.aborted) this.patience = Math.min(LONGEST_MS, Math.max(PATIENCE_MS, 2 * took));
    }
    this.abort = null;
  }
}
