// What `top` looks at while it is measured.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace millrace::bench {

struct Measured {
    std::vector<double> ns;  // one for each of Load::groups(), > 0
    bool undisturbed = false;
};

/// Threads: one. A load that cannot be set up says why and ends the program.
class Load {
public:
    virtual ~Load() = default;
    [[nodiscard]] virtual std::string segment_path() const = 0;
    /// What a round gives, by name.
    [[nodiscard]] virtual std::vector<std::string> groups() const = 0;
    [[nodiscard]] virtual Measured round(int round_ms) = 0;
    /// Ends it. @return false if it was no good run; said on standard error.
    [[nodiscard]] virtual bool finish() { return true; }
};

/// Two spinning threads and one ring at a fixed rate: one-way latency, each record.
/// @param rate records a second. @param cpus of the producing and the consuming end.
[[nodiscard]] std::unique_ptr<Load> ring_load(std::uint64_t rate,
                                              const std::vector<unsigned>& cpus);

/// A whole pipeline, each stage a process, with a simulated broker and a source over TCP: receipt
/// of a signal to its order's bytes handed to the socket, by the segment's own histogram.
/// @param rate signals a second.
[[nodiscard]] std::unique_ptr<Load> pipeline_load(unsigned rate, unsigned accounts,
                                                  int seconds_max);

}  // namespace millrace::bench
