from __future__ import annotations

import shlex
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.adapter import (
    AdapterError,
    BuildQuery,
    Completions,
    Options,
    Plan,
    PypiQuery,
    RemoteFile,
    SitePackages,
    Target,
)
from devenv.adapters import _requirements_txt, requirements
from devenv.adapters._requirements_txt import Entry, parse
from devenv.errors import DevenvError
from devenv.formats.hashes import Hash
from tests.support.pythons import (
    NO_COMPLETIONS,
    NO_OPTIONS,
    chosen,
    data,
    editables,
    failure,
    linux_target,
    messages,
)

LINUX = linux_target()
A, B, C = (Hash.of("sha256", text) for text in (b"a", b"b", b"c"))


def plan(
    text: str,
    *,
    completions: Completions = NO_COMPLETIONS,
    options: Options = NO_OPTIONS,
    target: Target = LINUX,
    siblings: Mapping[str, str] | None = None,
    path: str = "requirements.txt",
) -> Plan:
    return requirements.plan(
        text, path=path, target=target, options=options, completions=completions, siblings=siblings or {}
    )


def pin(text: str, *hashes: Hash) -> str:
    return (
        " \\\n    ".join([text, *(f"--hash={hash.algorithm}:{hash.hex}" for hash in hashes or (A,))]) + "\n"
    )


def remote(name: str, hash: Hash) -> RemoteFile:
    return RemoteFile(file_name=name, url=f"pypi-files:{name}", hash=hash)


def queries(made: Plan) -> list[PypiQuery]:
    return [query for query in made.queries if isinstance(query, PypiQuery)]


def entries(text: str, **siblings: str) -> list[tuple[str, tuple[str, ...]]]:
    parsed = parse(text, "requirements.txt", siblings)
    return [(entry.text, entry.hashes) for entry in parsed.requirements]


# --- planning ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "pins", "hashes"),
    [
        (("requirements-30", "requirements.txt"), 30, 713),
        (("requirements-warehouse", "main.txt"), 184, 2089),
        (("requirements-warehouse", "deploy.txt"), 8, 155),
    ],
)
def test_every_pin_of_a_real_file_becomes_one_query(names: tuple[str, str], pins: int, hashes: int) -> None:
    text = data(*names)
    made = plan(text, target=linux_target("3.14.0"))
    assert (len(made.queries), text.count("--hash=")) == (pins, hashes)
    assert sum(len(query.hashes) for query in queries(made)) == hashes
    assert made.packages == ()


def test_answers_become_the_wheels_that_pip_chose() -> None:
    # pip's own lock of the same pins, on Linux with CPython 3.11, says what the index has for each.
    import tomllib

    lock = tomllib.loads(data("pylock-pip-30", "pylock.toml"))
    answers: dict[str, tuple[RemoteFile, ...]] = {}
    expected = {}
    text = data("requirements-30", "requirements.txt")
    for query in queries(plan(text)):
        package = next(package for package in lock["packages"] if package["name"] == query.name)
        (wheel,) = package["wheels"]
        files = [remote(wheel["name"], Hash.from_hex("sha256", wheel["hashes"]["sha256"]))]
        others = [hash for hash in query.hashes if hash != files[0].hash]
        stem = f"{query.name.replace('-', '_')}-{query.version}"
        files += [remote(f"{stem}-cp312-cp312-win_amd64.whl", others[0])] if others else []
        files += [remote(f"{stem}.tar.gz", others[-1])] if len(others) > 1 else []
        answers[query.key] = tuple(reversed(files))
        expected[query.name] = (package["version"], wheel["name"])
    made = plan(text, completions=answers)
    assert chosen(made) == expected
    assert made.queries == ()


def test_only_files_with_a_listed_hash_are_taken() -> None:
    text = pin("kit==1.0", A)
    answers = {
        "pypi:kit==1.0": (
            remote("kit-1.0-cp311-cp311-linux_x86_64.whl", B),
            remote("kit-1.0-py3-none-any.whl", A),
        )
    }
    assert chosen(plan(text, completions=answers)) == {"kit": ("1.0", "kit-1.0-py3-none-any.whl")}


def test_an_answer_about_other_hashes_is_asked_for_again() -> None:
    answers = {"pypi:kit==1.0": (remote("kit-1.0-py3-none-any.whl", B),)}
    assert [query.key for query in plan(pin("kit==1.0", A), completions=answers).queries] == ["pypi:kit==1.0"]


def test_an_index_without_such_files_is_an_error() -> None:
    error = failure(lambda: plan(pin("kit==1.0"), completions={"pypi:kit==1.0": ()}))
    assert str(error) == "requirements.txt:1: the index has no file of kit 1.0 with one of its hashes"


def test_a_package_without_a_wheel_for_this_platform_says_what_there_is() -> None:
    files = (remote("kit-1.0-cp312-cp312-macosx_11_0_arm64.whl", B),)
    error = failure(lambda: plan(pin("kit==1.0", A, B), completions={"pypi:kit==1.0": files}))
    assert str(error) == (
        "requirements.txt:1: kit 1.0 has no wheel for CPython 3.11 on linux x86_64 (glibc 2.36) and no sdist; "
        "wheels there are: cp312-cp312-macosx_11_0_arm64"
    )


def test_markers_leave_out_what_is_not_for_this_platform() -> None:
    text = pin("kit==1.0 ; sys_platform == 'win32'") + pin('Other.Kit[x]==2.0; python_version >= "3.8"')
    assert [query.key for query in plan(text).queries] == ["pypi:other-kit==2.0"]


def test_a_wheel_at_a_url_needs_no_query() -> None:
    url = "https://user@files.test/a%2Bb/kit-1.0%2Bcpu-py3-none-any.whl"
    text = f"kit @ {url}#sha256={A.hex}&egg=kit ; os_name == 'posix'\n" + pin(
        "https://files.test/other-2-py3-none-any.whl", B
    )
    made = plan(text)
    assert isinstance(made.view, SitePackages)
    assert [(p.name, p.version, p.file.url, p.file.hash, p.direct) for p in made.view.packages] == [
        ("kit", "1.0+cpu", url, A, True),
        ("other", "2", "https://files.test/other-2-py3-none-any.whl", B, True),
    ]


def test_the_files_own_index_is_asked() -> None:
    text = "--index-url https://first.test/simple\n-i https://index.test/simple\n" + pin("kit==1.0")
    assert [query.index for query in queries(plan(text))] == ["https://index.test/simple"]


def test_options_without_a_use_here_are_told_or_harmless() -> None:
    text = (
        "--pre\n--prefer-binary\n--require-hashes\n--only-binary :all:\n--extra-index-url https://x.test --trusted-host x\n"
        "--find-links=dir\n--index-url https://${TOKEN}@index.test/simple\n"
        + pin("kit==1.0 --config-settings=a=b")
    )
    made = plan(text)
    assert [notice.partition(": ")[0] for notice in made.notices] == [
        "requirements.txt:5",
        "requirements.txt:5",
        "requirements.txt:6",
        "requirements.txt:7",
    ]
    assert [query.index for query in queries(made)] == [None]


# --- includes and constraints --------------------------------------------------------------------------------


def test_included_files_are_read_relative_to_the_file_that_names_them() -> None:
    siblings = {
        "sub/base.txt": "-r more.txt\n" + pin("b==1"),
        "sub/more.txt": "-r../top.txt\n",
        "top.txt": pin("t==1"),
    }
    made = plan("-r sub/base.txt\n" + pin("a==1"), siblings=siblings, path="web/requirements.txt")
    assert [query.key for query in made.queries] == ["pypi:a==1", "pypi:b==1", "pypi:t==1"]
    assert requirements.included_names(siblings["sub/base.txt"], "sub/base.txt") == ("sub/more.txt",)
    assert requirements.included_names(siblings["sub/more.txt"], "sub/more.txt") == ("top.txt",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-r gone.txt", "requirements.txt:1: includes 'gone.txt', which is not there"),
        ("-r requirements.txt", "which includes this file"),
        ("-c https://x.test/c.txt", "only files of the project"),
        ("\n-r", "requirements.txt:2: --requirement needs a value"),
    ],
)
def test_includes_that_cannot_be_followed_are_errors(text: str, message: str) -> None:
    assert message in str(failure(lambda: plan(text, siblings={"requirements.txt": ""})))


def test_a_cycle_of_files_is_an_error() -> None:
    siblings = {"a.txt": "-r b.txt", "b.txt": "-r a.txt"}
    assert "b.txt:1: includes 'a.txt', which includes this file" in str(
        failure(lambda: plan("-r a.txt", siblings=siblings))
    )


def test_constraints_pin_limit_and_hash() -> None:
    siblings = {"c.txt": pin("kit==1.0", A, B) + "other<3\nunused==9\n"}
    text = "-c c.txt\nkit\n" + pin("other==2.0", C)
    assert [(query.key, query.hashes) for query in queries(plan(text, siblings=siblings))] == [
        ("pypi:kit==1.0", (A, B)),
        ("pypi:other==2.0", (C,)),
    ]
    error = failure(lambda: plan("-c c.txt\n" + pin("other==3.0", C), siblings=siblings))
    assert "requirements.txt:2: other 3.0 is excluded by c.txt:4: other<3" in str(error)


@pytest.mark.parametrize(
    ("second", "ok"),
    [
        (pin("kit==1.0", A), True),
        (pin("kit==1.0", A, B), True),
        (pin("kit==1.1", A), False),
        (pin("kit==1.0", B), False),
    ],
)
def test_naming_a_package_twice_is_fine_while_both_agree(second: str, ok: bool) -> None:
    text = pin("kit==1.0", A) + second
    if ok:
        assert [query.hashes for query in queries(plan(text))] == [(A,)]
    else:
        assert "contradicts 'kit==1.0' of requirements.txt:1" in str(failure(lambda: plan(text)))


# --- refusals ------------------------------------------------------------------------------------------------


def test_without_any_hash_those_of_the_index_count() -> None:
    text = "kit==1.0\n"
    made = plan(text)
    assert [(query.name, query.hashes) for query in queries(made)] == [("kit", ())]
    assert "it has no hashes" in made.notices[0]
    files = (remote("kit-1.0-py3-none-any.whl", A),)
    (package,) = plan(text, completions={"pypi:kit==1.0": files}).packages
    assert package.file.hash == A


def test_what_is_not_pinned_says_how_to_make_a_lock() -> None:
    error = failure(lambda: plan("flask\n"))
    assert "'flask' is not pinned" in str(error)
    assert "uv pip compile --generate-hashes" in str(error.hint)


def test_an_empty_file_is_an_empty_environment() -> None:
    assert plan("# nothing yet\n").packages == ()


def test_everything_that_cannot_be_installed_is_reported_at_once() -> None:
    text = "".join(
        [
            pin("fine==1.0"),
            "nohash==1.0\n",
            pin("loose>=1"),
            pin("star==1.*"),
            pin("open"),
            pin("two==1,==2"),
            "git+https://git.test/x.git#egg=x\n",
            "y @ git+ssh://git@git.test/y.git\n",
            pin("./local"),
            pin("dist/z-1-py3-none-any.whl"),
            pin("${NAME}==1"),
            "bad==1 --hash=md5:" + "a" * 32 + "\n",
            "bad==1 --hash=sha256:xyz\n",
            "url @ https://files.test/url-1-py3-none-any.whl\n",
            f"sdist @ https://files.test/sdist-1.tar.gz#sha256={A.hex}\n",
            pin("what is this"),
        ]
    )
    found = messages(failure(lambda: plan(text)))
    lines = [int(line.split(":")[1]) for line in found]
    assert lines == [3, 4, 6, 8, 10, 18, 20, 21, 22, 24, 12, 13]


def test_a_source_distribution_at_a_url_is_built() -> None:
    text = f"kit @ https://files.test/kit-1.tar.gz#sha256={A.hex}&subdirectory=py\n"
    (query,) = plan(text).queries
    assert isinstance(query, BuildQuery)
    assert (query.name, query.subdirectory, query.python) == ("kit", "py", "3.11")
    wheels = (remote("setuptools-70-py3-none-any.whl", B),)
    (package,) = plan(text, completions={query.key: wheels}).packages
    assert package.build is not None
    assert [(each.name, each.version) for each in package.build.requires] == [("setuptools", "70")]


def test_formats_are_as_the_file_says() -> None:
    files = (remote("kit-1.0-py3-none-any.whl", A), remote("kit-1.0.tar.gz", B))
    completions = {"pypi:kit==1.0": files}
    (query,) = plan("--no-binary :all:\n" + pin("kit==1.0", A, B), completions=completions).queries
    assert isinstance(query, BuildQuery)
    assert query.file.hash == B
    only = plan("--no-binary :all:\n--no-binary :none:\n" + pin("kit==1.0", A, B), completions=completions)
    assert [package.file.hash for package in only.packages] == [A]
    source = {"pypi:kit==1.0": files[1:]}
    error = failure(lambda: plan("--only-binary kit\n" + pin("kit==1.0", A, B), completions=source))
    assert "and must not be built" in str(error)


COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_repositories_need_a_commit_and_directories_are_imported_in_place() -> None:
    text = (
        f"git+https://git.test/kit.git@{COMMIT}#subdirectory=py&egg=kit\n"
        f"-e git+ssh://git@git.test/other.git@{COMMIT}\n"
        "-e ./libs/own[extra]\n"
        "./libs/second\n"
    )
    names = requirements.included_names(text, "requirements.txt")
    manifests = ("pyproject.toml", "setup.cfg", "setup.py")
    assert names == tuple(f"libs/{each}/{name}" for each in ("own", "second") for name in manifests)
    made = plan(text, siblings={"libs/own/pyproject.toml": '[project]\nname = "Own.Name"\n'})
    assert [query.key for query in made.queries] == [
        f"git:https://git.test/kit.git#{COMMIT}",
        f"git:ssh://git@git.test/other.git#{COMMIT}",
    ]
    assert isinstance(made.view, SitePackages)
    found = {editable.name: editable.path for editable in made.view.editables}
    assert found == {"own-name": "libs/own", "second": "libs/second"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--no-index", "nobody to ask"),
        ("--unknown x", "'--unknown' is not an option known here"),
        ("-q", "'-q' is not an option known here"),
        ("--hash=sha256:00", "stands behind no requirement"),
        ("kit==1 --pre", "--pre cannot stand behind a requirement"),
        ("--index-url 'x", "cannot split"),
        ("--pre=1", "is not an option known here"),
    ],
)
def test_options_that_cannot_be_obeyed_are_errors_with_file_and_line(line: str, message: str) -> None:
    error = str(failure(lambda: plan(pin("kit==1.0") + line + "\n")))
    assert message in error
    assert error.startswith("requirements.txt:3: ")


def test_extras_and_groups_cannot_be_chosen() -> None:
    error = failure(lambda: plan(pin("a==1"), options=Options(extras=("x",), groups=("dev",))))
    assert messages(error) == [
        "requirements.txt: no extra named x; it has none",
        "requirements.txt: no dependency group named dev; it has none",
    ]


def test_a_project_without_a_python_is_asked_for_one() -> None:
    assert "needs a Python interpreter" in str(failure(lambda: plan(pin("a==1"), target=Target())))


# --- grammar -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a==1", [("a==1", ())]),
        ("\ufeffa==1\r\nb==2\r\n", [("a==1", ()), ("b==2", ())]),
        ("a==1 # comment --hash=x", [("a==1", ())]),
        ("a==1#no", [("a==1#no", ())]),
        ("#a\n  # b\n\t\n", []),
        ("a==1 \\\n --hash=sha256:x \\\n  --hash sha256:y\n", [("a==1", ("sha256:x", "sha256:y"))]),
        ("a==1 \\\n# comment\nb==2", [("a==1", ()), ("b==2", ())]),
        ("a==1 \\\n  # via x \\\nb==2", [("a==1", ()), ("b==2", ())]),
        ("a=\\\n=1", [("a==1", ())]),
        ("a==1 \\", [("a==1", ())]),
        ('a==1 ; python_version < "3" --hash="sha256:x"', [('a==1 ; python_version < "3"', ("sha256:x",))]),
        ("a @ https://x.test/a#b ; os_name=='x'", [("a @ https://x.test/a#b ; os_name=='x'", ())]),
    ],
)
def test_lines_are_read_as_pip_reads_them(text: str, expected: list[tuple[str, tuple[str, ...]]]) -> None:
    assert entries(text) == expected


NAMES = st.from_regex(r"[a-z][a-z0-9]{0,5}", fullmatch=True)
PINS = st.tuples(
    NAMES,
    st.from_regex(r"[0-9]\.[0-9]", fullmatch=True),
    st.lists(st.sampled_from([A, B, C]), unique=True, max_size=3),
)
GAPS = st.sampled_from([" ", "  ", " \\\n", " \\\n    "])
TAILS = st.sampled_from(["\n", "  \n", " # note\n", "\n# note\n", "\n\n", "\r\n", "\n    # via x\n"])


@given(st.lists(st.tuples(PINS, GAPS, TAILS, st.booleans()), max_size=6))
def test_what_is_written_in_any_layout_is_read_back(
    lines: list[tuple[tuple[str, str, list[Hash]], str, str, bool]],
) -> None:
    text, expected = "", []
    for (name, version, hashes), gap, tail, separate in lines:
        options = [f"--hash{' ' if separate else '='}sha256:{hash.hex}" for hash in hashes]
        text += gap.join([f"{name}=={version}", *options]) + tail
        expected.append((f"{name}=={version}", tuple(f"sha256:{hash.hex}" for hash in hashes)))
    assert entries(text) == expected


@given(
    st.text(
        alphabet=st.sampled_from("abkit=10 \\\n#-rceif./@:;'\"[]${}X<>~!,()shaml+\t\r\ufeff\0"), max_size=80
    )
)
def test_any_text_gives_a_plan_or_our_error(text: str) -> None:
    for candidate in (text, pin("kit==1.0") + text):
        try:
            assert isinstance(plan(candidate, siblings={"a": text, "b": "-r a"}), Plan)
        except DevenvError as error:
            assert str(error)


def test_errors_of_an_included_file_name_it() -> None:
    entry = Entry(file="sub/base.txt", line=7, text="x")
    assert str(entry.fault("is bad")) == "sub/base.txt:7: is bad"
    assert entry.fault("is bad").key == "line 7"


@given(st.text(st.sampled_from("ab =-\t\"'\\\v\x1c#é"), max_size=30))
def test_words_are_split_as_a_shell_does(line: str) -> None:
    try:
        expected = shlex.split(line)
    except ValueError:
        with pytest.raises(AdapterError):
            _requirements_txt._words(line, "f", 1)
    else:
        assert _requirements_txt._words(line, "f", 1) == expected


@pytest.mark.parametrize(
    ("line", "files", "expected"),
    [
        ("-e .", {"pyproject.toml": '[project]\nname = "My.App"\n'}, "my-app"),
        ("-e .", {"pyproject.toml": '[tool.poetry]\nname = "app"\n'}, "app"),
        ("-e .", {"setup.cfg": "[metadata]\nname = app\n", "pyproject.toml": "[build-system]\n"}, "app"),
        ("-e .", {"setup.py": "import setuptools\nsetuptools.setup(version='1', name='app')\n"}, "app"),
        ("-e .[dev]", {"setup.py": "from setuptools import setup\nsetup(name='app')\n"}, "app"),
        ("-e .#egg=app", {}, "app"),
        ("./libs/one", {"libs/one/setup.cfg": "[metadata]\nname = other\n"}, "other"),
        ("./libs/one", {"libs/one/setup.py": "setup(name=compute())"}, "one"),
        ("./libs/one", {"libs/one/setup.py": "this is no Python"}, "one"),
    ],
)
def test_a_directory_is_called_as_its_own_files_say(line: str, files: dict[str, str], expected: str) -> None:
    assert set(files) <= set(requirements.included_names(line, "requirements.txt"))
    assert list(editables(plan(line + "\n", siblings=files))) == [expected]


def test_a_project_that_nothing_names_is_said_with_what_to_write() -> None:
    error = failure(lambda: plan("-e .\n"))
    assert "nothing says what the project in . is called" in str(error)
    assert ".#egg=NAME" in (error.hint or "")
