"""Where registries are: npm's, pip's and uv's settings, and URLs relative to them."""

from __future__ import annotations

import base64
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.fetch.endpoints import Endpoints
from devenv.fetch.errors import EndpointError
from tests.fetch.server import install_npm, make_endpoints

DEFAULT = "https://npm-default.test/"
TARBALL = "https://npm-default.test/left-pad/-/left-pad-1.0.0.tgz"


@pytest.mark.parametrize("style", ["definition", "define", "defaults"])
def test_npms_own_default_is_read_from_its_source(tmp_path: Path, style: str) -> None:
    install_npm(tmp_path, DEFAULT, style=style)
    assert make_endpoints(tmp_path).npm.registry(None) == DEFAULT


def test_an_npm_that_cannot_be_read_is_asked(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    npm = tmp_path / "bin/npm"
    npm.write_text(f'#!/bin/sh\n[ "$*" = "config get registry" ] && echo {DEFAULT}\n')
    npm.chmod(0o755)
    endpoints = make_endpoints(tmp_path, environ={"PATH": f"{tmp_path}/bin:/usr/bin:/bin"})
    assert endpoints.npm.registry(None) == DEFAULT


def test_without_npm_a_wheel_is_asked_once(tmp_path: Path) -> None:
    asked = []

    def wheel_text(endpoints: Endpoints, package: str) -> str:
        asked.append(package)
        return f"registry: new Definition('registry', {{ default: '{DEFAULT}' }})"

    for _ in range(3):
        endpoints = Endpoints(
            project=str(tmp_path),
            environ={"HOME": str(tmp_path), "PATH": str(tmp_path)},
            registries={},
            cache=str(tmp_path / "cache"),
            wheel_text=wheel_text,
        )
        assert endpoints.npm.registry(None) == DEFAULT
    assert len(asked) == 1


@pytest.mark.parametrize("text", [None, "", "nothing here"])
def test_without_any_npm_the_error_says_what_to_set(tmp_path: Path, text: str | None) -> None:
    endpoints = Endpoints(
        project=str(tmp_path),
        environ={"HOME": str(tmp_path), "PATH": str(tmp_path)},
        registries={},
        cache=str(tmp_path / "cache"),
        wheel_text=lambda endpoints, package: text,
    )
    with pytest.raises(EndpointError) as caught:
        endpoints.npm.registry(None)
    assert ".npmrc" in (caught.value.hint or "")


SETTINGS = {"npmrc": "registry=https://project.test/", "user_npmrc": "registry=https://user.test/"}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        pytest.param(SETTINGS, "https://project.test/", id="project before user"),
        pytest.param({"user_npmrc": "registry = https://user.test"}, "https://user.test/", id="user"),
        pytest.param(
            SETTINGS | {"environ": {"NPM_CONFIG_REGISTRY": "https://env.test"}},
            "https://env.test/",
            id="environment, upper case",
        ),
        pytest.param(
            SETTINGS | {"environ": {"npm_config_registry": "https://env.test/npm"}},
            "https://env.test/npm/",
            id="environment, lower case",
        ),
        pytest.param(
            SETTINGS | {"registries": {"npm": "https://own.test/npm"}},
            "https://own.test/npm/",
            id="ours first",
        ),
        pytest.param(
            {"npmrc": "registry=https://${WHERE}/", "environ": {"WHERE": "x.test"}},
            "https://x.test/",
            id="variables",
        ),
        pytest.param({"npmrc": "registry=https://me:secret@x.test/"}, "https://x.test/", id="no login in it"),
    ],
)
def test_the_npm_registry_is_the_strongest_setting(
    tmp_path: Path, settings: dict[str, object], expected: str
) -> None:
    assert make_endpoints(tmp_path, **settings).npm.registry(None) == expected


def test_global_builtin_and_other_user_files_are_read(tmp_path: Path) -> None:
    root = install_npm(tmp_path, DEFAULT)
    (root / "npmrc").write_text(
        "prefix=" + str(tmp_path / "prefix") + "\n@b:registry=https://builtin.test/\n"
    )
    (tmp_path / "prefix/etc").mkdir(parents=True)
    (tmp_path / "prefix/etc/npmrc").write_text(
        "@g:registry=https://global.test/\n@b:registry=https://g.test\n"
    )
    (tmp_path / "user").write_text("@u:registry=https://user.test/\n")
    endpoints = make_endpoints(tmp_path, environ={"NPM_CONFIG_USERCONFIG": str(tmp_path / "user")})
    found = {scope: endpoints.npm.registry(scope) for scope in ("@b", "@g", "@u", "@x")}
    assert found == {
        "@b": "https://g.test/",
        "@g": "https://global.test/",
        "@u": "https://user.test/",
        "@x": DEFAULT,
    }


def test_the_workspace_root_counts_for_its_workspaces(tmp_path: Path) -> None:
    root, member = tmp_path / "root", tmp_path / "root/packages/a"
    member.mkdir(parents=True)
    (root / "package.json").write_text('{"workspaces": ["packages/*"]}')
    (root / ".npmrc").write_text("registry=https://root.test/")
    (member / "package.json").write_text("{}")
    (member / ".npmrc").write_text("registry=https://ignored.test/")
    environ = {"HOME": str(tmp_path), "PATH": ""}
    endpoints = Endpoints.load(project=str(member), environ=environ, registries={}, cache=str(tmp_path))
    assert endpoints.npm.registry(None) == "https://root.test/"
    (root / "package.json").write_text('{"workspaces": ["other/*"]}')
    endpoints = Endpoints.load(project=str(member), environ=environ, registries={}, cache=str(tmp_path))
    assert endpoints.npm.registry(None) == "https://ignored.test/"


PIP = "[global]\nindex-url = https://pip.test/simple\n"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        pytest.param({"pip_conf": PIP}, ("https://pip.test/simple",), id="user's pip.conf"),
        pytest.param(
            {"pip_conf": PIP + "[install]\nindex_url = https://i.test/simple\n"},
            ("https://i.test/simple",),
            id="install section first",
        ),
        pytest.param(
            {"pip_conf": PIP + "extra-index-url =\n  https://a.test/simple\n  https://b.test/simple\n"},
            ("https://pip.test/simple", "https://a.test/simple", "https://b.test/simple"),
            id="further indexes after the main one",
        ),
        pytest.param(
            {"pip_conf": PIP, "environ": {"PIP_INDEX_URL": "https://u:p@env.test/simple"}},
            ("https://env.test/simple",),
            id="environment, no login in it",
        ),
        pytest.param({"pip_conf": PIP + "no-index = yes\n"}, (), id="no index"),
        pytest.param({"environ": {"PIP_NO_INDEX": "1"}}, (), id="no index, environment"),
        pytest.param({"pip_conf": PIP, "environ": {"UV_NO_INDEX": "true"}}, (), id="no index, uv"),
        pytest.param(
            {"pip_conf": PIP, "environ": {"PIP_FIND_LINKS": "/wheels"}},
            ("https://pip.test/simple",),
            id="find-links tolerated",
        ),
        pytest.param(
            {"environ": {"UV_DEFAULT_INDEX": "corp=https://uv.test/simple", "UV_INDEX": "https://x.test/s"}},
            ("https://uv.test/simple", "https://x.test/s"),
            id="uv's variables",
        ),
        pytest.param(
            {"environ": {"UV_INDEX_URL": "https://o.test/s"}}, ("https://o.test/s",), id="uv's old ones"
        ),
        pytest.param(
            {"pip_conf": PIP, "environ": {"UV_INDEX_URL": "https://uv.test/s"}},
            ("https://pip.test/simple",),
            id="pip before uv",
        ),
        pytest.param(
            {"pip_conf": PIP, "registries": {"pypi": "https://own.test/simple"}},
            ("https://own.test/simple",),
            id="ours first",
        ),
        pytest.param(
            {"pip_conf": PIP, "registries": {"https://pip.test/": "https://mirror.test/pip/"}},
            ("https://mirror.test/pip/simple",),
            id="a replaced beginning",
        ),
    ],
)
def test_python_indexes_come_from_pip_and_uv(
    tmp_path: Path, settings: dict[str, object], expected: tuple[str, ...]
) -> None:
    assert make_endpoints(tmp_path, **settings).python.urls() == expected


def test_pip_config_file_may_be_empty_or_another(tmp_path: Path) -> None:
    (tmp_path / "other.conf").write_text("[global]\nindex-url = https://other.test/simple\n")
    other = make_endpoints(tmp_path, pip_conf=PIP, environ={"PIP_CONFIG_FILE": str(tmp_path / "other.conf")})
    assert other.python.urls() == ("https://other.test/simple",)
    nothing = make_endpoints(tmp_path, pip_conf=PIP, environ={"PIP_CONFIG_FILE": "/dev/null"})
    assert nothing.python.urls() != ("https://pip.test/simple",)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "uv.toml",
            '[[index]]\nurl = "https://uv.test/s"\ndefault = true\n[[index]]\nurl = "https://x.test/s"\n',
        ),
        ("uv.toml", 'index-url = "https://uv.test/s"\nextra-index-url = ["https://x.test/s"]\n'),
        (
            "pyproject.toml",
            """
            [tool.uv]
            index = [
                {url = "https://uv.test/s", default = true},
                {url = "https://x.test/s"},
                {url = "https://e.test/s", explicit = true},
            ]
            """,
        ),
    ],
)
def test_uvs_files_name_indexes(tmp_path: Path, name: str, text: str) -> None:
    endpoints = make_endpoints(tmp_path)
    (tmp_path / "project" / name).write_text(text)
    assert endpoints.python.urls() == ("https://uv.test/s", "https://x.test/s")


@pytest.mark.parametrize(
    ("name", "text"), [("uv.toml", "="), ("pyproject.toml", "[tool\n"), ("uv.toml", "\x00")]
)
def test_damaged_uv_files_are_errors(tmp_path: Path, name: str, text: str) -> None:
    endpoints = make_endpoints(tmp_path)
    (tmp_path / "project" / name).write_text(text)
    with pytest.raises(EndpointError, match=name):
        endpoints.python.urls()


@pytest.mark.parametrize("text", ["x", "[a", "[a]\n[a]\n", "[a]\nx=1\nx=2\n"])
def test_damaged_pip_files_are_errors(tmp_path: Path, text: str) -> None:
    with pytest.raises(EndpointError, match=r"pip\.conf"):
        make_endpoints(tmp_path, pip_conf=text).python.urls()


def test_pips_default_holds_where_nothing_is_set(tmp_path: Path) -> None:
    (index,) = make_endpoints(tmp_path).python.urls()
    assert index.startswith("https://")
    assert index.endswith("/simple")


@pytest.fixture
def corporate(tmp_path: Path) -> Endpoints:
    """A mirror for npm, two scopes, an index, and one replaced beginning."""
    install_npm(tmp_path, DEFAULT)
    return make_endpoints(
        tmp_path,
        npmrc="registry=https://mirror.test/npm/\n"
        "@corp:registry=https://mirror.test/corp/\n"
        "@twin:registry=https://mirror.test/corp/\n",
        pip_conf="[global]\nindex-url = https://py.test/root/simple/\n",
        registries={"pypi-files": "https://files.test", "https://git.test/": "https://cache.test/git/"},
    )


PAIRS = [
    ("npm:left-pad/-/left-pad-1.0.0.tgz", "https://mirror.test/npm/left-pad/-/left-pad-1.0.0.tgz"),
    ("npm:@a/b/-/b-1.0.0.tgz", "https://mirror.test/npm/@a/b/-/b-1.0.0.tgz"),
    ("npm+@corp:@corp/x/-/x-1.0.0.tgz", "https://mirror.test/corp/@corp/x/-/x-1.0.0.tgz"),
    ("npm+@twin:@twin/x/-/x-1.0.0.tgz", "https://mirror.test/corp/@twin/x/-/x-1.0.0.tgz"),
    ("pypi:+f/ab/x-1.whl", "https://py.test/root/+f/ab/x-1.whl"),
    ("pypi-files:packages/ab/x-1.whl", "https://files.test/packages/ab/x-1.whl"),
    ("https://git.test/x.tgz", "https://cache.test/git/x.tgz"),
    ("https://elsewhere.test/x.tgz", "https://elsewhere.test/x.tgz"),
    ("file:///srv/x.tgz", "file:///srv/x.tgz"),
]


@pytest.mark.parametrize(("relative", "absolute"), PAIRS)
def test_relative_and_absolute_urls_are_inverse(corporate: Endpoints, relative: str, absolute: str) -> None:
    assert corporate.absolute(relative) == absolute
    assert corporate.relative(absolute) == relative
    assert corporate.relative(relative) == relative


@given(
    st.sampled_from(
        [
            "npm:",
            "npm+@corp:",
            "pypi:",
            "pypi-files:",
            "https://git.test/",
            "https://x.test/",
            "https://mirror.test/npm/",
        ]
    ),
    st.text("ab/-.@+%2F", max_size=20),
)
def test_what_relative_makes_absolute_undoes(kind: str, path: str) -> None:
    endpoints = Endpoints(
        project="/nowhere",
        environ={"HOME": "/nowhere", "PATH": "", "npm_config_registry": "https://mirror.test/npm/"},
        registries={
            "npm+@corp": "https://mirror.test/corp/",
            "pypi": "https://py.test/root/simple/",
            "pypi-files": "https://files.test",
            "https://git.test/": "https://cache.test/git/",
        },
        cache="/nowhere",
        wheel_text=lambda endpoints, package: f"registry: '{DEFAULT}'",
    )
    absolute = endpoints.absolute(kind + path.lstrip("/"))
    assert endpoints.absolute(endpoints.relative(absolute)) == absolute
    assert endpoints.relative(endpoints.relative(absolute)) == endpoints.relative(absolute)


def test_the_default_registry_in_a_lockfile_means_the_configured_one(corporate: Endpoints) -> None:
    assert corporate.absolute(TARBALL) == "https://mirror.test/npm/left-pad/-/left-pad-1.0.0.tgz"
    assert corporate.relative(TARBALL) == "npm:left-pad/-/left-pad-1.0.0.tgz"


@pytest.mark.parametrize(
    ("rule", "url", "expected"),
    [
        ("never", TARBALL, TARBALL),
        ("always", "https://x.test/a/-/a.tgz", "https://mirror.test/npm/a/-/a.tgz"),
        ("x.test", "https://x.test/a/-/a.tgz", "https://mirror.test/npm/a/-/a.tgz"),
        ("x.test", TARBALL, TARBALL),
        ("https://x.test/old", "https://x.test/old/a/-/a.tgz", "https://mirror.test/npm/a/-/a.tgz"),
        ("https://x.test/old", "https://x.test/older/a/-/a.tgz", "https://x.test/older/a/-/a.tgz"),
        ("npmjs", "https://x.test/a/-/a.tgz", "https://x.test/a/-/a.tgz"),
        ("x.test", "https://x.test/npm/a/-/a.tgz", "https://mirror.test/npm/a/-/a.tgz"),
    ],
)
def test_npms_rule_for_registry_hosts_holds(tmp_path: Path, rule: str, url: str, expected: str) -> None:
    install_npm(tmp_path, DEFAULT)
    npmrc = f"registry=https://mirror.test/npm/\nreplace-registry-host={rule}\n"
    assert make_endpoints(tmp_path, npmrc=npmrc).absolute(url) == expected


def test_python_urls_never_ask_for_npm(tmp_path: Path) -> None:
    def wheel_text(endpoints: Endpoints, package: str) -> str:
        raise AssertionError("asked for npm")

    endpoints = Endpoints(
        project=str(tmp_path),
        environ={"HOME": str(tmp_path), "PATH": "", "npm_config_registry": "https://mirror.test/"},
        registries={},
        cache=str(tmp_path),
        wheel_text=wheel_text,
    )
    url = "https://files.test/packages/ab/cd/x-1.0-py3-none-any.whl"
    assert endpoints.relative(url) == endpoints.absolute(url) == url


def test_the_longest_beginning_is_replaced(tmp_path: Path) -> None:
    endpoints = make_endpoints(
        tmp_path, registries={"https://a.test/": "https://1.test/", "https://a.test/b/": "https://2.test/"}
    )
    assert endpoints.absolute("https://a.test/b/c") == "https://2.test/c"
    assert endpoints.absolute("https://a.test/bb/c") == "https://1.test/bb/c"


@pytest.mark.parametrize(
    "url",
    [
        "git+ssh://x.test/r",
        "npx:x",
        "npm+corp:x",
        "C:\\x",
        "x",
        "",
        "https://",
        "https://a b/",
        "https://a.test/\n",
        "http://[::1",
    ],
)
def test_unusable_urls_are_our_errors(tmp_path: Path, url: str) -> None:
    with pytest.raises(EndpointError):
        make_endpoints(tmp_path, npmrc="registry=https://r.test/").absolute(url)


@given(st.text(max_size=40))
def test_no_url_breaks_anything(url: str) -> None:
    endpoints = Endpoints(
        project="/nowhere",
        environ={"HOME": "/nowhere", "PATH": "", "npm_config_registry": "https://r.test/"},
        registries={},
        cache="/nowhere",
        wheel_text=lambda endpoints, package: f"registry: '{DEFAULT}'",
    )
    for work in (endpoints.absolute, endpoints.relative, endpoints.credentials):
        with suppress(EndpointError):
            work(url)


@pytest.mark.parametrize(
    "registries",
    [{"nmp": "https://a.test"}, {"npm": "a.test"}, {"pypi": "git://a.test"}, {"https://a/": "x"}],
)
def test_wrong_registries_are_named(tmp_path: Path, registries: dict[str, str]) -> None:
    (key,) = registries
    with pytest.raises(EndpointError, match=key):
        make_endpoints(tmp_path, registries=registries)


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


AUTH_NPMRC = f"""
registry=https://r.test/npm/
@corp:registry=https://corp.test/
//r.test/npm/:_authToken=${{TOKEN}}
//corp.test/:username=me
//corp.test/:_password={base64.b64encode(b"p:w").decode()}
//deep.test/a/b/:_auth=QWxp
//slash.test/x:_authToken=slash
"""


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://r.test/npm/a", "Bearer T"),
        ("https://r.test/npm/a/-/a-1.tgz", "Bearer T"),
        ("https://r.test/files/a-1.tgz", "Bearer T"),
        ("https://corp.test/x", basic("me:p:w")),
        ("https://deep.test/a/b/c", "Basic QWxp"),
        ("https://deep.test/a/c", None),
        ("https://slash.test/x/y", "Bearer slash"),
        ("https://slash.test/xy", None),
        ("https://other.test/npm/a", None),
        ("https://r.test:8443/npm/a", None),
        ("https://r.test.evil.test/npm/a", None),
        ("http://r.test/npm/a", None),
        ("https://net.test/x", basic("nu:np")),
        ("https://py.test/simple/x/", basic("pu:p@p")),
        ("https://py.test/files/x.whl", basic("pu:p@p")),
        ("https://who:what@r.test/npm/a", basic("who:what")),
        ("file:///r.test/npm/a", None),
    ],
)
def test_logins_go_to_their_hosts_only(tmp_path: Path, url: str, expected: str | None) -> None:
    endpoints = make_endpoints(
        tmp_path,
        npmrc=AUTH_NPMRC,
        netrc="machine net.test login nu password np\ndefault login everyone password knows\n",
        pip_conf="[global]\nindex-url = https://pu:p%40p@py.test/simple\n",
        environ={"TOKEN": "T"},
    )
    assert endpoints.credentials(url) == ({"Authorization": expected} if expected else {})


def test_named_uv_indexes_have_logins(tmp_path: Path) -> None:
    environ = {
        "UV_INDEX": "my-corp=https://uv.test/simple",
        "UV_INDEX_MY_CORP_USERNAME": "me",
        "UV_INDEX_MY_CORP_PASSWORD": "a/b",
    }
    endpoints = make_endpoints(tmp_path, environ=environ, pip_conf=PIP)
    assert endpoints.python.urls()[1] == "https://uv.test/simple"
    assert endpoints.credentials("https://uv.test/x.whl") == {"Authorization": basic("me:a/b")}


def test_a_damaged_netrc_has_no_logins(tmp_path: Path) -> None:
    assert make_endpoints(tmp_path, netrc="machine\n\x00").credentials("https://a.test/") == {}


def test_relative_urls_hold_no_logins(tmp_path: Path) -> None:
    endpoints = make_endpoints(tmp_path, npmrc="registry=https://me:secret@r.test/")
    assert endpoints.relative("https://me:secret@r.test/a/-/a.tgz") == "npm:a/-/a.tgz"
    assert endpoints.relative("https://me:secret@x.test/a") == "https://x.test/a"


def test_certificates_go_unchecked_only_where_a_setting_says_so(tmp_path: Path) -> None:
    endpoints = make_endpoints(
        tmp_path,
        npmrc="registry=https://r.test/\nstrict-ssl=false\n",
        pip_conf="[global]\ntrusted-host = t.test p.test:8443\n",
    )
    urls = [
        "https://r.test/a",
        "https://t.test/",
        "https://p.test:8443/",
        "https://p.test/",
        "https://x.test/",
    ]
    assert [endpoints.verifies(url) for url in urls] == [False, False, False, True, True]
