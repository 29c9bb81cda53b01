"""The verbs of the command line: one record each, the source of help, parser and dispatch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """`module` below devenv.cli.commands has add_arguments(parser) and run(arguments, context), or main(arguments)."""

    name: str
    summary: str
    module: str
    description: str
    examples: tuple[tuple[str, str], ...] = ()
    takes_program: bool = False
    passes_rest: bool = False  # a "--" is the program's like all that follows the first operand
    reads_own_arguments: bool = False  # the module's main(arguments) reads them, in another program's grammar


VERBS = (
    Verb(
        name="init",
        summary="write a devenv.toml for what this repository holds",
        module="init",
        description=(
            "Reads the lockfiles, version files and manifests of a project and writes a devenv.toml that "
            "says only what they do not. Nothing is fetched. An existing devenv.toml is left alone."
        ),
        examples=(("devenv init", "in the project's directory"),),
    ),
    Verb(
        name="lock",
        summary="pin in devenv.lock what the lockfiles leave open",
        module="lock",
        description=(
            "Asks the registries for what no lockfile of the project says: exact toolchain versions, the "
            "URLs and hashes that a lockfile lacks. The only verb that decides versions; commit its file."
        ),
        examples=(("devenv lock", "after changing devenv.toml or a lockfile"),),
    ),
    Verb(
        name="add",
        summary="have the project depend on another package",
        module="add",
        description=(
            "Runs the ecosystem's own tool on its own manifest and lockfile (uv, poetry, npm, cargo; of a "
            "requirements.txt the requirements.in beside it), then brings devenv.lock up to date. Packages of "
            "the base go to devenv.toml, which keeps its comments and order."
        ),
        examples=(
            ("devenv add pip:httpx 'npm:left-pad@^1.3' crate:serde r:sf", "to their lockfiles"),
            ("devenv add --group dev pip:pytest", "to a group of dependencies"),
            ("devenv add system:jq", "from the project's base"),
        ),
    ),
    Verb(
        name="remove",
        summary="have the project no longer depend on a package",
        module="remove",
        description="The reverse of add: by the ecosystem's own tool, in its manifest and lockfile.",
        examples=(("devenv remove npm:left-pad", "and what only it needed"),),
    ),
    Verb(
        name="update",
        summary="lock newer versions of packages",
        module="update",
        description=(
            "Has the ecosystem's own resolver choose new versions within what the manifest allows: of the "
            "packages named and what they need, or of all. Then brings devenv.lock up to date."
        ),
        examples=(
            ("devenv update pip:httpx", "one package"),
            ("devenv update", "everything in every lockfile"),
        ),
    ),
    Verb(
        name="enter",
        summary="start a shell or a command in the environment",
        module="enter",
        description=(
            "Fetches and unpacks what is missing, then starts your own shell with the environment, or runs "
            "a command in it. Leave the shell with exit; nothing of it stays behind."
        ),
        examples=(
            ("devenv enter", "your shell"),
            ("devenv enter -c 'npm test'", "one line, run by your shell; its exit code is passed on"),
            ("devenv enter -- node server.js", "one program, without a shell between"),
            ("devenv enter --pure --shell bash", "with none of your own variables"),
            ("devenv enter --profile ci -- npm test", "with what [profiles.ci] adds"),
            ("devenv enter --set port=9000", "with another value of a parameter that devenv.toml declares"),
        ),
        takes_program=True,
    ),
    Verb(
        name="hook",
        summary="print what your shell needs to enter projects by itself",
        module="hook",
        description=(
            "Prints code for your shell's own file. From then on a shell is in the environment of the nearest project "
            "whenever it is in its directory. Nothing runs at a prompt while nothing changed; what must be made is made in the "
            "background, and the former environment stays meanwhile. See docs/hook.md."
        ),
        examples=(
            ('eval "$(devenv hook bash)"', "in ~/.bashrc; with --cd it reacts within a line, too"),
            ('eval "$(devenv hook zsh)"', "in ~/.zshrc"),
            ("devenv hook fish | source", "in ~/.config/fish/config.fish"),
            ("eval (devenv hook elvish | slurp)", "in ~/.config/elvish/rc.elv"),
            ('eval "`devenv hook tcsh`"', "in ~/.tcshrc"),
            ("devenv hook pwsh | Out-String | Invoke-Expression", "in the file that $PROFILE names"),
            ("devenv hook nu", "docs/hook.md says where nushell reads it from"),
        ),
    ),
    Verb(
        name="allow",
        summary="allow what a project wants to run",
        module="allow",
        description=(
            "Shows what is new of that by which the project decides what code runs: programs found before yours, "
            "aliases, variables that programs obey. What you allow is remembered by its content, so other clones and "
            "worktrees need no answer. Plain variables and toolchains never need one."
        ),
        examples=(
            ("devenv allow", "the project here: shows it, and asks"),
            ("devenv allow --list", "everything that you answered"),
            ("devenv deny", "no, and do not mention it again"),
        ),
    ),
    Verb(
        name="deny",
        summary="take back what was allowed, and be asked no more",
        module="deny",
        description="Shells leave the project's environment at their next prompt. `devenv allow` undoes it.",
        examples=(("devenv deny", "the project here"),),
    ),
    Verb(
        name="build",
        summary="build what the project describes, or any derivation",
        module="build",
        description=(
            "Builds the recipes of devenv.toml, [build.NAME], phase by phase in a sandbox, and prints where the results "
            "are; .devenv/builds/NAME leads there as well. The state after each phase is kept: an edited phase runs "
            "again, and what comes after it. DRV is a .drv file in the store, whoever wrote it."
        ),
        examples=(
            ("devenv build", "all recipes"),
            ("devenv build hello --from install", "the install phase again, and what follows"),
            ("devenv build --dry-run", "what would be fetched and built, and how long that took before"),
            ("devenv enter --build hello", "a shell where a phase failed, or in the build of any derivation"),
        ),
    ),
    Verb(
        name="env",
        summary="show the environment as data, with the origin of each part",
        module="env",
        description="Prints the variables, aliases, functions, scripts and packages and where each was declared.",
        examples=(("devenv env --json", "the env.json of the environment spec"),),
    ),
    Verb(
        name="export",
        summary="write the environment in another program's format",
        module="export",
        description=(
            "sh: a script for POSIX shells that needs no devenv. json: what changes in this shell. dotenv, systemd (EnvironmentFile), "
            "github (to GITHUB_ENV and GITHUB_PATH in a workflow), gitlab (a dotenv report), direnv (an .envrc), direnv-lib (what it uses), nix (as nix print-dev-env "
            "--json), vscode, jetbrains (.run/devenv.run.xml), devcontainer. oci: an image for docker and podman, without either. dockerfile: the same as a directory to "
            "build from. See docs/exports.md."
        ),
        examples=(
            ("devenv export dotenv -o .env", "for compose files, IDEs and frameworks"),
            (
                "devenv export oci -o image.tar && podman load -i image.tar",
                "a container with the environment",
            ),
            ("devenv export github", "in a workflow: later steps have the environment"),
        ),
    ),
    Verb(
        name="import",
        summary="declare a development shell of Nix in a devenv.toml",
        module="import_",
        description=(
            "Reads what `nix print-dev-env --json` prints and writes a devenv.toml with the same variables, which any shell can enter. "
            "What Nix's build has for itself is left out; functions and hooks of bash are named, as they are not data."
        ),
        examples=(
            ("nix print-dev-env --json .#devShell | devenv import -", "in the flake's repository"),
            ("devenv import shell.json -o -", "only show it"),
        ),
    ),
    Verb(
        name="diff",
        summary="show what differs between two environments",
        module="diff",
        description=(
            "Compares packages, variables, aliases, functions and scripts. A and B are `current` (the environment in use, what A is by "
            "itself), `files` (what the files say now, what B is by itself; nothing is made for it), the number of a "
            "generation, a directory with another project, or a revision of the project's git repository. `shell` stands for the "
            "variables of the shell that asks. Exits with 1 where anything differs."
        ),
        examples=(
            ("devenv diff", "what the next `devenv enter` would change"),
            ("devenv diff 3 5", "between two generations"),
            ("devenv diff shell", "where this shell is not as its environment says"),
            ("devenv diff main files --json", "between a branch and what is here"),
        ),
    ),
    Verb(
        name="generations",
        summary="list the environments that this project had",
        module="generations",
        description="The current one is marked. Generations keep their packages until `devenv gc --older-than` drops them.",
        examples=(("devenv generations --json", "for programs"),),
    ),
    Verb(
        name="rollback",
        summary="go back to an earlier environment",
        module="rollback",
        description=(
            "Makes the environment before the current one, or the generation N, the project's own again: its packages, views "
            "and variables. Nothing is fetched. It stays until devenv.toml, devenv.lock or a lockfile changes; with --files "
            "these are put back as well, where git sees them."
        ),
        examples=(
            ("devenv rollback", "to the one before"),
            ("devenv rollback 3 --files", "and the files that it was made from"),
        ),
    ),
    Verb(
        name="status",
        summary="say what is locked, present, stale or missing",
        module="status",
        description="Compares devenv.toml, the lockfiles, devenv.lock, the store and the views. Changes nothing.",
        examples=(("devenv status --json", "for programs"),),
    ),
    Verb(
        name="check",
        summary="check devenv.toml, the lockfiles and devenv.lock",
        module="check",
        description=(
            "Reports every mistake at once: in devenv.toml, in the lockfiles, between them and devenv.lock. "
            "Changes nothing and asks no network. With --rc it enters the environment, starts your shell in it as an editor or "
            "tmux does, and says which lines of your shell's own files override or reorder what the environment sets; it then "
            "exits with 1."
        ),
        examples=(
            ("devenv check", "in CI, before anything is fetched"),
            ("devenv check --rc", "why a terminal in the editor has another PATH"),
        ),
    ),
    Verb(
        name="doctor",
        summary="look at everything that devenv stands on",
        module="doctor",
        description=(
            "Looks at kernel, user namespaces, disk, store, shell and hook, package lists, the project, and asks registries, mirrors and "
            "caches. Each finding comes with its remedy. Changes nothing. Exits with 1 where something does not work."
        ),
        examples=(
            ("devenv doctor", "when something fails for no visible reason"),
            ("devenv doctor --offline --json", "for programs, without asking the network"),
        ),
    ),
    Verb(
        name="convert",
        summary="show the derivations that a lockfile means",
        module="convert",
        description=(
            "Turns any supported lockfile, in a project or not, into Nix derivations and shows them. What the "
            "lockfile leaves open is asked for at the registry."
        ),
        examples=(
            ("devenv convert package-lock.json", "one line a package"),
            ("devenv convert uv.lock --json", "the derivations, in the form of nix show-derivation"),
        ),
    ),
    Verb(
        name="compile",
        summary="make the byte code of the project's Python packages now",
        module="compile",
        description=(
            "`enter` starts this in the background, at the lowest priority, when byte code is missing. Run it "
            "yourself to have it done when it returns, for instance while building an image. DEVENV_COMPILE=now "
            "makes `enter` wait for it, DEVENV_COMPILE=never leaves it to Python."
        ),
        examples=(("devenv compile", "wait for it"),),
    ),
    Verb(
        name="completions",
        summary="print what a shell completes devenv's command line by",
        module="completions",
        description=(
            "Prints code for bash, zsh, fish, elvish or tcsh. bash with bash-completion and xonsh read it from "
            "~/.local/share/bash-completion/completions/devenv, fish from ~/.config/fish/completions/devenv.fish, zsh from a file "
            "_devenv in a directory of its fpath. What an environment brings is completed by itself."
        ),
        examples=(
            ("devenv completions fish > ~/.config/fish/completions/devenv.fish", "once"),
            ('eval "$(devenv completions bash)"', "for this shell"),
        ),
    ),
    Verb(
        name="schema",
        summary="print the JSON Schema of devenv.toml or env.json",
        module="schema",
        description="Editors use it for completion and checks: see docs/devenv.toml.md.",
        examples=(("devenv schema > devenv.schema.json", "the schema of devenv.toml"),),
    ),
    Verb(
        name="search",
        summary="look for packages of a base by words",
        module="search",
        description=(
            "Looks for packages that have every word in their name or description, the likeliest first. The base is the "
            "one that devenv.toml names, else this machine's own distribution. Indices are fetched and verified when first "
            "asked; for a week after that no network is used."
        ),
        examples=(
            ("devenv search gdal", "in the project's base"),
            ("devenv search --base debian/trixie c++ compiler", "in another one"),
        ),
    ),
    Verb(
        name="locate",
        summary="say which package has a file",
        module="locate",
        description=(
            "Looks for programs, libraries, headers and build files in the packages of a base. The index is made when first "
            "asked, which takes some ten seconds; after that an answer takes milliseconds. Exits with 1 when nothing is found."
        ),
        examples=(
            ("devenv locate libGL.so.1", "by name"),
            ("devenv locate bin/convert", "by the end of a path"),
            ("devenv locate /usr/include/gdal/gdal.h", "by a whole path"),
            ("devenv locate 'libgdal.so*'", "by a pattern"),
        ),
    ),
    Verb(
        name="info",
        summary="show what is known of a package of a base",
        module="info",
        description="Prints version, size, dependencies and what it takes to have a package with all it needs.",
        examples=(
            ("devenv info libgdal-dev", "of the project's base"),
            ("devenv info libgl1:i386 --json", "for programs"),
        ),
    ),
    Verb(
        name="fhs",
        summary="start a shell or a program among packages of a distribution",
        module="fhs",
        description=(
            "Makes a root of the packages and all that they need, and starts your shell in it, or a program. Your files, "
            "terminal, display and network are as always; /usr and /etc are those of the packages. No project is "
            "needed, nothing is installed, and the second time it takes milliseconds."
        ),
        examples=(
            ("devenv fhs gdal-bin -- gdalinfo --version", "one program"),
            ("devenv fhs --base debian/trixie python3 git", "your shell, with what a newer release has"),
            ("devenv fhs libgl1:i386 -- ./game", "32-bit libraries beside the others"),
        ),
        takes_program=True,
    ),
    Verb(
        name="hosts",
        summary="give host names addresses in this project's root",
        module="hosts",
        description=(
            "Sessions in a root of system packages have a hosts file of the project, which follows the machine's. It can be edited "
            "inside as /etc/hosts, or here."
        ),
        examples=(
            ("devenv hosts add db.test 127.0.0.9", "seen at once, also by sessions that run"),
            ("devenv hosts list", "what was added"),
        ),
    ),
    Verb(
        name="inspect",
        summary="say what a program needs before it is run",
        module="inspect",
        description=(
            "Reads a program, script, archive, package or directory, whatever made it, and says whether it runs on this machine, "
            "what is missing, and which packages have that. Nothing of it is run. Exits with 1 for what cannot be run here."
        ),
        examples=(
            ("devenv inspect ./game", "one program"),
            ("devenv inspect Editor.AppImage", "what is in an archive"),
            ("devenv inspect --json ./lib/plugin.so", "for programs"),
        ),
    ),
    Verb(
        name="run",
        summary="run a downloaded program, whatever system it was made for",
        module="run",
        description=(
            "Starts a program, AppImage, archive or Debian package unmodified: as it is where this machine has all it needs, else in a "
            "root of packages that have the rest, which are looked up, shown and added when you agree. What was decided is "
            "remembered by the file's contents. Options go before FILE; all that follows is the program's."
        ),
        examples=(
            ("devenv run ./game --fullscreen", "a program"),
            ("devenv run --yes Editor.AppImage", "without questions"),
            ("devenv run --explain ./game", "how it would be started"),
            ("devenv run --package chromium-bsu-data ./chromium-bsu", "with data that it looks for"),
            ("devenv run --trace ./game", "what it looked for and did not find"),
        ),
        passes_rest=True,
    ),
    Verb(
        name="override",
        summary="have one package of a lockfile made differently",
        module="override",
        description=(
            "Opens devenv.d/KIND/NAME.toml in $VISUAL or $EDITOR, and writes it first where there is none: another version, "
            "another source, patches, variables and settings of the build. Elsewhere than on a terminal it prints the path. "
            "`devenv lock` makes it count and pins what it needs; deleting the file takes it back."
        ),
        examples=(
            ("devenv override esbuild", "a file in which everything is a comment"),
            ("devenv override --full pip:numpy", "with all that is known of the package now"),
            ("devenv override --print npm:lodash@4.17.20", "of this version only; prints where the file is"),
            ("devenv override --list", "what is overridden, and whether devenv.lock knows"),
        ),
    ),
    Verb(
        name="why",
        summary="show where a variable, a command or a package comes from",
        module="why",
        description=(
            "A word is taken for a variable, an entry of a search path, a package or a command, for the first of these that it is; "
            "--as says which is meant. Of variables and entries the lines of devenv.toml or the packages are shown that bring "
            "them, and what this shell has instead; of a command what it stands for, its package, and what of the same name "
            "comes after it. Of packages: the shortest chains of references from A, by default the project's environment, to B, "
            "and the files that hold them. Exits with 1 when the environment has no part in it."
        ),
        examples=(
            ("devenv why DATABASE_URL", "who sets a variable, and whether this shell still has that value"),
            ("devenv why ./bin", "who puts a directory on PATH"),
            ("devenv why vite", "which program a command starts, and why that one"),
            ("devenv why numpy", "why a package is in the environment of this project"),
            ("devenv why numpy@2.1.0 /path/in/store", "between any two objects"),
        ),
    ),
    Verb(
        name="gc",
        summary="delete what no environment uses any more",
        module="gc",
        description=(
            "Deletes everything in the store that no root reaches: environments of projects, the present one and "
            "earlier ones, links made by nix commands, running processes. Also what `devenv run` unpacked and nobody used for "
            "30 days. It may be interrupted at any time, and other commands may run meanwhile."
        ),
        examples=(
            ("devenv gc --dry-run", "what would go, and how much that is"),
            ("devenv gc --older-than 30d", "also environments, and roots of programs, not used for a month"),
            ("devenv gc --max-size 10G", "only as much as needed, the oldest first"),
            ("devenv gc --programs-max-size 2G", "of unpacked programs, those started last"),
        ),
    ),
    Verb(
        name="install",
        summary="install a downloaded program: launcher, menu entry, icon",
        module="install",
        description=(
            "Leaves a launcher in ~/.local/bin that starts the program as `devenv run` does, at once: it is a small static program "
            "and needs no Python. Menu entry and icon are the bundle's own. Its packages are kept until `devenv uninstall NAME`. "
            "Archives are unpacked beside the launcher; other files stay where they are."
        ),
        examples=(
            ("devenv install Editor.AppImage", "then: editor"),
            ("devenv install --name game ./game-1.2/start.sh", "under another name"),
        ),
    ),
    Verb(
        name="uninstall",
        summary="take away what install left",
        module="uninstall",
        description="Removes launcher, menu entry, icon and unpacked files; the packages go with the next `devenv gc`.",
        examples=(("devenv uninstall editor", "as it was called"),),
    ),
    Verb(
        name="loader",
        summary="let plain programs run where no loader is",
        module="loader",
        description=(
            "Some systems and containers have nothing at /lib64/ld-linux-x86-64.so.2, so programs of others do not start there. A small "
            "static program in that place finds the real loader and libraries for them. No variable is left in what they start."
        ),
        examples=(
            (
                "devenv loader install ./root/lib64/ld-linux-x86-64.so.2",
                "with the usual libraries, from packages",
            ),
            ("devenv loader list", "where loaders were placed"),
        ),
    ),
    Verb(
        name="patch",
        summary="make a program run from a patched copy, without a root",
        module="patch",
        description=(
            "Copies a program, archive or directory into the store and patches the copy: its loader and libraries are store "
            "objects, named in the files themselves. Libraries come from the tree itself, from the packages given, and with --add "
            "from whichever packages have them. Prints the copy's path; exits with 1 when something that it needs cannot be had."
        ),
        examples=(
            ("devenv patch --add ./tool", "a program, with the libraries that it needs"),
            ("devenv patch --add --root ./app app.tar.gz", "an archive; ./app is a link to the patched copy"),
        ),
    ),
    Verb(
        name="patchelf",
        summary="change the loader, libraries and run path of ELF files",
        module="patchelf",
        description="Takes the options of the program patchelf, and gives its output and exit status.",
        examples=(
            (
                "devenv patchelf --set-rpath '$ORIGIN/../lib' bin/*",
                "where these programs find their libraries",
            ),
            ("devenv patchelf --print-needed FILE", "the libraries that a file asks for"),
        ),
        reads_own_arguments=True,
    ),
    Verb(
        name="store",
        summary="look into the store, check it, move objects",
        module="store",
        description=(
            "The store is in Nix's own formats. `devenv store VERB --help` explains each verb; `store env` prints "
            "what nix commands need to work on it."
        ),
        examples=(
            ('eval "$(devenv store env)"', "then: nix-store -q --tree .devenv/env"),
            ("devenv store path", "where the store is"),
            ("devenv store verify", "is everything as it was registered?"),
        ),
    ),
    Verb(
        name="cache",
        summary="share what was built: binary caches",
        module="cache",
        description=(
            "Copies store objects into binary caches, directories or web servers in Nix's own layout, and out of them. "
            "`enter` asks the caches under [caches] of devenv.toml before it fetches or builds anything."
        ),
        examples=(
            ("devenv cache key generate team-1", "a key to sign with; prints its public half"),
            ("devenv cache push file:///srv/cache --key team-1", "the environment of this project"),
            ("devenv cache serve --listen 127.0.0.1:8080", "this machine's store, for others"),
        ),
    ),
)


def verb(name: str) -> Verb:
    return next(entry for entry in VERBS if entry.name == name)
