// A film on its way to the server, told how much of it has gone: fetch cannot say.

/**
 * As fetch does it; rejects where the server does not answer.
 * @param {string} path
 * @param {Blob} body
 * @param {Record<string, string>} headers
 * @param {(share: number) => void} [onSent] of the body, from 0 to 1
 * @returns {Promise<Response>}
 */
export function send(path, body, headers, onSent = () => {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.responseType = "arraybuffer";
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", ({ loaded, total }) => onSent(total ? loaded / total : 1));
    request.addEventListener("load", () => {
      const { response, status } = request;
      resolve(new Response(response, { status, headers: headersOf(request.getAllResponseHeaders()) }));
    });
    request.addEventListener("error", () => reject(new TypeError("no answer")));
    request.send(body);
  });
}

function headersOf(lines) {
  const headers = new Headers();
  for (const line of lines.trim().split("\r\n")) {
    const [name, ...value] = line.split(":");
    headers.append(name, value.join(":").trim());
  }
  return headers;
}
