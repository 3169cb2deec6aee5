#!/usr/bin/env python3
"""Does what the Dockerfile says, without an engine: exercise.py [--profile dev|release] DIRECTORY

The build context holds what .dockerignore lets through, and takes the place of the checkout while RUN runs in it. What the last
stage copies goes into a file system of its own, with the C library that its base has. In that, read-only and as the image's
user, without capabilities, ENTRYPOINT starts with the commands and environments of the compositions, and HEALTHCHECK asks.

Needs root, as it mounts; everything mounted is gone with the process.
"""

import argparse
import contextlib
import ctypes
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from ruamel.yaml import YAML

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE_S = 30
PR_SET_NO_NEW_PRIVS = 38
# What gcr.io/distroless/cc has.
BASE_LIBRARIES = r"(linux-vdso|libc|libm|libdl|libpthread|librt|libgcc_s|libstdc\+\+|ld-linux[-\w]*)\.so(\.\d+)*"


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--profile", default="dev", choices=["dev", "release"])
    arguments.add_argument("directory", type=Path)
    options = arguments.parse_args()
    if os.environ.get("PATCHBAY_OWN_MOUNTS") != "1":
        os.environ["PATCHBAY_OWN_MOUNTS"] = "1"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv])

    build, final = stages((REPOSITORY / "Dockerfile").read_text())
    scratch = options.directory.resolve()
    context, root = scratch / "context", scratch / "root"
    make_context(context)
    run_build(build, context, options.profile)
    image = make_image(final, build, root, options.profile)
    try_alone(image)
    try_alone(image, tls=True)
    try_composition(image, "docker-compose.yml", scratch)
    try_composition(image, "docker-compose.bridge.yml", scratch)


def say(words):
    print(f"  {words}", flush=True)


def check(is_so, words):
    if not is_so:
        sys.exit(f"not so: {words}")
    say(words)


# --- The Dockerfile ---


def stages(text):
    """The stages, each a list of (instruction, rest)."""
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.M).replace("\\\n", " ")
    result = []
    for line in filter(None, map(str.strip, text.splitlines())):
        instruction, rest = line.split(None, 1)
        if instruction == "FROM":
            result.append([])
        result[-1].append((instruction, rest))
    known = {"FROM", "WORKDIR", "ENV", "COPY", "RUN", "USER", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT"}
    strange = {name for stage in result for name, _ in stage} - known
    check(len(result) == 2 and not strange, f"a stage that builds, a stage that runs, nothing unknown {strange or ''}")
    return result


def values(stage, name):
    return [rest for instruction, rest in stage if instruction == name]


# --- Its context ---


def ignored(path, rules):
    """As .dockerignore has it: the last rule that fits the path or a directory above it decides."""
    places = [path, *path.parents[:-1]]
    result = False
    for is_exception, pattern in rules:
        if any(pattern.fullmatch(str(place)) for place in places):
            result = not is_exception
    return result


def ignore_rules(text):
    rules = []
    for line in text.splitlines():
        line = line.strip()
        if line and not line.startswith("#"):
            words = re.escape(line.lstrip("!")).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")
            rules.append((line.startswith("!"), re.compile(words)))
    return rules


def make_context(context):
    rules = ignore_rules((REPOSITORY / ".dockerignore").read_text())
    shutil.rmtree(context, ignore_errors=True)
    count = size = 0
    # Exceptions below an ignored directory are looked for two levels deep, which is how deep they stand.
    for directory, names, files in os.walk(REPOSITORY):
        here = Path(directory).relative_to(REPOSITORY)
        names[:] = [
            name for name in names
            if name not in (".git", "target", "node_modules")
            and (not ignored(here / name, rules) or (len(here.parts) == 0 and name == "tests"))
        ]
        for name in files:
            path = here / name
            if ignored(path, rules):
                continue
            target = context / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / path, target, follow_symlinks=False)
            count, size = count + 1, size + target.lstat().st_size
    secret = [path for path in ("turn", ".env", ".git", "target", "docs", "tests/artifacts") if (context / path).exists()]
    check(count > 0 and not secret, f"the context has {count} files, {size / 1e6:.1f} MB, and no secrets {secret or ''}")


# --- Its build stage ---


def run_build(stage, context, profile):
    """RUN, where the context stands in the place of the checkout, so that only its files are there. What was built remains."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")).resolve()
    environment = dict(os.environ)
    for rest in values(stage, "ENV"):
        environment.update(word.split("=", 1) for word in shlex.split(rest))
    target.mkdir(exist_ok=True)
    (context / "target").mkdir()
    subprocess.run(["mount", "--bind", target, context / "target"], check=True)
    subprocess.run(["mount", "--rbind", context, REPOSITORY], check=True)
    try:
        for command in values(stage, "RUN"):
            if profile == "dev":
                command = re.sub(r"(cargo build.*?) --release\b", r"\1", command)
            started = time.monotonic()
            # The directory is entered anew: the one that was open before is below the mount.
            subprocess.run(["sh", "-ec", f"cd {shlex.quote(str(REPOSITORY))} && {command}"], cwd="/", env=environment, check=True)
            say(f"ran in {time.monotonic() - started:.1f} s: {command}")
    finally:
        subprocess.run(["umount", "--recursive", REPOSITORY], check=True)
        subprocess.run(["umount", context / "target"], check=True)


# --- Its last stage ---


class Image:
    """The root file system, and how to run programs in it."""

    def __init__(self, root, user, entrypoint, health):
        self.root, self.user, self.entrypoint, self.health = root, user, entrypoint, health

    def start(self, command, environment, **options):
        uid, gid = map(int, self.user.split(":"))
        libc = ctypes.CDLL(None, use_errno=True)

        def become():
            os.chroot(self.root)
            os.chdir("/")
            if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
                raise OSError(ctypes.get_errno(), "PR_SET_NO_NEW_PRIVS")
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)

        return subprocess.Popen(command, env={"PATH": "/usr/local/bin:/usr/bin", **environment}, preexec_fn=become, **options)

    def is_healthy(self, environment):
        """HEALTHCHECK once; its exit code must be 0 or 1."""
        asked = self.start(self.health, environment, stderr=subprocess.PIPE, text=True)
        words = asked.communicate(timeout=10)[1].strip()
        if asked.returncode not in (0, 1):
            sys.exit(f"the health check ends with {asked.returncode}: {words}")
        return asked.returncode == 0, words


def make_image(stage, build, root, profile):
    shutil.rmtree(root, ignore_errors=True)
    for place in ("proc", "tmp", "run/secrets", "etc"):
        (root / place).mkdir(parents=True)
    directory = {"dev": "debug", "release": "release"}[profile]
    built = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    workdir = values(build, "WORKDIR")[-1]
    for rest in values(stage, "COPY"):
        source, target = rest.removeprefix("--from=build ").split()
        path = built / source.removeprefix(f"{workdir}/target/").replace("release/", f"{directory}/", 1)
        target = root / target.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
        for line in subprocess.run(["ldd", target], capture_output=True, text=True, check=True).stdout.splitlines():
            name = Path(line.split()[0]).name
            if not re.fullmatch(BASE_LIBRARIES, name):
                sys.exit(f"{target.name} needs {name}, which the base does not have")
            if library := re.search(r"(/\S+) \(0x", line):
                place = root / library[1].lstrip("/")
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(library[1], place)
        say(f"copied {target.relative_to(root)}, {target.stat().st_size / 1e6:.1f} MB; it needs the C library alone")
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n")
    subprocess.run(["mount", "--bind", root, root], check=True)
    subprocess.run(["mount", "-t", "proc", "proc", root / "proc"], check=True)
    user = values(stage, "USER")[-1]
    check(re.fullmatch(r"[1-9]\d*:[1-9]\d*", user), f"the user is a number, and not root: {user}")
    entrypoint = json.loads(values(stage, "ENTRYPOINT")[-1])
    health = json.loads(re.search(r"CMD (\[.*\])", values(stage, "HEALTHCHECK")[-1])[1])
    return Image(root, user, entrypoint, health)


@contextlib.contextmanager
def read_only(image):
    subprocess.run(["mount", "-o", "remount,bind,ro", image.root], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,bind,rw", image.root], check=True)


# --- What must be so ---


def try_alone(image, tls=False):
    """ENTRYPOINT without a command: everything in one process."""
    port = free_port()
    environment = {
        "PATCHBAY_LISTEN": f"0.0.0.0:{port}", "PATCHBAY_INSECURE_OPEN": "true", "PATCHBAY_MEDIA_PORT": "0",
        "PATCHBAY_WORKERS": "2", "PATCHBAY_MEDIA_BIND": "127.0.0.1", "PATCHBAY_ANNOUNCE_LOOPBACK": "true",
        **({"PATCHBAY_TLS_SELF_SIGNED": "true"} if tls else {}),
    }
    with read_only(image):
        is_healthy, words = image.is_healthy(environment)
        check(not is_healthy, f"nothing runs, and the health check says so: {words}")
        started = time.monotonic()
        with running(image, [], environment) as server:
            wait_for_health(image, environment, [server])
            if not tls:
                print(f"FIGURE container_healthy_ms {(time.monotonic() - started) * 1000:.0f} ms", flush=True)
            check(True, f"one process over {'https' if tls else 'http'} on {port}: the health check passes")
            status = Path(f"/proc/{server.pid}/status").read_text()
            held = {name: re.search(rf"^{name}:\s*(\S+)", status, re.M)[1] for name in ("Uid", "Gid", "CapEff", "CapPrm", "NoNewPrivs")}
            uid = image.user.split(":")[0]
            check(held["Uid"] == uid and int(held["CapEff"], 16) == int(held["CapPrm"], 16) == 0 and held["NoNewPrivs"] == "1",
                  f"it runs as {uid}, without capabilities or a way to more: {held}")
            check(os.statvfs(f"/proc/{server.pid}/root").f_flag & os.ST_RDONLY, "its root is read-only")
            tcp, udp = listening(server.pid, "tcp"), listening(server.pid, "udp")
            check(port in tcp and len(udp) == 2 and udp < tcp, f"it listens on TCP {sorted(tcp)} and UDP {sorted(udp)}")


def try_composition(image, file, scratch):
    """The commands and environments of signaling and sfu, as the composition has them, on free ports of this machine."""
    host = "localhost"
    settings = {"PATCHBAY_NODE_SECRET": "0123456789abcdef0123456789abcdef", "PUBLIC_HOST": host, "TURN_HOST": "turn.test",
                "PUBLIC_IP": "127.0.0.1"}
    composition = YAML(typ="safe").load((REPOSITORY / file).read_text())
    services = composition["services"]
    port = free_port()
    signaling, sfu = (
        {name: interpolated(value, settings) for name, value in services[it]["environment"].items()} for it in ("signaling", "sfu")
    )
    inside = signaling["PATCHBAY_LISTEN"].rsplit(":", 1)[1]
    signaling["PATCHBAY_LISTEN"] = f"127.0.0.1:{port}"
    sfu["PATCHBAY_SIGNALING"] = sfu["PATCHBAY_SIGNALING"].replace(f":{inside}/", f":{port}/")
    # Any free ports of this machine, and its own certificate authority.
    sfu.update(PATCHBAY_MEDIA_PORT="0", PATCHBAY_WORKERS="1", PATCHBAY_SIGNALING_CA="/run/secrets/tls-cert")
    make_secrets(image, composition, services["signaling"]["secrets"], host, scratch)
    with read_only(image):
        with running(image, services["signaling"]["command"], signaling) as first:
            eventually(lambda: port in listening(first.pid, "tcp"), [first], "signaling listens")
            is_healthy, words = image.is_healthy(signaling)
            check(not is_healthy and "503" in words, f"{file}: signaling without a node is not healthy: {words}")
            with running(image, services["sfu"]["command"], sfu) as second:
                wait_for_health(image, signaling, [first, second])
                check(len(listening(second.pid, "udp")) >= 1, f"{file}: healthy once the node is attached over wss, and media listens")


def make_secrets(image, composition, names, host, scratch):
    """What the head of docker-compose.yml makes: by patchbay itself where it makes it."""
    turn = scratch / "turn"
    shutil.rmtree(turn, ignore_errors=True)
    patchbay = image.root / image.entrypoint[0].lstrip("/")
    for place in ("tls", "server"):
        (turn / place).mkdir(parents=True)
    certificate, key = turn / "tls/fullchain.pem", turn / "tls/privkey.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}", "-addext", "basicConstraints=critical,CA:FALSE",
                    "-keyout", key, "-out", certificate], check=True, stderr=subprocess.DEVNULL)
    subprocess.run([patchbay, "turn-config", "--realm", "turn.example.org", "--public-ip", "203.0.113.7", "--sfu-ip", "203.0.113.7",
                    "--tls-cert", "/etc/coturn/tls/fullchain.pem", "--tls-key", "/etc/coturn/tls/privkey.pem", "--out", turn],
                   check=True, stdout=subprocess.DEVNULL)
    shutil.copy(key, turn / "server/privkey.pem")
    (turn / "keys").write_text("main:0123456789abcdef0123456789abcdef\n")
    uid, gid = map(int, image.user.split(":"))
    for name in names:
        path = turn / Path(composition["secrets"][name]["file"]).relative_to("turn")
        target = image.root / "run/secrets" / name
        target.unlink(missing_ok=True)
        shutil.copy(path, target)
        os.chown(target, uid, gid)
        target.chmod(0o400)


def interpolated(value, settings):
    def replace(match):
        if match[1] not in settings:
            sys.exit(f"{match[1]} is not set")
        return settings[match[1]]

    return re.sub(r"\$\{(\w+)(?::\?[^}]*)?\}", replace, value)


@contextlib.contextmanager
def running(image, command, environment):
    server = image.start([*image.entrypoint, *command], environment)
    try:
        yield server
        server.send_signal(signal.SIGTERM)
        code = server.wait(timeout=PATIENCE_S)
        check(code == 0, f"{' '.join(command) or 'it'} ends in good order at SIGTERM")
    finally:
        if server.poll() is None:
            server.kill()
            server.wait()


def wait_for_health(image, environment, servers):
    last = []

    def ask():
        is_healthy, words = image.is_healthy(environment)
        last[:] = [words]
        return is_healthy

    eventually(ask, servers, "healthy", last)


def eventually(is_so, servers, words, last=()):
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        for server in servers:
            if server.poll() is not None:
                sys.exit(f"{server.args} ended with {server.returncode} before: {words}")
        if time.monotonic() > deadline:
            sys.exit(f"not within {PATIENCE_S} s: {words} {' '.join(last)}")
        time.sleep(0.1)


def listening(pid, protocol):
    """The ports that a process listens on."""
    links = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]
    inodes = {match[1] for link in links if (match := re.fullmatch(r"socket:\[(\d+)\]", link))}
    ports = set()
    for table in (protocol, f"{protocol}6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            # 0A is LISTEN, 07 a UDP socket without a peer.
            if fields[9] in inodes and fields[3] == {"tcp": "0A", "udp": "07"}[protocol]:
                ports.add(int(fields[1].rsplit(":", 1)[1], 16))
    return ports


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    main()
