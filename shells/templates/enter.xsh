# What xonsh reads by XONSHRC when it is started in an environment: the user's own files first; entering happens when all
# of them were read.

def __devenv_start(identity, label):
    from xonsh.built_ins import XSH

    place = XSH.env["__devenv_spec"]
    if "__devenv_kept_XONSHRC" in XSH.env:
        XSH.env["XONSHRC"] = XSH.env["__devenv_kept_XONSHRC"]
        del XSH.env["__devenv_kept_XONSHRC"]
    else:
        del XSH.env["XONSHRC"]

    @XSH.builtins.events.on_post_rc
    def __devenv_enter(**_):
        import runpy

        if "__devenv_spec" in XSH.env:  # else the hook in those files has taken it over
            if "__devenv_start" in XSH.env:
                del XSH.env["__devenv_start"]
            shown = "" if XSH.env.get("DEVENV_NO_PROMPT") else label
            given = {"ID": identity, "ACTION": "enter", "FILE": place + "/activate.xsh", "PROJECT": "", "LABEL": shown}
            runpy.run_path(place + "/runtime.xonsh", given)
        XSH.builtins.events.on_post_rc.remove(__devenv_enter)

    if "__devenv_pure" not in XSH.env:
        from xonsh.environ import xonshrc_context

        xonshrc_context(
            rcfiles=tuple(XSH.env.get("XONSHRC")), rcdirs=None, execer=XSH.execer, ctx=XSH.ctx, env=XSH.env, login=False
        )


__devenv_start(ID, LABEL)
del __devenv_start, ID, LABEL
