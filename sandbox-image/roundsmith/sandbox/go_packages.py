"""Go's standard packages, compiled once for all programs of the profile `go`: to compile them with
each would take half a minute.

    python -m roundsmith.sandbox.go_packages

Writes them where the profile looks for them, below the home of whoever starts the sandbox. Those of
`GODEBUG=installgoroot=all go install std`, in Go's own folder, are taken first.
"""

import glob
import os
import pwd
import sys

ROOTS = ("/usr/local/go", "/usr/lib/go")
COMMAND = "python -m roundsmith.sandbox.go_packages"
# What programs that solve problems import, and what that needs. Nothing that speaks to a network.
PACKAGES = """
bufio bytes cmp container/heap container/list container/ring context crypto/md5 crypto/sha1
crypto/sha256 encoding/base64 encoding/binary encoding/csv encoding/hex encoding/json errors flag
fmt hash/crc32 hash/fnv hash/maphash html index/suffixarray io io/fs io/ioutil iter log maps math
math/big math/bits math/cmplx math/rand math/rand/v2 os os/signal path path/filepath reflect regexp
runtime runtime/debug slices sort strconv strings sync sync/atomic syscall testing text/tabwriter
text/template time unicode unicode/utf16 unicode/utf8 unique
"""
_SEEN = "fmt.a"


def root() -> str:
    """Where Go is; empty where it is not."""
    return next((at for at in ROOTS if os.access(f"{at}/bin/go", os.X_OK) and _version(at)), "")


def find(go: str) -> str:
    """The folder of the compiled packages of the Go at a path; empty where there is none."""
    own = glob.glob(f"{go}/pkg/linux_*/{_SEEN}")
    folders = (*map(os.path.dirname, own), _kept(go))
    return next((at for at in folders if os.path.exists(f"{at}/{_SEEN}")), "")


def make(go: str) -> str:
    """Compiles them and gives their folder. Raises CalledProcessError, OSError."""
    import tempfile  # here alone: what a zygote has loaded costs every child

    target = _kept(go)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with tempfile.TemporaryDirectory(dir=os.path.dirname(target)) as work:
        made = _compile(go, work)
        os.replace(made, target)
    return target


def _compile(go: str, work: str) -> str:
    """In a root beside Go's own, which is left as it is."""
    import subprocess  # here alone, as above

    mirror = os.path.join(work, "go")
    os.makedirs(f"{mirror}/pkg")
    for path in (*glob.glob(f"{go}/*"), *glob.glob(f"{go}/pkg/*")):
        link = mirror + path.removeprefix(go)
        if not os.path.exists(link):
            os.symlink(path, link)
    environment = {
        **{"PATH": "/usr/bin:/bin", "HOME": work, "GOROOT": mirror, "GOCACHE": f"{work}/cache"},
        **{"CGO_ENABLED": "0", "GO111MODULE": "off", "GODEBUG": "installgoroot=all"},
        **{"GOTOOLCHAIN": "local", "GOENV": "off"},
    }

    def run(*arguments: str) -> str:
        command = (f"{go}/bin/go", *arguments)
        return subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, text=True, check=True, cwd=work
        ).stdout

    needed = run("list", "-deps", *PACKAGES.split()).split()
    run("install", *(name for name in needed if name != "unsafe"))
    (made,) = glob.glob(f"{mirror}/pkg/linux_*/{_SEEN}")
    for folder, _, files in os.walk(os.path.dirname(made)):
        os.chmod(folder, 0o755)
        for file in files:
            os.chmod(os.path.join(folder, file), 0o644)
    return os.path.dirname(made)


def _version(go: str) -> str:
    """Empty where its folder does not say, as one that was built from a checkout."""
    try:
        with open(f"{go}/VERSION", encoding="utf-8") as stream:
            return stream.readline().strip()
    except FileNotFoundError:
        return ""


def _kept(go: str) -> str:
    try:
        # Not by the environment, which a supervisor does not have.
        home = pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        home = "/"
    return os.path.join(home, f".cache/roundsmith/packages-{_version(go)}")


if __name__ == "__main__":
    if not (found := root()):
        sys.exit(f"Go is not installed: expected bin/go in one of {', '.join(ROOTS)}")
    print(find(found) or make(found))
