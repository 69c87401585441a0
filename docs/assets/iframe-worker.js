// Search in pages opened from disk, where browsers start no workers: what a worker would run, a hidden
// frame runs. The theme asks for it by the name IFrameWorker, and waits for importScripts.
if (location.protocol === "file:") {
  const page = (url) => `<script>
    postMessage = (data) => frameElement.answered(data);
    importScripts = async (...scripts) => {
      for (const src of scripts)
        await new Promise((onload, onerror) =>
          document.head.append(Object.assign(document.createElement("script"), { src, onload, onerror })));
    };
  <\/script><script src="${url}"><\/script>`;

  window.Worker = window.IFrameWorker = class extends EventTarget {
    constructor(url) {
      super();
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      document.body.append(this.frame);
      this.frame.answered = (data) => {
        const event = new MessageEvent("message", { data });
        this.onmessage?.(event);
        this.dispatchEvent(event);
      };
      this.ready = new Promise((done) => (this.frame.onload = done));
      const inside = this.frame.contentDocument;
      inside.open();
      inside.write(page(url));
      inside.close();
    }

    async postMessage(data) {
      await this.ready;
      this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data }));
    }

    terminate() {
      this.frame.remove();
    }
  };
}
