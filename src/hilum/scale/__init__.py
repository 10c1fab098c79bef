"""Films by the million: a plan of what is judged, shards of it judged wherever, a part of the results for each."""
