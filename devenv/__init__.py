"""Developer environments from the lockfiles that a project already has."""
