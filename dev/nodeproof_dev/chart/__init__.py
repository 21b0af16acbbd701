"""The Helm chart: what is generated for it and from it, and its archive."""
