// A stream of server-sent events that is open only while somebody looks: given back when the page is hidden or left.
import { toast } from "./toast.js";

export class Stream {
  // change: called when the server says so, and when the page is seen again; gone: when there can be no stream.
  constructor(change, gone) {
    this.change = change;
    this.gone = gone;
    this.source = null;
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.close();
      else this.change();
    });
    addEventListener("pagehide", () => this.close());
  }

  get isOpen() {
    return this.source !== null;
  }

  open(url) {
    if (document.hidden || this.source) return;
    this.source = new EventSource(url);
    this.source.addEventListener("change", () => this.change());
    this.source.addEventListener("blind", () => toast("Live cannot be counted right now. It goes on by itself."));
    this.source.addEventListener("error", () => {
      if (this.source?.readyState !== EventSource.CLOSED) return;
      this.close();
      this.gone();
    });
  }

  close() {
    this.source?.close();
    this.source = null;
  }
}
