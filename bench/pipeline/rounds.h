// The rounds of bench_pipeline: each measures one thing once, for a run that lets limits and ours
// take turns.
#pragma once

#include "bench/pipeline/rig.h"

#include <string>
#include <vector>

namespace millrace::bench {

/// Bytes of a COMMAND frame (gateway/BRIDGE.md).
inline constexpr std::size_t kCommandFrameBytes = 144;

/// The least that two cores can do: one word over and one back. @return one way, p50, ns.
double hand_off_round();

/// One write() of a command's bytes to a TCP socket over loopback whose peer reads. @return p50,
/// ns.
double write_round();

/// When the next signal is published.
enum class Pace {
    BackToBack,  // when its order is seen: the engine still has the answers of the one before to
                 // take
    OneByOne,    // when the answers are taken too
};
/// Publish a signal on core 0, see its order on core 0; engine and journal run on core 1.
/// @param tail every sample is added. @return p50, ns.
double signal_round(Rig& rig, Pace pace, std::vector<std::int64_t>& tail);

/// One core, one signal to every account. @return orders out of the engine in a second of CPU time.
double fan_out_round(Rig& rig, std::uint32_t accounts);

/// The journal files of a run, read, checked and applied to a fresh engine, on one core.
/// @return millions of records in a second of CPU time.
double replay(const std::string& directory, const Capacity& capacity, Sequence end);

}  // namespace millrace::bench
