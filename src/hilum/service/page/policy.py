"""What the page may do, as a browser enforces it: fetch files of its own and nothing else, from nowhere else."""

from __future__ import annotations

PLAIN = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'"
)
# With WebAssembly and the thread that judges films, for films that never leave the browser.
POLICY = PLAIN.replace("script-src 'self'", "script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:")
FRAMELESS = "; frame-ancestors 'none'"  # which only a header can say
# Isolated from other pages, so that its threads may share memory.
ISOLATED = {
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
