"""What a run ran on: cores, caches, governor, hypervisor, kernel, huge pages, topology, load."""
import datetime
import glob
import os
import platform
import subprocess


def read(path, default=""):
    try:
        with open(path) as f:
            return f.read().strip()
    except OSError:
        return default


def cpu_field(name):
    for line in read("/proc/cpuinfo").splitlines():
        if line.split(":")[0].strip() == name:
            return line.split(":", 1)[1].strip()
    return ""


def caches(cpu):
    out = []
    for index in sorted(glob.glob(f"/sys/devices/system/cpu/cpu{cpu}/cache/index*")):
        get = lambda n: read(os.path.join(index, n))
        out.append({"level": get("level"), "type": get("type"), "size": get("size"),
                    "line": get("coherency_line_size"), "shared_by": get("shared_cpu_list")})
    return out


def cpus_of(text):
    """'0-2,5' -> {0, 1, 2, 5}"""
    out = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        out |= set(range(int(first), int(last or first) + 1))
    return out


def relation(a, b):
    """How two CPUs stand to each other, as far as this kernel is told."""
    topology = f"/sys/devices/system/cpu/cpu{a}/topology/"
    if b in cpus_of(read(topology + "thread_siblings_list")):
        return "siblings of one core"
    if read(topology + "physical_package_id") != read(
            f"/sys/devices/system/cpu/cpu{b}/topology/physical_package_id"):
        return "different sockets"
    shared = [c["level"] for c in caches(a) if b in cpus_of(c["shared_by"])]
    if "2" in shared:
        return "one cluster (shared L2)"
    return "one socket, shared L3" if "3" in shared else "one socket, no shared cache"


def moving():
    """What changes while we run."""
    cpu = read("/proc/stat").splitlines()[:1]
    fields = cpu[0].split() if cpu else []
    return {"load": read("/proc/loadavg"), "steal_ticks": int(fields[8]) if len(fields) > 8 else 0,
            "at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")}


def describe(root, cpus):
    allowed = sorted(os.sched_getaffinity(0))
    try:
        pair = [int(c) for c in cpus.split(",")]
    except ValueError:
        raise ValueError(f"--cpus {cpus}: two CPU numbers are needed, such as 0,1")
    if len(pair) != 2 or pair[0] == pair[1] or not set(pair) <= set(allowed):
        raise ValueError(f"--cpus {cpus}: two different ones of {allowed} are needed")
    git = subprocess.run(["git", "-C", root, "describe", "--always", "--dirty"],
                         capture_output=True, text=True, check=False)
    memory = {k: v.strip() for k, _, v in
              (line.partition(":") for line in read("/proc/meminfo").splitlines())}
    governor = read(f"/sys/devices/system/cpu/cpu{pair[0]}/cpufreq/scaling_governor", "not shown")
    hypervisor = "hypervisor" in cpu_field("flags").split()
    vendor = read("/sys/devices/virtual/dmi/id/sys_vendor", "unnamed")
    clock = read("/sys/devices/system/clocksource/clocksource0/current_clocksource")
    return {
        "cpu": cpu_field("model name") or platform.machine(), "cpus_allowed": allowed,
        "pair": pair, "pair_relation": relation(*pair), "caches": caches(pair[0]),
        "governor": governor, "hypervisor": vendor if hypervisor else "none",
        "kernel": platform.release(), "clocksource": clock,
        "memory": memory.get("MemTotal", ""), "huge_pages": memory.get("HugePages_Total", "0"),
        "transparent_huge_pages": read("/sys/kernel/mm/transparent_hugepage/enabled"),
        "isolated_cpus": read("/sys/devices/system/cpu/isolated"),
        "numa_nodes": len(glob.glob("/sys/devices/system/node/node[0-9]*")),
        "commit": git.stdout.strip() or "unknown", "before": moving()}


def text(m):
    sizes = ", ".join(f"L{c['level']} {c['type']} {c['size']} ({c['shared_by']})"
                      for c in m["caches"])
    rows = [("machine", f"{m['cpu']}, CPUs {m['cpus_allowed']}, {m['memory']}"),
            ("pair", f"{m['pair']}: {m['pair_relation']}"), ("caches", sizes),
            ("governor", m["governor"]), ("hypervisor", m["hypervisor"]),
            ("kernel", f"{m['kernel']}, clock {m['clocksource']}"),
            ("huge pages", f"{m['huge_pages']}, transparent {m['transparent_huge_pages']}"),
            ("load before", m["before"]["load"]), ("commit", m["commit"])]
    return "\n".join(f"{k:12} {v}" for k, v in rows)
