"""Packages that a project comes to depend on, or no longer: by its ecosystems' own tools, manifests and lockfiles."""
