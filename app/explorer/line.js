/** Requests of one view: at most one is under way, and of those that wait only the newest is sent. */

export class Line {
  /** @type {string | null} */
  #asked = null;
  /** @type {{work: (signal: AbortSignal) => Promise<any>, show: (answer: any) => void} | null} */
  #next = null;
  #busy = false;
  #abort = new AbortController();

  /** @param {(error: Error | null) => void} tell Told of what went wrong, and by null that nothing does any more. */
  constructor(tell) {
    this.tell = tell;
  }

  /**
   * Ask for what is to be seen, unless that is what was asked for last.
   * @template T
   * @param {string} what Two requests for the same have the same text.
   * @param {(signal: AbortSignal) => Promise<T>} work
   * @param {(answer: T) => void} show
   */
  ask(what, work, show) {
    if (what === this.#asked) return;
    this.#asked = what;
    this.#next = { work, show };
    if (!this.#busy) this.#run();
  }

  /** Drop what is under way, as of no interest any more. */
  drop() {
    this.#abort.abort();
    this.#abort = new AbortController();
    this.#asked = this.#next = null;
  }

  async #run() {
    this.#busy = true;
    while (this.#next) {
      const { work, show } = this.#next;
      const { signal } = this.#abort;
      this.#next = null;
      try {
        const answer = await work(signal);
        if (signal.aborted) continue;
        show(answer);
        this.tell(null);
      } catch (error) {
        if (signal.aborted) continue;
        if (!this.#next) this.#asked = null; // So that the same can be asked for again.
        this.tell(error);
      }
    }
    this.#busy = false;
  }
}
