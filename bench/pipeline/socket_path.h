// SocketPath: a signal's whole way out of the host: shared memory, engine, broker stage, TCP
// socket, with a real journal behind it and a terminal at the other end.
//
// Placement: the strategy and the terminal on the caller's core; engine, broker stage and journal
// take turns on core 1.
#pragma once

#include "bench/pipeline/rig.h"
#include "gateway/broker_stage.h"
#include "tests/broker/broker_world.h"

#include <atomic>
#include <memory>
#include <string>
#include <vector>

namespace millrace::bench {

/// Threads: one caller; round() has one of its own.
class SocketPath {
public:
    /// @param directory for journal files, on the disk to measure.
    /// @param gate what must hold before an entry may leave.
    SocketPath(const std::string& directory, GateLevel gate);

    /// Signals one by one, each answered before the next.
    /// @param tail every sample is added, ns from publishing to the return of write().
    /// @return p50, ns.
    double round(int signals, std::vector<std::int64_t>& tail);

private:
    void run_duty_cycles();
    [[nodiscard]] std::int64_t one_signal();
    void answer(const bridge::Command& command);

    Rig rig_;
    std::unique_ptr<BrokerStage> broker_;
    test::Terminal terminal_{test::kFirstLogin};
    std::atomic<bool> runs_{false};
};

}  // namespace millrace::bench
