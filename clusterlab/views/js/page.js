// A page without a kernel: the same view, and a stand-in for the channel that answers from the data in the page.

const data = JSON.parse(document.getElementById("clusterlab-data").textContent);
const listeners = new Set();
const tell = (content) => listeners.forEach((listener) => listener(content, []));
const channel = {
  sent: [],
  tell,
  on(name, listener) { if (name === "msg:custom") listeners.add(listener); },
  off(name, listener) { listeners.delete(listener); },
  send(content) {
    channel.sent.push(content);
    if (content.do === "ready") queueMicrotask(() => tell({ ...data, to: content.view }));
  },
};
window.clusterlab = { channel, close: render({ model: channel, el: document.getElementById("clusterlab") }) };
