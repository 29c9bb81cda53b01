# What fish sources after the user's files when it is started in an environment.
source "$__devenv_spec/activate.fish"
