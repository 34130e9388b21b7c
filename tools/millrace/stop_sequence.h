// The orderly stop: each stage hands on what it has before the next one goes.
#pragma once

#include "tools/millrace/disk_probe.h"
#include "tools/millrace/worker.h"

#include <string>
#include <vector>

namespace millrace {

/// How long one stage may take to drain before it is killed, unless "restart.drain_ms" says else.
inline constexpr Nanos kStopBound = seconds(10);

/// How long a killed one may take to end before it is left to the kernel: nothing ends a process
/// that waits for a disk. However short the drain is to be: to take a locked mapping apart, or to
/// write a core file, takes its time.
inline constexpr Nanos kKillBound = seconds(3);

/// How long each worker may take once a directory of the log is known not to answer: what it has to
/// hand on lies behind that disk. So the whole stop has an end that does not grow with their
/// number.
inline constexpr Nanos kDrainBesideDeadDisk = seconds(2);

/// How long each worker may take.
struct StopBounds {
    Nanos drain = kStopBound;
    Nanos end = kKillBound;  // once it is killed
    Nanos beside_dead_disk = kDrainBesideDeadDisk;
};

/// Directories that stages write to, looked at if one of them cannot end.
struct StopDisks {
    std::vector<std::string> log;     // the journal's: all that is handed on lies behind them
    std::vector<std::string> stores;  // whose silence holds up their own stage alone
    std::string (*silent)(const std::vector<std::string>&, Nanos) = silent_directories;
};

/// Stops `workers` in the order ingress, engine, broker, journal, replica, sinks; says what it
/// does. Sets core().stop_requested, so that the hot spare takes nothing over.
/// @return what was not clean, a sentence each. Empty: every worker ran, drained and ended by
/// itself without a fault, and the journal holds everything that was journalled. One that cannot
/// even be killed is named and left behind (it still runs then), with the directory whose disk does
/// not answer; the others go on being stopped.
[[nodiscard]] std::vector<std::string> stop_in_order(Segment& segment,
                                                     const std::vector<Worker*>& workers,
                                                     const StopBounds& bounds = {},
                                                     const StopDisks& disks = {});

}  // namespace millrace
