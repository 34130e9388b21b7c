// Where records come from: a ring, the journal files, the effects log. One after the other, and
// further ones as they appear.
#pragma once

#include "tools/inspect/decode.h"

#include <memory>
#include <string>

namespace millrace::inspect {

enum class Next : std::uint8_t {
    Record,  // record() is the next one
    End,     // nothing more for now
    Broken,  // fault() says what and where
};

class Records {
public:
    virtual ~Records() = default;
    [[nodiscard]] virtual Next next() = 0;
    [[nodiscard]] const DecodedRecord& record() const noexcept { return record_; }
    [[nodiscard]] const std::string& fault() const noexcept { return fault_; }
    /// Records that a live ring overwrote before they could be read.
    [[nodiscard]] std::uint64_t missed() const noexcept { return missed_; }

protected:
    DecodedRecord record_;
    std::string fault_;
    std::uint64_t missed_ = 0;
};

/// Records of ring `index` from number `from` on (or the oldest that is there).
/// `segment` must outlive it.
[[nodiscard]] std::unique_ptr<Records> ring_records(const Segment& segment, std::uint32_t index,
                                                    std::uint64_t from);

/// Journal records from sequence `from` on, 0 = the oldest. `segment` gives names and the durable
/// mark up to which a live log is read; nullptr = read what is there.
/// @return nullptr: `message` says why.
[[nodiscard]] std::unique_ptr<Records> journal_records(const std::string& directory,
                                                       std::uint64_t from, const Segment* segment,
                                                       std::string& message);

/// Effects of records from sequence `from` on, 0 = the oldest.
[[nodiscard]] std::unique_ptr<Records> effect_records(const std::string& directory,
                                                      std::uint64_t from, const Segment* segment,
                                                      std::string& message);

/// A sequence at or before the last `last` records of the journal files (whole files are taken);
/// 0 if the directory cannot be read.
[[nodiscard]] std::uint64_t journal_tail_start(const std::string& directory, std::uint64_t last);

/// The first sequence whose effects may be in the newest effects file; 0 if there is none.
[[nodiscard]] std::uint64_t effects_tail_start(const std::string& directory);

}  // namespace millrace::inspect
