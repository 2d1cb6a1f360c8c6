"""An echo in Node.js: behind Penstock, and on npm's ws behind nginx's tunnel."""
import os
import shutil
import signal
import time

from harness import (ROOT, SYSTEM_CORE, children_of, compare, free_ports, wait_for,
                     wait_for_file, wsload)

PROGRAM = """
const http = require('http');
const { WebSocketServer } = require('ws');
const server = http.createServer();
const deflate = { off: false, on: true, all: { threshold: 0 } }[process.argv[2]];
const s = new WebSocketServer({ server, perMessageDeflate: deflate });
s.on('connection', (ws) => ws.on('message', (d, binary) => ws.send(d, { binary })));
server.listen(+process.argv[1], '127.0.0.1');
"""
DEFLATE = {"off": "off", "on": "on", "all": "on min=0"}

PENSTOCK = """
{user}
worker_processes 1; daemon off; error_log {dir}/node-penstock.log error; pid {dir}/node-penstock.pid;
worker_rlimit_nofile 65536;
events {{ worker_connections 20000; }}
http {{
    access_log off;
    backend native {{ server unix:{dir}/native.sock; }}
    backend ws {{ server unix:{dir}/ws.sock; }}
    server {{
        listen 127.0.0.1:{port};
        {locations}
    }}
}}
"""
NGINX = """
worker_processes 1; daemon off; error_log {dir}/node-nginx.log error; pid {dir}/node-nginx.pid;
worker_rlimit_nofile 65536;
events {{ worker_connections 20000; }}
http {{
    access_log off;
    client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2; fastcgi_temp_path {dir}/t3;
    uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;
    server {{
        listen 127.0.0.1:{port};
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection upgrade;
        {locations}
    }}
}}
"""


def start_penstock(args, port):
    d = args.directory
    locations = "\n        ".join(
        f"location = /{name}-{mode} {{ websocket_pass {name}; websocket_deflate {how}; }}"
        for name in ("native", "ws") for mode, how in DEFLATE.items())
    open(f"{d}/node-penstock.conf", "w").write(
        PENSTOCK.format(dir=d, port=port, locations=locations,
                        user="user root;" if os.getuid() == 0 else ""))
    started = [
        args.run.start(SYSTEM_CORE, "node", f"{ROOT}/contrib/node/examples/echo.js",
                       f"{d}/native.sock"),
        args.run.start(SYSTEM_CORE, "node", "-r", f"{ROOT}/contrib/node/register.js", "-e",
                       PROGRAM.strip(), "0", "all", cwd=f"{ROOT}/tests/e2e/node",
                       env={**os.environ, "PENSTOCK_SOCKET": f"{d}/ws.sock"})]
    for name in ("native", "ws"):
        wait_for_file(f"{d}/{name}.sock")
    master = args.run.start(SYSTEM_CORE, f"{args.build}/gateway/penstock", "-e", "stderr", "-p", d,
                            "-c", f"{d}/node-penstock.conf")
    wait_for(port)
    return [*started, master], {"native": started[0].pid, "ws": started[1].pid,
                                "gateway": children_of(master.pid)[0]}


def start_nginx(args, port, upstreams):
    d = args.directory
    locations = "\n        ".join(
        f"location = /{mode} {{ proxy_pass http://127.0.0.1:{upstream}; }}"
        for mode, upstream in upstreams.items())
    open(f"{d}/node-nginx.conf", "w").write(
        NGINX.format(dir=d, port=port, locations=locations))
    started = {mode: args.run.start(SYSTEM_CORE, "node", "-e", PROGRAM.strip(), str(upstream),
                                    mode, cwd=f"{ROOT}/tests/e2e/node")
               for mode, upstream in upstreams.items()}
    for upstream in upstreams.values():
        wait_for(upstream)
    master = args.run.start(SYSTEM_CORE, shutil.which("nginx") or "/usr/sbin/nginx", "-e",
                            f"{d}/node-nginx.log", "-p", d, "-c", f"{d}/node-nginx.conf")
    wait_for(port)
    return [*started.values(), master], {
        **{mode: child.pid for mode, child in started.items()},
        "gateway": children_of(master.pid)[0]}


def bench_node(args, ports, pids):
    ours, theirs, *upstreams = free_ports(2 + len(DEFLATE))
    first, p = start_penstock(args, ours)
    second, n = start_nginx(args, theirs, dict(zip(DEFLATE, upstreams)))
    time.sleep(0.5)
    for mode, title in (("off", "plain"), ("on", "permessage-deflate, each with its defaults"),
                        ("all", "permessage-deflate, every message compressed")):
        flags = {} if mode == "off" else {"deflate": True, "need_deflate": True}

        def measure(port, path, *who):
            return wsload(args.build, port, path, who, c=100, p=16, size=32, warmup=0.5,
                          duration=args.seconds, **flags)
        compare(f"echo in Node.js, {title}, 32 B, 100 connections, 16 in flight each "
                "(gateway and Node.js share a core, and are in CPU)", args.rounds, {
                    "penstock": lambda: measure(ours, f"/native-{mode}", p["native"], p["gateway"]),
                    "penstock, program of ws": lambda: measure(ours, f"/ws-{mode}", p["ws"],
                                                               p["gateway"]),
                    "nginx, ws": lambda: measure(theirs, f"/{mode}", n[mode], n["gateway"]),
                })
    for child in first + second:
        child.send_signal(signal.SIGTERM)
