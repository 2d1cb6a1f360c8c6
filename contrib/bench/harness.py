"""Starting, loading and accounting: what the parts of the benchmark share."""
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
TICK = os.sysconf("SC_CLK_TCK")
SYSTEM_CORE, LOAD_CORE = "0", "1"


def build(directory):
    subprocess.run([f"{ROOT}/contrib/dev/packages", "build", "bench"], check=True)
    subprocess.run([f"{ROOT}/contrib/dev/npm"], check=True)
    subprocess.run(["cmake", "-B", directory, "-G", "Ninja",
                    "-DCMAKE_BUILD_TYPE=Release", "-DPENSTOCK_TESTS=OFF", ROOT],
                   check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", directory, "--quiet", "penstock", "wsload",
                    "minresp", "minws", "tlshs", "linkload", "fan", "example-echo"], check=True)


def free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Run:
    """What was started; everything is ended by pid."""

    def __init__(self, directory):
        Run.directory_of = self.directory = directory
        self.children = []

    def start(self, core, *argv, **kw):
        child = subprocess.Popen(["taskset", "-c", core, *argv],
                                 stdout=subprocess.DEVNULL,
                                 stderr=open(f"{self.directory}/stderr", "a"), **kw)
        self.children.append(child)
        return child

    def stop(self):
        for child in reversed(self.children):
            child.send_signal(signal.SIGTERM)
        for child in self.children:
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def children_of(pid):
    return [int(p) for p in open(f"/proc/{pid}/task/{pid}/children").read().split()]


def is_named(pid, name):
    return open(f"/proc/{pid}/comm").read().startswith(name)


def cpu_seconds(pids):
    total = 0
    for pid in pids:
        fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def private_kib(pids):
    total = 0
    for pid in pids:
        for line in open(f"/proc/{pid}/smaps_rollup"):
            if line.startswith(("Private_Clean", "Private_Dirty")):
                total += int(line.split()[1])
    return total


def wait_for(port, seconds=10):
    end = time.time() + seconds
    while time.time() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"nothing listens on port {port}; see what was printed:\n"
                     + open(f"{Run.directory_of}/stderr").read())


def wait_for_file(path, seconds=10):
    end = time.time() + seconds
    while not os.path.exists(path):
        if time.time() > end:
            raise SystemExit(f"{path} does not appear")
        time.sleep(0.05)


def wrk(port, path, seconds, pids, scheme="http"):
    before = cpu_seconds(pids)
    out = subprocess.run(["taskset", "-c", LOAD_CORE, "wrk", "-t1", "-c64", f"-d{seconds}",
                          "--latency", f"{scheme}://127.0.0.1:{port}{path}"],
                         capture_output=True, text=True, check=True).stdout
    cpu = cpu_seconds(pids) - before
    if "Non-2xx" in out or "Socket errors" in out:
        print(out, file=sys.stderr)
    count = int(re.search(r"(\d+) requests in", out).group(1))
    p99 = re.search(r"99%\s+(\S+)", out).group(1)
    return {"rate": float(re.search(r"Requests/sec:\s+(\S+)", out).group(1)),
            "cpu": cpu / count * 1e5, "p99": p99}


def wsload(build_dir, port, path, pids, **flags):
    argv = ["taskset", "-c", LOAD_CORE, f"{build_dir}/contrib/bench/wsload",
            "--url", f"ws://127.0.0.1:{port}{path}"]
    for name, value in flags.items():
        argv.append(f"-{name}" if len(name) == 1 else f"--{name.replace('_', '-')}")
        if value is not True:
            argv.append(str(value))
    before = cpu_seconds(pids)
    out = subprocess.run(argv, capture_output=True, text=True).stdout
    cpu = cpu_seconds(pids) - before
    got = dict(re.findall(r"(\w+)=(\S+)", out))
    messages = float(got.get("msgs", 0)) or 1
    return {"rate": float(got.get("msgs_per_s", 0)), "cpu": cpu / messages * 1e5,
            "p99": got.get("p99_us", "?") + "us", "errors": got.get("errors")}


def median(results):
    middle = sorted(results, key=lambda r: r["cpu"])[len(results) // 2]
    return {"rate": statistics.median(r["rate"] for r in results),
            "cpu": statistics.median(r["cpu"] for r in results), "p99": middle["p99"]}


def show(name, m, more=""):
    print(f"  {name:24} {m['rate']:>10.0f}/s   p99 {m['p99']:>10}   CPU {m['cpu']:7.3f} s/10^5"
          + more, flush=True)


def compare(title, rounds, systems):
    """systems: name -> a function that measures once; the first is ours."""
    results = {name: [] for name in systems}
    for _ in range(rounds):
        for name, measure in systems.items():
            results[name].append(measure())
    first = next(iter(systems))
    ours = median(results[first])
    print(f"\n{title}")
    for name in systems:
        m = median(results[name])
        show(name, m, "" if name == first else
             f"   ours: {ours['rate'] / max(m['rate'], 1):.2f} x the rate,"
             f" {ours['cpu'] / max(m['cpu'], 1e-9):.2f} x the CPU")


def fresh_penstock(args):
    (port,) = free_ports(1)
    text = open(f"{args.directory}/penstock.conf").read()
    text = re.sub(r"listen \d+; listen \d+ ssl;", f"listen {port};", text)
    text = text.replace("penstock.pid", f"penstock-{port}.pid")
    name = f"{args.directory}/penstock-{port}.conf"
    open(name, "w").write(text)
    master = args.run.start(SYSTEM_CORE, f"{args.build}/gateway/penstock", "-e",
                            f"{args.directory}/penstock.log", "-p", args.directory, "-c", name)
    wait_for(port)
    time.sleep(0.3)
    return port, master


def sessions(args, port, path, pids, name, connections, *flags):
    before = private_kib(pids)
    flag = os.path.join(args.directory, "open" + path.replace("/", "-") + str(port))
    load = subprocess.Popen(["taskset", "-c", LOAD_CORE, f"{args.build}/contrib/bench/wsload",
                             "--url", f"ws://127.0.0.1:{port}{path}", "--mode", "idle",
                             "-c", str(connections), "--duration", "4", "--pause-file", flag, *flags],
                            stdout=subprocess.DEVNULL)
    for _ in range(600):
        if os.path.exists(flag):
            break
        time.sleep(0.1)
    time.sleep(0.5)
    grown = private_kib(pids) - before
    load.wait()
    print(f"  {name:40} {grown * 1024 / connections:8.0f} bytes each", flush=True)


def linkload(build_dir, path, pids, flight, seconds):
    before = cpu_seconds(pids)
    out = subprocess.run(["taskset", "-c", LOAD_CORE, f"{build_dir}/contrib/bench/linkload", path,
                          str(flight), str(seconds)], capture_output=True, text=True,
                         check=True, timeout=seconds + 30).stdout
    cpu = cpu_seconds(pids) - before
    got = dict(re.findall(r"(\w+)=(\S+)", out))
    return {"rate": float(got["msgs_per_s"]), "cpu": cpu / (int(got["msgs"]) or 1) * 1e5,
            "p99": "-"}


def tlshs(build_dir, port, pids, seconds, *flags):
    before = cpu_seconds(pids)
    out = subprocess.run(["taskset", "-c", LOAD_CORE, f"{build_dir}/contrib/bench/tlshs",
                          f"127.0.0.1:{port}", "/return", "32", str(seconds), *flags],
                         capture_output=True, text=True, check=True).stdout
    cpu = cpu_seconds(pids) - before
    got = dict(re.findall(r"(\w+)=(\S+)", out))
    count = int(got["connections"]) or 1
    if int(got["errors"]) or ("resume" in flags and int(got["resumed"]) < 0.9 * count):
        print(out, file=sys.stderr)
    return {"rate": count / float(got["seconds"]), "cpu": cpu / count * 1e5,
            "p99": got["p99_us"] + "us"}


def idle(args, ports, pids, title, scheme, suffix):
    connections = 5000
    print(f"\n{title}, {connections} open: private memory of the worker")
    for name, path in (("penstock", "/echo"), ("nginx", "/minws")):
        before = private_kib(pids[name])
        flag = os.path.join(args.directory, f"open-{name}{suffix}")
        load = subprocess.Popen(["taskset", "-c", LOAD_CORE, f"{args.build}/contrib/bench/wsload",
                                 "--url", f"{scheme}://127.0.0.1:{ports[name + suffix]}{path}",
                                 "--mode", "idle", "-c", str(connections), "--duration", "4",
                                 "--pause-file", flag], stdout=subprocess.DEVNULL)
        for _ in range(600):
            if os.path.exists(flag):
                break
            time.sleep(0.1)
        time.sleep(0.5)
        grown = private_kib(pids[name]) - before
        load.wait()
        print(f"  {name:10} {grown * 1024 / connections:8.0f} bytes each", flush=True)
