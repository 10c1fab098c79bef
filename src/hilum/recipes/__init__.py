"""The recipes themselves, one .toml file each; every published system that hilum reproduces is one of them."""
