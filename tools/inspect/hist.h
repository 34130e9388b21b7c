// Latency histograms, bucket by bucket.
#pragma once

#include "shm/segment.h"

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace millrace::inspect {

struct Bucket {
    std::uint64_t upper_ns = 0;  // largest value that it holds
    std::uint64_t count = 0;
};

/// Buckets of `hop` that hold anything, smallest first.
[[nodiscard]] std::vector<Bucket> read_buckets(const Segment& segment, Hop hop);

/// A line per power of two with its share, the share so far and a bar; a note if it is empty.
[[nodiscard]] std::string render_hist(const Segment& segment, Hop hop, unsigned width);

[[nodiscard]] nlohmann::ordered_json hist_json(const Segment& segment, Hop hop);

}  // namespace millrace::inspect
