// Keeps the page's files in the browser: all of one version, each checked by its digest, or none. Written by hilum page.

// @ts-nocheck: what stands below is filled in where a page is written, and a service worker has names of its own
// FILES, TYPES, HEADERS
const SCOPE = self.registration.scope;
const KEPT = `hilum ${SCOPE} `;
// Of the two runtimes one is enough, which bundle/runtime.js then asks for; the other is fetched should that change.
const [PLAIN, GRAPHICS] = ["page/lib/ort-wasm-simd-threaded.wasm", "page/lib/ort-wasm-simd-threaded.jspi.wasm"];

self.addEventListener("install", (event) => event.waitUntil(install()));
self.addEventListener("activate", (event) => event.waitUntil(activate()));
self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || !url.href.startsWith(SCOPE)) return;
  event.respondWith(kept(decodeURI(url.pathname).slice(new URL(SCOPE).pathname.length) || "index.html"));
});
// A page that starts asks for the newest version. Others that are open keep theirs, and it waits for them.
self.addEventListener("message", async (event) => {
  const open = await self.clients.matchAll({ includeUncontrolled: true });
  if (event.data === "take over" && open.length === 1) self.skipWaiting();
});

async function install() {
  const cache = await caches.open(await cacheName());
  const before = (await caches.keys()).filter((name) => name.startsWith(KEPT));
  const idle = (await graphicsHere()) ? PLAIN : GRAPHICS;
  const needed = Object.entries(FILES).filter(([path]) => path !== idle);
  const total = needed.reduce((sum, [, [, size]]) => sum + size, 0);
  let done = 0;
  for (const [path, [digest, size]] of needed) {
    await cache.put(`${SCOPE}${path}`, whole(path, (await found(before, path, digest)) ?? (await fetched(path, digest))));
    done += size;
    for (const page of await self.clients.matchAll({ includeUncontrolled: true })) page.postMessage({ done, total });
  }
}

async function graphicsHere() {
  return "Suspending" in WebAssembly && Boolean(await self.navigator.gpu?.requestAdapter());
}

function whole(path, content) {
  const own = { "Content-Type": TYPES[path], "Content-Length": String(content.byteLength) };
  return new Response(content, { headers: { ...HEADERS, ...own } });
}

/** What an earlier version has kept, if it is the same. */
async function found(names, path, digest) {
  for (const name of names) {
    const answer = await (await caches.open(name)).match(`${SCOPE}${path}`);
    const content = await answer?.arrayBuffer();
    if (content && (await sha256(content)) === digest) return content;
  }
  return null;
}

async function fetched(path, digest) {
  const answer = await fetch(`${SCOPE}${path}`, { cache: "no-cache" });
  const content = await answer.arrayBuffer();
  if (!answer.ok || (await sha256(content)) !== digest) throw new Error(`${path} is not the file that belongs to this page`);
  return content;
}

async function activate() {
  const current = await cacheName();
  for (const name of await caches.keys()) if (name.startsWith(KEPT) && name !== current) await caches.delete(name);
  await self.clients.claim();
}

async function kept(path) {
  const cache = await caches.open(await cacheName());
  const before = await cache.match(`${SCOPE}${path}`);
  if (before) return before;
  if (!(path in FILES)) return new Response("no file of this page", { status: 404, headers: HEADERS });
  const answer = whole(path, await fetched(path, FILES[path][0]));
  await cache.put(`${SCOPE}${path}`, answer.clone());
  return answer;
}

/** One name for one set of files. */
let known = null;
async function cacheName() {
  known ??= sha256(new TextEncoder().encode(JSON.stringify([FILES, TYPES, HEADERS])));
  return KEPT + (await known);
}

async function sha256(content) {
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", content));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
