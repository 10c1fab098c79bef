"""hilum as a service: films come over HTTP or into a folder, and predictions go back the same way."""
