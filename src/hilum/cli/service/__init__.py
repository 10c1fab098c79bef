"""Commands that go on until they are stopped, and the page without a server."""
