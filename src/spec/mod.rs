//! Text to workflow: reads YAML and JSON, reports every fault with its place.
